//! The limit of requests per agent and minute (design 6).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::did::AgentDid;
use crate::error_chain::ErrorChain;
use crate::limits::RATE_REPORT_EVERY;
use crate::metrics::{Metric, Tally};
use crate::stores::{Clock, NonceStore};

const MINUTE_MS: u64 = 60_000;

/// The counts of one instance.
///
/// It adds every tenth request to the shared count and goes on from the total that comes back. So the limit holds
/// across instances to within ten requests each, at a tenth of the writes.
#[derive(Debug, Default)]
pub(super) struct RateMemory(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    minute: u64,
    agents: HashMap<AgentDid, Count>,
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
        if count.unreported >= RATE_REPORT_EVERY {
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
            *counts = Counts { minute, agents: HashMap::new() };
        }
        let count = counts.agents.entry(agent.clone()).or_default();
        count.unreported = count.unreported.saturating_add(1);
        *count
    }

    fn reported(&self, agent: &AgentDid, minute: u64, shared: u32, reported: u32) -> Count {
        let mut counts = self.counts();
        if counts.minute != minute {
            return Count { shared, unreported: 0 };
        }
        let count = counts.agents.entry(agent.clone()).or_default();
        count.shared = shared;
        count.unreported = count.unreported.saturating_sub(reported);
        *count
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
