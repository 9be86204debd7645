//! From the queue to a socket: what `consumer` does with a batch (design 4).
//!
//! The queue is the write-ahead log: nothing leaves it except handled, waiting in a mailbox, or buried with a reason.
//! A push comes before its record, so a crash in between repeats the push, with the same frame id.

mod one_receipt;
mod peer;
mod queued_message;
mod retry;

use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use tracing::Instrument;

use self::one_receipt::deliver_states;
use self::peer::PeerRefusal;
pub use self::queued_message::QueuedMessage;
use self::retry::{is_last_own_attempt, wait_s};
use crate::connection::ConnectionRef;
use crate::did::AgentDid;
use crate::error_chain::ErrorChain;
use crate::home::KnownHomes;
use crate::limits::{CONNECTION_OPENING_RETRY_S, DRAIN_AFTER_FAILURE_DELAY_S, PUSHES_AT_ONCE};
use crate::mailbox::{Drained, drain};
use crate::metrics::{Metric, Tally};
use crate::queue_message::QueueMessage;
use crate::reason_code::ReasonCode;
use crate::receipt::{Receipt, ReceiptKey};
use crate::stores::{
    Clock, Closed, ConnectionStore, DeadLetters, DeliveryState, Gateway, ReceiptQueue, ReceiptStore,
    SourceQueue, StoreError,
};
use crate::trail;
use crate::trust::Pair;

/// All that delivering needs from outside.
pub trait DeliveryOutside:
    ReceiptStore + ConnectionStore + Gateway + ReceiptQueue + DeadLetters + Clock + Sync
{
}

impl<O> DeliveryOutside for O where
    O: ReceiptStore + ConnectionStore + Gateway + ReceiptQueue + DeadLetters + Clock + Sync
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

/// What became of one message.
enum Outcome {
    Done,
    /// To be shown again after so many seconds.
    Retry(u32),
    Bury {
        reason_code: ReasonCode,
        reason: String,
    },
}

/// One thing to do; several states of one receipt are one thing, done in their order.
enum Work {
    States(Vec<(usize, Receipt)>),
    /// However many messages ask for it, a mailbox is drained once at a time.
    Drain(Vec<usize>, ConnectionRef),
    Close(usize, ConnectionRef),
    /// Nothing needs to be known to say what becomes of it.
    Decided(usize, Outcome),
}

