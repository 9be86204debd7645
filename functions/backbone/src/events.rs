//! Events of the registry: what `registry-events` does with a batch (contract 6, design 3 and 5).
//!
//! Events come late, twice and out of order. Each is handled so that none of that matters: rows are written that the
//! same event would write again, what is sent carries an id derived from the event, and nothing an event says takes a
//! revocation back. The queue deletes an event only when all of it is done.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use tracing::Instrument;

use crate::delivery::retry::wait_s;
use crate::delivery::settle::{Outcome, note_panic, settle};
use crate::delivery::{QueuedMessage, Verdict};
use crate::did::AgentDid;
use crate::error_chain::ErrorChain;
use crate::home::ProxyOrigin;
use crate::limits::{
    CONNECTION_OPENING_MS, CONNECTION_OPENING_RETRY_S, EVENT_TIME_EARLY_MS_MAX, EVENTS_AT_ONCE,
    HANDSHAKE_MS_MAX, RECEIVES_BEFORE_MAILBOX,
};
use crate::metrics::{Measure, Metric, Tally};
use crate::queue_message::{DeliveryTurn, QueueMessage};
use crate::reconcile::{ReconcileOutside, RegistryWatch};
use crate::registry_event::RegistryEvent;
use crate::revocation::{Cut, end_session, revoke};
use crate::stores::{AccessStore, DeadLetters, DeliveryStore, EventQueue, EventSent, StoreError};
use crate::system_delivery::{PairAccepted, SystemDelivery};
use crate::trust::PairSide;

/// The reason on the row of an agent that an event revokes.
const AGENT_REVOKED: &str = "agent_revoked";

/// All that handling events needs from outside.
pub trait EventsOutside: ReconcileOutside + AccessStore + DeliveryStore + EventQueue + DeadLetters {}

impl<O: ReconcileOutside + AccessStore + DeliveryStore + EventQueue + DeadLetters> EventsOutside for O {}

/// The numbers that an operator may change.
#[derive(Clone, Copy, Debug)]
pub struct EventSettings {
    /// How long what an agent is to be told waits for it, in seconds.
    pub retention_s: u64,
}

/// Handles a batch and says, event by event, what the queue is to do.
///
/// It cannot fail as a whole: an event that fails, or panics, does so alone.
pub async fn handle_events<O: EventsOutside>(
    outside: &O,
    watch: &RegistryWatch,
    settings: EventSettings,
    batch: &[QueuedMessage],
    tally: &Tally,
) -> Vec<Verdict> {
    let desk = Desk { outside, watch, settings, tally };
    let indices = stream::iter(0..batch.len());
    indices.map(|index| desk.handle_alone(&batch[index])).buffered(EVENTS_AT_ONCE).collect().await
}

/// One batch under way.
struct Desk<'a, O> {
    outside: &'a O,
    watch: &'a RegistryWatch,
    settings: EventSettings,
    tally: &'a Tally,
}

