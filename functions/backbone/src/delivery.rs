//! From the queue to a socket: what `consumer` does with a batch (design 4).
//!
//! The queue is the write-ahead log: nothing leaves it except handled, waiting in a mailbox, or buried with a reason.
//! A push comes before its record, so a crash in between repeats the push, with the same frame id.

pub(crate) mod offer;
mod one_receipt;
mod peer;
mod queued_message;
pub(crate) mod retry;
pub(crate) mod settle;
mod turn;
mod work;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use tracing::Instrument;

use self::one_receipt::deliver_states;
pub use self::queued_message::QueuedMessage;
use self::retry::{is_last_own_attempt, wait_s};
use self::settle::{Outcome, note_panic, settle};
use self::work::{Chain, Work, sort_out, what_to_read};
use crate::connection::ConnectionRef;
use crate::error_chain::ErrorChain;
use crate::home::KnownHomes;
use crate::limits::{CONNECTION_OPENING_RETRY_S, DRAIN_AFTER_FAILURE_DELAY_S, PUSHES_AT_ONCE};
use crate::mailbox::{Drained, drain};
use crate::metrics::{Metric, Tally};
use crate::queue_message::QueueMessage;
use crate::receipt::Receipt;
use crate::stores::{
    Clock, Closed, ConnectionStore, DeadLetters, DeliveryState, DeliveryStore, Gateway, ReceiptQueue,
    ReceiptStore, StoreError,
};

/// All that delivering needs from outside.
pub trait DeliveryOutside:
    ReceiptStore + ConnectionStore + DeliveryStore + Gateway + ReceiptQueue + DeadLetters + Clock + Sync
{
}

impl<O> DeliveryOutside for O where
    O: ReceiptStore + ConnectionStore + DeliveryStore + Gateway + ReceiptQueue + DeadLetters + Clock + Sync
{
}

/// What the queue is to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a message to be retried must be reported to the queue"]
pub enum Verdict {
    /// Delete it.
    Done,
    /// Show it again.
    Retry,
}

/// What an operator decides about delivery.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// How long a receipt waits, and stays readable, in seconds.
    pub retention_s: u64,
    /// Whose messages from the peer queue are believed.
    pub homes: KnownHomes,
}

/// Handles a batch and says, message by message, what the queue is to do.
///
/// It does not fail as a whole: a message that fails, or over which our code panics, does so alone. Only what is read for
/// all of them is read outside of that. Whatever is to be shown again has had its own time set before this returns.
pub async fn deliver_batch<O: DeliveryOutside>(
    outside: &O,
    settings: &DeliverySettings,
    batch: &[QueuedMessage],
    tally: &Tally,
) -> Vec<Verdict> {
    let work = sort_out(batch, QueueMessage::parse, tally);
    let (receipts, agents, pairs) = what_to_read(&work, batch);
    let state = if agents.is_empty() {
        Ok(DeliveryState::default())
    } else {
        outside.read_for_delivery(&receipts, &agents, &pairs).await
    };
    let courier = Courier { outside, settings, batch, state: state.as_ref(), tally };
    let outcomes: Vec<_> = stream::iter(work)
        .map(|work| courier.do_alone(work))
        .buffer_unordered(PUSHES_AT_ONCE)
        .collect()
        .await;
    let mut verdicts = vec![Verdict::Done; batch.len()];
    for (index, verdict) in outcomes.into_iter().flatten() {
        verdicts[index] = verdict;
    }
    verdicts
}

/// One batch under way.
struct Courier<'a, O> {
    outside: &'a O,
    settings: &'a DeliverySettings,
    batch: &'a [QueuedMessage],
    state: Result<&'a DeliveryState, &'a StoreError>,
    tally: &'a Tally,
}