/// Handles a batch and says, message by message, what the queue is to do.
///
/// It cannot fail as a whole: a message that fails, or panics, does so alone. Whatever is to be shown again has had
/// its own time set before this returns.
pub async fn deliver_batch<O: DeliveryOutside>(
    outside: &O,
    settings: &DeliverySettings,
    batch: &[QueuedMessage],
    tally: &Tally,
) -> Vec<Verdict> {
    let work = sort_out(batch, tally);
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

/// Parses the batch and puts the states of one receipt together, oldest first.
fn sort_out(batch: &[QueuedMessage], tally: &Tally) -> Vec<Work> {
    let mut states: BTreeMap<ReceiptKey, Vec<(usize, Receipt)>> = BTreeMap::new();
    let mut drains: BTreeMap<ConnectionRef, Vec<usize>> = BTreeMap::new();
    let mut work = Vec::new();
    for (index, message) in batch.iter().enumerate() {
        match QueueMessage::parse(&message.body, message.version.as_deref()) {
            Ok(QueueMessage::DeliveryReceipt(receipt)) => {
                states.entry(receipt.key()).or_default().push((index, receipt));
            }
            Ok(_) if message.queue == SourceQueue::Peers => {
                work.push(Work::Decided(index, PeerRefusal::Type.outcome(tally)));
            }
            Ok(QueueMessage::Connected(connection) | QueueMessage::Drain(connection)) => {
                drains.entry(connection).or_default().push(index);
            }
            Ok(QueueMessage::Close(connection)) => work.push(Work::Close(index, connection)),
            Err(defect) => {
                let reason = defect.to_string();
                let outcome = Outcome::Bury { reason_code: defect.reason_code(), reason };
                work.push(Work::Decided(index, outcome));
            }
        }
    }
    work.extend(drains.into_iter().map(|(connection, indices)| Work::Drain(indices, connection)));
    work.extend(states.into_values().map(|mut states| {
        states.sort_by_cached_key(|(_, receipt)| receipt.order());
        Work::States(states)
    }));
    work
}

/// What the receipts of a batch need to know, each thing once. Drains read for themselves, page by page. Of pairs only
/// what peers say about them is to be checked.
fn what_to_read(work: &[Work], batch: &[QueuedMessage]) -> (Vec<ReceiptKey>, Vec<AgentDid>, Vec<Pair>) {
    let mut receipts = Vec::new();
    let mut agents = Vec::new();
    let mut pairs = HashSet::new();
    for work in work {
        if let Work::States(states) = work
            && let Some((_, receipt)) = states.first()
        {
            receipts.push(receipt.key());
            agents.push(receipt.sender.clone());
            let from_peers = states.iter().filter(|(index, _)| batch[*index].queue == SourceQueue::Peers);
            pairs.extend(from_peers.map(|(_, receipt)| Pair::of(&receipt.sender, &receipt.recipient)));
        }
    }
    agents.sort_unstable();
    agents.dedup();
    (receipts, agents, pairs.into_iter().collect())
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
        let indices = work.indices();
        let span = indices.first().map_or_else(tracing::Span::none, |first| self.batch[*first].span());
        let drained = work.drained().cloned();
        let done = AssertUnwindSafe(self.do_work(work).instrument(span)).catch_unwind().await;
        if let Ok(verdicts) = done {
            return verdicts;
        }
        let mut verdicts = Vec::new();
        for index in indices {
            self.tally.count(Metric::RecordPanicked);
            let message = &self.batch[index];
            let outcome = match &drained {
                Some(connection) => self.drain_again(message, connection).await,
                None => Outcome::Retry(wait_s(message)),
            };
            verdicts.push((index, self.settle(index, outcome).instrument(message.span()).await));
        }
        verdicts
    }

    async fn do_work(&self, work: Work) -> Vec<(usize, Verdict)> {
        let outcomes = match work {
            Work::States(states) => match self.state {
                Ok(state) => self.deliver_believed(state, states).await,
                Err(error) => {
                    tracing::warn!("the batch's state could not be read: {}", ErrorChain(error));
                    states
                        .into_iter()
                        .map(|(index, _)| (index, Outcome::Retry(wait_s(&self.batch[index]))))
                        .collect()
                }
            },
            Work::Drain(indices, connection) => self.drain(&indices, &connection).await,
            Work::Close(index, connection) => vec![(index, self.close(index, &connection).await)],
            Work::Decided(index, outcome) => vec![(index, outcome)],
        };
        let mut verdicts = Vec::with_capacity(outcomes.len());
        for (index, outcome) in outcomes {
            let span = self.batch[index].span();
            verdicts.push((index, self.settle(index, outcome).instrument(span).await));
        }
        verdicts
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

    /// Carries an outcome out.
    async fn settle(&self, index: usize, outcome: Outcome) -> Verdict {
        let message = &self.batch[index];
        let after_s = match outcome {
            Outcome::Done => return Verdict::Done,
            Outcome::Retry(after_s) => after_s,
            Outcome::Bury { reason_code, reason } => match self.bury(message, reason_code, reason).await {
                Ok(()) => return Verdict::Done,
                Err(error) => {
                    tracing::error!("a dead letter was not kept: {}", ErrorChain(&error));
                    wait_s(message)
                }
            },
        };
        self.tally.count(Metric::RecordRetried);
        tracing::debug!(step = trail::SHOWN_AGAIN, after_s, "a message goes back to the queue");
        if let Err(error) = self.outside.show_again(message.queue, &message.receipt_handle, after_s).await {
            // The queue's own visibility timeout applies instead.
            tracing::warn!("a record's back-off was not set: {}", ErrorChain(&error));
        }
        Verdict::Retry
    }

    /// Puts a dead letter away for good.
    async fn bury(
        &self,
        message: &QueuedMessage,
        reason_code: ReasonCode,
        reason: String,
    ) -> Result<(), StoreError> {
        let letter = message.dead_letter(message.body.clone(), reason_code, reason);
        self.outside.bury(&letter).await?;
        self.tally.count(Metric::DeadLettered);
        tracing::warn!(reason.code = reason_code.as_str(), "a message went to the dead-letter queue");
        Ok(())
    }

    /// Drains on behalf of the first of the messages that ask for it; the others have nothing left to ask for, unless it
    /// has to be tried again.
    async fn drain(&self, indices: &[usize], connection: &ConnectionRef) -> Vec<(usize, Outcome)> {
        let Some((&first, others)) = indices.split_first() else { return Vec::new() };
        let outcome = self.drain_for(&self.batch[first], connection).await;
        let others = others.iter().map(|index| (*index, Outcome::Done));
        std::iter::once((first, outcome)).chain(others).collect()
    }

    async fn drain_for(&self, message: &QueuedMessage, connection: &ConnectionRef) -> Outcome {
        match drain(self.outside, connection, message, self.tally).await {
            Drained::Finished => Outcome::Done,
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
            Ok(()) => Outcome::Done,
            Err(error) => {
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

impl Work {
    /// Whose mailbox is to be drained, if that is what is to be done.
    fn drained(&self) -> Option<&ConnectionRef> {
        match self {
            Self::Drain(_, connection) => Some(connection),
            Self::States(_) | Self::Close(..) | Self::Decided(..) => None,
        }
    }

    fn indices(&self) -> Vec<usize> {
        match self {
            Self::States(states) => states.iter().map(|(index, _)| *index).collect(),
            Self::Drain(indices, _) => indices.clone(),
            Self::Close(index, _) | Self::Decided(index, _) => vec![*index],
        }
    }
}
