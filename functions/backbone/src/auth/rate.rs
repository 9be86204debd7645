//! The limit of requests per agent and minute (design 6).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::last_used::LastUsed;
use crate::did::AgentDid;
use crate::error_chain::ErrorChain;
use crate::limits::RATE_REPORT_EVERY;
use crate::metrics::{Metric, Tally};
use crate::stores::{Clock, NonceStore};

const MINUTE_MS: u64 = 60_000;
/// Agents of one generation, of which there are two. One that comes so often that the limit is about it is among them.
const GENERATION: usize = 512;

/// The counts of one instance.
///
/// It adds every tenth request to the shared count and goes on from the total that comes back. So the limit holds
/// across instances to within ten requests each, at a tenth of the writes. What is forgotten of an agent, because this
/// instance has had hundreds of others since, is fewer than ten requests, too.
#[derive(Debug, Default)]
pub(super) struct RateMemory(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    minute: u64,
    agents: LastUsed<AgentDid, Count, GENERATION>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    shared: u32,
    unreported: u32,
}

/// The agent has used up its minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OverLimit {
    /// Seconds until the next minute begins, at least 1.
    pub(super) retry_after_s: u64,
}

impl RateMemory {
    /// Counts one request of `agent`. A shared count that fails does not refuse anybody: the instance goes on with its
    /// own, and the failure is counted.
    pub(super) async fn count<O: NonceStore + Clock>(
        &self,
        outside: &O,
        agent: &AgentDid,
        requests_per_minute: u32,
        tally: &Tally,
    ) -> Result<(), OverLimit> {
        let now_ms = outside.now_ms();
        let minute = now_ms / MINUTE_MS;
        let mut count = self.add_one(agent, minute);
        // A report that failed is made with the next ones, and not again by everybody who comes before those.
        if count.unreported.is_multiple_of(RATE_REPORT_EVERY) {
            match outside.add_requests(agent, minute, count.unreported).await {
                Ok(shared) => count = self.reported(agent, minute, shared, count.unreported),
                Err(error) => {
                    tracing::warn!("requests were counted by this instance alone: {}", ErrorChain(&error));
                    tally.count(Metric::RateCountFailed);
                }
            }
        }
        if count.shared.saturating_add(count.unreported) > requests_per_minute {
            let left_ms = MINUTE_MS - now_ms % MINUTE_MS;
            return Err(OverLimit { retry_after_s: left_ms.div_ceil(1_000) });
        }
        Ok(())
    }

    fn add_one(&self, agent: &AgentDid, minute: u64) -> Count {
        let mut counts = self.counts();
        if counts.minute != minute {
            *counts = Counts { minute, agents: LastUsed::default() };
        }
        counts.change(agent, |count| count.unreported = count.unreported.saturating_add(1))
    }

    fn reported(&self, agent: &AgentDid, minute: u64, shared: u32, reported: u32) -> Count {
        let mut counts = self.counts();
        if counts.minute != minute {
            return Count { shared, unreported: 0 };
        }
        counts.change(agent, |count| {
            count.shared = shared;
            count.unreported = count.unreported.saturating_sub(reported);
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// The count of an agent as `change` leaves it.
    fn change(&mut self, agent: &AgentDid, change: impl Fn(&mut Count)) -> Count {
        let changed = self.agents.find(agent, |count| {
            change(count);
            *count
        });
        changed.unwrap_or_else(|| {
            let mut count = Count::default();
            change(&mut count);
            self.agents.keep(agent.clone(), count);
            count
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::FutureExt as _;

    use super::*;
    use crate::stores::{NonceClaim, StoreError};

    /// A shared count that fails `failures` times.
    struct Outside {
        failures: u32,
        asked: AtomicU32,
    }

    impl Clock for Outside {
        fn now_ms(&self) -> u64 {
            MINUTE_MS
        }

        fn time_left_ms(&self) -> u64 {
            u64::MAX
        }
    }

    impl NonceStore for Outside {
        async fn claim_nonce(&self, _: &AgentDid, _: &str, _: u64) -> Result<NonceClaim, StoreError> {
            unreachable!("no nonce is claimed")
        }

        async fn add_requests(&self, _: &AgentDid, _: u64, requests: u32) -> Result<u32, StoreError> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            if asked < self.failures {
                return Err(StoreError::OutOfTime { operation: "add_requests" });
            }
            Ok(requests)
        }
    }

    #[test]
    fn a_count_that_fails_is_not_made_again_by_each_request() {
        let (memory, tally) = (RateMemory::default(), Tally::default());
        let outside = Outside { failures: 1, asked: AtomicU32::new(0) };
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        let count = || memory.count(&outside, &agent, 25, &tally).now_or_never().unwrap();
        for (requests, asked, failed) in [(19, 1, 1), (1, 2, 1), (5, 2, 1)] {
            assert!((0..requests).all(|_| count().is_ok()));
            assert_eq!(
                (outside.asked.load(Ordering::Relaxed), tally.of(Metric::RateCountFailed)),
                (asked, failed)
            );
        }
        assert!(count().is_err(), "what was not reported at once counts all the same");
    }

    #[test]
    fn an_agent_among_many_is_counted_all_the_same() {
        let (memory, tally) = (RateMemory::default(), Tally::default());
        let outside = Outside { failures: 0, asked: AtomicU32::new(0) };
        let agent = |number: usize| {
            AgentDid::parse(&format!("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DA{number:06}")).unwrap()
        };
        let count = |agent| memory.count(&outside, &agent, 5, &tally).now_or_never().unwrap();
        for request in 0..5 {
            assert!(count(agent(0)).is_ok());
            for other in 0..GENERATION / 2 {
                assert!(count(agent(1 + request * GENERATION + other)).is_ok());
            }
        }
        assert!(count(agent(0)).is_err());
    }
}
