//! What a batch of messages asks for, sorted into things that can be done side by side.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::peer::PeerRefusal;
use super::settle::{Outcome, note_panic};
use super::{QueuedMessage, wait_s};
use crate::connection::ConnectionRef;
use crate::did::AgentDid;
use crate::metrics::Tally;
use crate::queue_message::{DeliveryRefusal, DeliveryTurn, MessageDefect, QueueMessage};
use crate::receipt::{Receipt, ReceiptKey};
use crate::stores::SourceQueue;
use crate::system_delivery::{DeliveryKey, SystemDelivery};
use crate::trust::Pair;

/// One thing to do; several states of one receipt are one thing, done in their order.
pub(super) enum Work {
    States(Vec<(usize, Receipt)>),
    /// However many messages ask for it, a mailbox is drained once at a time.
    Drain(Vec<usize>, ConnectionRef),
    Close(usize, ConnectionRef),
    /// The turns of one system delivery, one after the other.
    Turns(Vec<(usize, DeliveryTurn)>),
    Refusal(usize, DeliveryRefusal),
    Restore(usize, SystemDelivery),
    /// Nothing needs to be known to say what becomes of it.
    Decided(usize, Outcome),
}

/// Parses the batch, each message so that a panic over it stays with it, and puts the states of one receipt together,
/// oldest first.
pub(super) fn sort_out(
    batch: &[QueuedMessage],
    parse: impl Fn(&str, Option<&str>) -> Result<QueueMessage, MessageDefect>,
    tally: &Tally,
) -> Vec<Work> {
    let mut states: BTreeMap<ReceiptKey, Vec<(usize, Receipt)>> = BTreeMap::new();
    let mut turns: BTreeMap<DeliveryKey, Vec<(usize, DeliveryTurn)>> = BTreeMap::new();
    let mut drains: BTreeMap<ConnectionRef, Vec<usize>> = BTreeMap::new();
    let mut work = Vec::new();
    for (index, message) in batch.iter().enumerate() {
        let parsed = catch_unwind(AssertUnwindSafe(|| parse(&message.body, message.version.as_deref())));
        let Ok(parsed) = parsed else {
            message.span().in_scope(|| note_panic(tally));
            work.push(Work::Decided(index, Outcome::Retry(wait_s(message))));
            continue;
        };
        match parsed {
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
            Ok(QueueMessage::Deliver(turn)) => {
                turns.entry(turn.key.clone()).or_default().push((index, turn));
            }
            Ok(QueueMessage::DeliveryRefused(refusal)) => work.push(Work::Refusal(index, refusal)),
            Ok(QueueMessage::RestoreDelivery(delivery)) => work.push(Work::Restore(index, delivery)),
            Err(defect) => {
                let reason = defect.to_string();
                let outcome = Outcome::Bury { reason_code: defect.reason_code(), reason };
                work.push(Work::Decided(index, outcome));
            }
        }
    }
    work.extend(drains.into_iter().map(|(connection, indices)| Work::Drain(indices, connection)));
    work.extend(turns.into_values().map(Work::Turns));
    work.extend(states.into_values().map(|mut states| {
        states.sort_by_cached_key(|(_, receipt)| receipt.order());
        Work::States(states)
    }));
    work
}

/// What the receipts and turns of a batch need to know, each thing once. Drains read for themselves, page by page. Of
/// pairs only what peers say about them is to be checked.
pub(super) fn what_to_read(
    work: &[Work],
    batch: &[QueuedMessage],
) -> (Vec<ReceiptKey>, Vec<AgentDid>, Vec<Pair>) {
    let mut receipts = Vec::new();
    let mut agents = Vec::new();
    let mut pairs = HashSet::new();
    for work in work {
        match work {
            Work::States(states) => {
                if let Some((_, receipt)) = states.first() {
                    receipts.push(receipt.key());
                    agents.push(receipt.sender.clone());
                }
                let from_peers = states.iter().filter(|(index, _)| batch[*index].queue == SourceQueue::Peers);
                pairs.extend(from_peers.map(|(_, receipt)| Pair::of(&receipt.sender, &receipt.recipient)));
            }
            Work::Turns(turns) => agents.extend(turns.first().map(|(_, turn)| turn.key.recipient.clone())),
            Work::Drain(..) | Work::Close(..) | Work::Refusal(..) | Work::Restore(..) | Work::Decided(..) => {
            }
        }
    }
    agents.sort_unstable();
    agents.dedup();
    (receipts, agents, pairs.into_iter().collect())
}

impl Work {
    /// What goes on by a message of its own when this has failed too often.
    pub(super) fn chain(&self) -> Option<Chain> {
        match self {
            Self::Drain(_, connection) => Some(Chain::Drain(connection.clone())),
            Self::Turns(turns) => turns.first().map(|(_, turn)| Chain::Turn(turn.clone())),
            Self::States(_) | Self::Close(..) | Self::Refusal(..) | Self::Restore(..) | Self::Decided(..) => {
                None
            }
        }
    }

    /// Where its messages are in the batch.
    pub(super) fn indices(&self) -> Vec<usize> {
        match self {
            Self::States(states) => states.iter().map(|(index, _)| *index).collect(),
            Self::Turns(turns) => turns.iter().map(|(index, _)| *index).collect(),
            Self::Drain(indices, _) => indices.clone(),
            Self::Close(index, _)
            | Self::Refusal(index, _)
            | Self::Restore(index, _)
            | Self::Decided(index, _) => vec![*index],
        }
    }
}

/// Work that must not end with its message.
pub(super) enum Chain {
    Drain(ConnectionRef),
    Turn(DeliveryTurn),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metric;

    fn message(body: &str) -> QueuedMessage {
        QueuedMessage {
            queue: SourceQueue::Receipts,
            message_id: body.to_owned(),
            receipt_handle: String::new(),
            body: body.to_owned(),
            version: None,
            origin_proxy: None,
            correlation_id: None,
            receive_count: 1,
            sent_ms: 0,
            first_seen_ms: 0,
        }
    }

    #[test]
    fn a_panic_in_parsing_stays_with_its_message() {
        let parse = |body: &str, _: Option<&str>| {
            assert!(body != "bad");
            Err(MessageDefect::UnknownVersion)
        };
        let tally = Tally::default();
        let work = sort_out(&[message("one"), message("bad"), message("two")], parse, &tally);
        assert!(matches!(
            work[..],
            [
                Work::Decided(0, Outcome::Bury { .. }),
                Work::Decided(1, Outcome::Retry(_)),
                Work::Decided(2, Outcome::Bury { .. }),
            ]
        ));
        assert_eq!(tally.of(Metric::RecordPanicked), 1);
    }
}
