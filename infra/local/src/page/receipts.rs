//! Receipts, each put together from all the places where it is.

use std::collections::BTreeMap;

use backbone::queue_message::QueueMessage;
use backbone_aws::{CORRELATION_ID_ATTRIBUTE, VERSION_ATTRIBUTE};
use serde::Serialize;

use super::dead_letters::DeadLetter;
use super::queues::Message;
use super::tables::Item;

/// What the sort key of a waiting item begins with.
const WAITING_PREFIX: &str = "waiting#";

/// How far a receipt has come. One that is in several places is in the last of them in this order: where somebody is
/// needed most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "&'static str")]
pub(super) enum Stage {
    /// It is stored, and neither pushed nor in the mailbox: its consumer is at work.
    #[default]
    Recorded,
    /// API Gateway has taken its frame.
    Pushed,
    /// In the mailbox of a sender who is away.
    Waiting,
    /// On a queue, on its way to the consumer.
    Queued,
    /// In the dead-letter queue.
    Dead,
}

impl From<Stage> for &'static str {
    fn from(stage: Stage) -> Self {
        stage.name()
    }
}

impl Stage {
    /// As it is written in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Pushed => "pushed",
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Dead => "dead",
        }
    }
}

/// A receipt as the page shows it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) request_id: String,
    pub(super) sender: String,
    pub(super) recipient: String,
    /// What the recipient says: `delivered_to_webhook` or `dead_lettered`.
    pub(super) status: String,
    /// Why, if the recipient says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) stage: Stage,
    pub(super) accepted_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pushed_at_ms: Option<u64>,
    /// How often the consumer has had it, while it is on the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receives: Option<u64>,
    /// Why it is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<String>,
}

/// Receipts by sender and request.
#[derive(Default)]
pub(super) struct Receipts(BTreeMap<(String, String), Receipt>);

impl Receipts {
    /// From the table's items, the queue's messages and the dead letters.
    pub(super) fn gather(items: &[Item], queued: &[Message], dead: &[DeadLetter]) -> Self {
        let mut receipts = Self::default();
        for item in items {
            receipts.add_item(item);
        }
        for message in queued {
            receipts.add_queued(message);
        }
        for letter in dead {
            receipts.add_dead(letter);
        }
        receipts
    }

    /// Latest first.
    pub(super) fn latest_first(self) -> Vec<Receipt> {
        let mut receipts: Vec<_> = self.0.into_values().collect();
        receipts.sort_by_key(|receipt| std::cmp::Reverse(receipt.accepted_at_ms));
        receipts
    }

    fn add_item(&mut self, item: &Item) {
        let found = Receipt {
            request_id: item.text("requestId").unwrap_or_default(),
            sender: item.text("senderAgentDid").unwrap_or_default(),
            recipient: item.text("recipientAgentDid").unwrap_or_default(),
            status: item.text("status").unwrap_or_default(),
            reason: item.text("reason"),
            accepted_at_ms: item.number("processedAt").unwrap_or_default(),
            pushed_at_ms: item.number("pushedAt"),
            correlation_id: item.text("correlationId"),
            stage: match item.text("item") {
                Some(name) if name.starts_with(WAITING_PREFIX) => Stage::Waiting,
                _ if item.number("pushedAt").is_some() => Stage::Pushed,
                _ => Stage::Recorded,
            },
            ..Receipt::default()
        };
        self.merge(found);
    }

    fn add_queued(&mut self, message: &Message) {
        let Some(receipt) = receipt_of(&message.body, message.attribute(VERSION_ATTRIBUTE)) else { return };
        self.merge(Receipt {
            stage: Stage::Queued,
            receives: Some(message.receive_count),
            correlation_id: message.attribute(CORRELATION_ID_ATTRIBUTE).map(str::to_owned),
            ..receipt
        });
    }

    fn add_dead(&mut self, letter: &DeadLetter) {
        let Some(receipt) = receipt_of(&letter.body, letter.version.as_deref()) else { return };
        self.merge(Receipt {
            stage: Stage::Dead,
            reason_code: letter.reason_code.clone(),
            correlation_id: letter.correlation_id.clone(),
            ..receipt
        });
    }