impl<O: EventsOutside> Desk<'_, O> {
    /// Handles one event so that a panic in it stays in it.
    async fn handle_alone(&self, event: &QueuedMessage) -> Verdict {
        let handled = async {
            let handled = AssertUnwindSafe(self.handle(event)).catch_unwind().await;
            handled.unwrap_or_else(|_| {
                note_panic(self.tally);
                Outcome::Retry(wait_s(event))
            })
        };
        let outcome = handled.instrument(event.span()).await;
        settle(self.outside, event, outcome, self.tally).await
    }

    async fn handle(&self, event: &QueuedMessage) -> Outcome {
        let parsed = match RegistryEvent::parse(&event.body, self.watch.authority()) {
            Ok(parsed) => parsed,
            Err(defect) => {
                let reason = defect.to_string();
                return Outcome::Bury { reason_code: defect.reason_code(), reason };
            }
        };
        let outcome = match parsed {
            RegistryEvent::AgentRevoked(agent) => self.revoke(event, &agent).await,
            RegistryEvent::SessionEnded { agent, at_ms } => self.end_session(event, &agent, at_ms).await,
            RegistryEvent::Issued => {
                self.watch.refresh_if_due(self.outside, self.tally).await;
                Ok(Outcome::Done)
            }
            RegistryEvent::Unremarkable => Ok(Outcome::Done),
            RegistryEvent::PairAccepted(pair) => self.pair(event, &pair).await,
            RegistryEvent::MemberJoined(member) => {
                self.tell(event, &SystemDelivery::of_group_member_joined(&member)).await
            }
        };
        let outcome = outcome.unwrap_or_else(|error| {
            tracing::warn!("an event was not handled: {}", ErrorChain(&error));
            Outcome::Retry(wait_s(event))
        });
        if matches!(outcome, Outcome::Done) {
            self.tally.count(Metric::EventHandled);
            tracing::debug!("handled an event");
        }
        outcome
    }

    async fn revoke(&self, event: &QueuedMessage, agent: &AgentDid) -> Result<Outcome, StoreError> {
        let cut = revoke(self.outside, agent, AGENT_REVOKED, self.tally).await?;
        Ok(self.after_cut(event, &cut, u64::MAX))
    }

    /// A handshake may have passed the authorizer before the session was forgotten, and write its row, and a yes, only
    /// now; so this is done again when no such handshake can be left. A socket of a later session stays.
    async fn end_session(
        &self,
        event: &QueuedMessage,
        agent: &AgentDid,
        at_ms: Option<u64>,
    ) -> Result<Outcome, StoreError> {
        let (ended_at_ms, let_in_until_ms) = span_of_end(event, at_ms, self.outside.now_ms());
        let end = end_session(self.outside, agent, ended_at_ms, let_in_until_ms, self.tally).await?;
        let outcome = self.after_cut(event, &end.cut, ended_at_ms);
        let over_ms = end.opened_until_ms.saturating_add(HANDSHAKE_MS_MAX);
        let left_ms = over_ms.saturating_sub(self.outside.now_ms());
        let is_done = matches!(outcome, Outcome::Done);
        if is_done && left_ms == 0 {
            self.tally.count(Metric::SessionEnded);
            return Ok(outcome);
        }
        if event.receive_count >= RECEIVES_BEFORE_MAILBOX {
            return self.begin_anew(event).await;
        }
        Ok(if is_done { Outcome::Retry(seconds(left_ms)) } else { outcome })
    }

    /// An event that has something left to do, but few receives, which are for invocations that die: it is sent again.
    async fn begin_anew(&self, event: &QueuedMessage) -> Result<Outcome, StoreError> {
        let body = std::slice::from_ref(&event.body);
        let sent = self.outside.send_events(body, event.correlation_id()).await?;
        Ok(if sent == [EventSent::Durable] { Outcome::Done } else { Outcome::Retry(wait_s(event)) })
    }

    /// A socket that is only opening is cut again in a moment; when the queue would give the event up before that,
    /// once more when it must be open. How long it took is measured of sockets opened until `measured_until_ms`.
    fn after_cut(&self, event: &QueuedMessage, cut: &Cut, measured_until_ms: u64) -> Outcome {
        match cut {
            Cut::Nothing => Outcome::Done,
            Cut::Closed { connected_at_ms } => {
                if event.sent_ms > 0 && *connected_at_ms <= measured_until_ms {
                    let taken_ms = self.outside.now_ms().saturating_sub(event.sent_ms);
                    self.tally.measure(Measure::TimeToCut, taken_ms);
                }
                Outcome::Done
            }
            Cut::NotOpenYet(_) if event.receive_count < RECEIVES_BEFORE_MAILBOX => {
                Outcome::Retry(CONNECTION_OPENING_RETRY_S)
            }
            Cut::NotOpenYet(_) => Outcome::Retry(seconds(CONNECTION_OPENING_MS)),
        }
    }

    /// The pair first: who is told of it may act on it at once.
    async fn pair(&self, event: &QueuedMessage, pair: &PairAccepted) -> Result<Outcome, StoreError> {
        let side = |agent: &AgentDid, origin: &str| PairSide {
            agent: agent.clone(),
            home: ProxyOrigin::parse(origin),
        };
        let initiator = side(&pair.initiator, &pair.issuer_proxy_origin);
        let responder = side(&pair.responder, &pair.responder_profile.proxy_origin);
        self.outside.keep_pair(&initiator, &responder).await?;
        self.tell(event, &SystemDelivery::of_pair_accepted(pair)).await
    }

    /// The row first, the message that has it pushed after it; the same event leads to the same two.
    async fn tell(&self, event: &QueuedMessage, delivery: &SystemDelivery) -> Result<Outcome, StoreError> {
        let expires_at_s = self.outside.now_ms() / 1_000 + self.settings.retention_s;
        let _ = self.outside.keep_delivery(delivery, expires_at_s).await?;
        let deliver = QueueMessage::Deliver(DeliveryTurn::first(delivery.key()));
        self.outside.send(&deliver, event.correlation_id(), 0).await?;
        Ok(Outcome::Done)
    }
}

/// When a session had ended, and until when its agent may have been let in without a yes that was kept, in milliseconds since
/// the Unix epoch. `at_ms` is when it ended, if the registry says so: an event that comes days late, or again, is not about
/// what has begun since. A clock of the registry's that is ahead makes neither later.
fn span_of_end(event: &QueuedMessage, at_ms: Option<u64>, now_ms: u64) -> (u64, u64) {
    let sent_ms = if event.sent_ms > 0 { event.sent_ms } else { now_ms };
    let over_by_ms = at_ms.map_or(u64::MAX, |at_ms| at_ms.saturating_add(EVENT_TIME_EARLY_MS_MAX));
    (sent_ms.min(over_by_ms), event.first_seen_ms.min(over_by_ms))
}

/// Whole seconds, at least one.
fn seconds(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::SourceQueue;

    #[test]
    fn a_redriven_event_is_about_the_session_that_it_was_about_at_first() {
        let event = |sent_ms, first_seen_ms| QueuedMessage {
            queue: SourceQueue::Events,
            message_id: String::new(),
            receipt_handle: String::new(),
            body: String::new(),
            version: None,
            origin_proxy: None,
            correlation_id: None,
            receive_count: 1,
            sent_ms,
            first_seen_ms,
        };
        let (at_ms, day_ms, now_ms) = (1_000_000, 86_400_000, 1_000_200);
        let span = |sent_ms, at_ms| span_of_end(&event(sent_ms, sent_ms + 50), at_ms, now_ms);
        assert_eq!(span(at_ms + 100, Some(at_ms)), (at_ms + 100, at_ms + 150), "it comes at once");
        let over_by_ms = at_ms + EVENT_TIME_EARLY_MS_MAX;
        assert_eq!(span(at_ms + day_ms, Some(at_ms)), (over_by_ms, over_by_ms), "it is redriven");
        for no_news in [None, Some(at_ms + day_ms), Some(u64::MAX)] {
            assert_eq!(span(at_ms, no_news), (at_ms, at_ms + 50), "{no_news:?}");
        }
        assert_eq!(span_of_end(&event(0, 7), None, now_ms), (now_ms, 7), "SQS does not say");
    }
}