impl<O: DeliveryOutside> Courier<'_, O> {
    fn now_s(&self) -> u64 {
        self.outside.now_ms() / 1_000
    }

    /// Does one thing so that a panic in it stays in it.
    async fn do_alone(&self, work: Work) -> Vec<(usize, Verdict)> {
        let (indices, chain) = (work.indices(), work.chain());
        if let Ok(verdicts) = AssertUnwindSafe(self.do_work(work)).catch_unwind().await {
            return verdicts;
        }
        let mut verdicts = Vec::new();
        for index in indices {
            let message = &self.batch[index];
            let settled = async {
                note_panic(self.tally);
                let outcome = match &chain {
                    Some(Chain::Drain(connection)) => self.drain_again(message, connection).await,
                    Some(Chain::Turn(turn)) => self.take_turn_again(message, turn).await,
                    None => Outcome::Retry(wait_s(message)),
                };
                settle(self.outside, message, outcome, self.tally).await
            };
            verdicts.push((index, settled.instrument(message.span()).await));
        }
        verdicts
    }

    /// Does one thing, all of it within the span of the message that it is about.
    async fn do_work(&self, work: Work) -> Vec<(usize, Verdict)> {
        let outcomes = match work {
            Work::States(states) => match self.state {
                Ok(state) => self.deliver_believed(state, states).await,
                Err(error) => {
                    states.into_iter().map(|(index, _)| (index, self.unread(index, error))).collect()
                }
            },
            Work::Drain(indices, connection) => self.drain(&indices, &connection).await,
            Work::Close(index, connection) => {
                let closed = self.close(index, &connection);
                vec![(index, closed.instrument(self.batch[index].span()).await)]
            }
            Work::Decided(index, outcome) => vec![(index, outcome)],
            Work::Turns(turns) => self.take_turns(turns).await,
            Work::Refusal(index, refusal) => {
                let refused = self.refuse_delivery(index, &refusal);
                vec![(index, self.or_again(index, refused).await)]
            }
            Work::Restore(index, delivery) => {
                let restored = self.restore_delivery(index, &delivery);
                vec![(index, self.or_again(index, restored).await)]
            }
        };
        let mut verdicts = Vec::with_capacity(outcomes.len());
        for (index, outcome) in outcomes {
            verdicts.push((index, settle(self.outside, &self.batch[index], outcome, self.tally).await));
        }
        verdicts
    }

    /// The state of the batch, of which this message is part, is not known.
    fn unread(&self, index: usize, error: &StoreError) -> Outcome {
        let message = &self.batch[index];
        message
            .span()
            .in_scope(|| tracing::warn!("the batch's state could not be read: {}", ErrorChain(error)));
        Outcome::Retry(wait_s(message))
    }

    /// Delivers the states of one receipt, except those that come from a peer who may not say so.
    async fn deliver_believed(
        &self,
        state: &DeliveryState,
        states: Vec<(usize, Receipt)>,
    ) -> Vec<(usize, Outcome)> {
        let mut believed = Vec::with_capacity(states.len());
        let mut outcomes = Vec::new();
        for (index, receipt) in states {
            let message = &self.batch[index];
            match peer::check(&self.settings.homes, state, message, &receipt, self.outside.now_ms()) {
                Ok(()) => believed.push((index, receipt)),
                Err(refusal) => outcomes.push((index, refusal.outcome(self.tally))),
            }
        }
        outcomes.extend(deliver_states(self, state, believed).await);
        outcomes
    }

    /// What handling a message leads to, or the same message again.
    async fn or_again(
        &self,
        index: usize,
        handling: impl Future<Output = Result<Outcome, StoreError>>,
    ) -> Outcome {
        let message = &self.batch[index];
        let outcome = async {
            handling.await.unwrap_or_else(|error| {
                tracing::warn!("a message could not be handled: {}", ErrorChain(&error));
                Outcome::Retry(wait_s(message))
            })
        };
        outcome.instrument(message.span()).await
    }

    /// Drains on behalf of the first of the messages that ask for it. The others have nothing left to ask for, unless it has
    /// to be tried again: it may be the last time that the first one is shown.
    async fn drain(&self, indices: &[usize], connection: &ConnectionRef) -> Vec<(usize, Outcome)> {
        let Some((&first, others)) = indices.split_first() else { return Vec::new() };
        let message = &self.batch[first];
        let outcome = self.drain_for(message, connection).instrument(message.span()).await;
        let of_other = |index: &usize| match outcome {
            Outcome::Retry(after_s) => (*index, Outcome::Retry(after_s)),
            Outcome::Done | Outcome::Bury { .. } => (*index, Outcome::Done),
        };
        let others: Vec<_> = others.iter().map(of_other).collect();
        std::iter::once((first, outcome)).chain(others).collect()
    }

    /// Every drain counts once whether it goes on, beside why it does not; one whose connection is not open yet has its push counted as that.
    async fn drain_for(&self, message: &QueuedMessage, connection: &ConnectionRef) -> Outcome {
        match drain(self.outside, connection, message, self.tally).await {
            Drained::Finished => {
                self.tally.count(Metric::DrainFinished);
                Outcome::Done
            }
            Drained::After(delay_s) => self.go_on_later(message, connection, delay_s).await,
            Drained::NotOpenYet if !is_last_own_attempt(message) => {
                Outcome::Retry(CONNECTION_OPENING_RETRY_S)
            }
            Drained::NotOpenYet => self.go_on_later(message, connection, DRAIN_AFTER_FAILURE_DELAY_S).await,
            Drained::Failed(error) => {
                tracing::warn!("a drain was interrupted: {}", ErrorChain(&error));
                self.drain_again(message, connection).await
            }
        }
    }

    /// Has an interrupted drain tried again: by the same message, or by a new one when that has been tried often enough.
    async fn drain_again(&self, message: &QueuedMessage, connection: &ConnectionRef) -> Outcome {
        if is_last_own_attempt(message) {
            self.go_on_later(message, connection, DRAIN_AFTER_FAILURE_DELAY_S).await
        } else {
            self.tally.count(Metric::DrainInterrupted);
            Outcome::Retry(wait_s(message))
        }
    }

    /// Has the mailbox drained by a message of its own.
    async fn go_on_later(
        &self,
        message: &QueuedMessage,
        connection: &ConnectionRef,
        delay_s: u32,
    ) -> Outcome {
        let drain = QueueMessage::Drain(connection.clone());
        match self.outside.send(&drain, message.correlation_id(), delay_s).await {
            Ok(()) => {
                self.tally.count(Metric::DrainContinued);
                Outcome::Done
            }
            Err(error) => {
                self.tally.count(Metric::DrainInterrupted);
                tracing::warn!("a drain was not announced: {}", ErrorChain(&error));
                Outcome::Retry(wait_s(message))
            }
        }
    }

    /// Closes a socket that should not be open any more.
    async fn close(&self, index: usize, connection: &ConnectionRef) -> Outcome {
        let opening = connection.may_be_opening(self.outside.now_ms());
        match self.outside.close(&connection.connection_id).await {
            Ok(Closed::Gone) if opening => Outcome::Retry(CONNECTION_OPENING_RETRY_S),
            Ok(Closed::Closed | Closed::Gone) => Outcome::Done,
            Err(error) => {
                tracing::warn!("a socket could not be closed: {}", ErrorChain(&error));
                Outcome::Retry(wait_s(&self.batch[index]))
            }
        }
    }
}