    /// The later state is what the receipt says; the place that needs somebody most is where it is.
    fn merge(&mut self, found: Receipt) {
        let known = self.0.entry((found.sender.clone(), found.request_id.clone())).or_default();
        let (mut later, earlier) = if found.accepted_at_ms >= known.accepted_at_ms {
            (found, std::mem::take(known))
        } else {
            (std::mem::take(known), found)
        };
        later.stage = later.stage.max(earlier.stage);
        later.pushed_at_ms = later.pushed_at_ms.or(earlier.pushed_at_ms);
        later.receives = later.receives.or(earlier.receives);
        later.reason_code = later.reason_code.or(earlier.reason_code);
        later.correlation_id = later.correlation_id.or(earlier.correlation_id);
        *known = later;
    }
}

/// The receipt that a message is about, if it is about one.
pub(super) fn receipt_of(body: &str, version: Option<&str>) -> Option<Receipt> {
    let Ok(QueueMessage::DeliveryReceipt(receipt)) = QueueMessage::parse(body, version) else { return None };
    Some(Receipt {
        request_id: receipt.request_id.to_string(),
        sender: receipt.sender.to_string(),
        recipient: receipt.recipient.to_string(),
        status: receipt.status.as_str().to_owned(),
        reason: receipt.reason,
        accepted_at_ms: receipt.processed_at_ms,
        ..Receipt::default()
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue::{N, S};

    use super::*;

    const REQUEST: &str = "01KN33X0KRM9Q3MFS6RVPP6F7F";
    const SENDER: &str = "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";

    fn item(name: &str, processed_at_ms: u64) -> Item {
        Item::from([
            ("senderAgentDid", S(SENDER.to_owned())),
            ("item", S(name.to_owned())),
            ("requestId", S(REQUEST.to_owned())),
            ("processedAt", N(processed_at_ms.to_string())),
        ])
    }

    fn letter() -> DeadLetter {
        let recipient = "did:cdi:a.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";
        let body = format!(
            r#"{{"type":"delivery_receipt","requestId":"{REQUEST}","senderAgentDid":"{SENDER}",
            "recipientAgentDid":"{recipient}","status":"dead_lettered","processedAt":"2026-03-31T23:33:20.000Z"}}"#
        );
        DeadLetter { body, reason_code: Some("frame_too_large".to_owned()), ..DeadLetter::default() }
    }

    fn only(receipts: Receipts) -> Receipt {
        let mut all = receipts.latest_first();
        assert_eq!(all.len(), 1, "one receipt, wherever it is");
        all.remove(0)
    }

    #[test]
    fn a_receipt_is_where_somebody_is_needed_most() {
        let row = item(REQUEST, 5);
        assert_eq!(only(Receipts::gather(std::slice::from_ref(&row), &[], &[])).stage, Stage::Recorded);
        let waiting = item("waiting#0000000000005#x#y", 5);
        let both = [row, waiting];
        assert_eq!(only(Receipts::gather(&both, &[], &[])).stage, Stage::Waiting);
        let dead = only(Receipts::gather(&both, &[], &[letter()]));
        assert_eq!(dead.stage, Stage::Dead);
        assert_eq!(dead.reason_code.as_deref(), Some("frame_too_large"));
        assert_eq!(dead.accepted_at_ms, 1_775_000_000_000, "the later state is what it says");
    }

    #[test]
    fn the_latest_receipt_comes_first_and_what_is_no_receipt_not_at_all() {
        let other = Item::from([("requestId", S("other".to_owned())), ("processedAt", N("9".to_owned()))]);
        let all = Receipts::gather(&[item(REQUEST, 5), other], &[], &[DeadLetter::default()]).latest_first();
        assert_eq!(all.iter().map(|receipt| receipt.accepted_at_ms).collect::<Vec<_>>(), [9, 5]);
    }
}
