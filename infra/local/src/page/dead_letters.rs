//! Dead letters, with the reasons that they were buried with.

use backbone_aws::{CORRELATION_ID_ATTRIBUTE, VERSION_ATTRIBUTE};
use serde::Serialize;

use super::queues::Message;
use super::receipts::receipt_of;

/// How much of a body is shown.
const BODY_CHARS_MAX: usize = 2_000;

/// A message in a dead-letter queue.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadLetter {
    /// The queue that it came from.
    pub(super) queue: String,
    pub(super) message_id: String,
    /// Absent if SQS itself moved it, having shown it too often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// How often it had been received when it was given up.
    pub(super) receives: u64,
    pub(super) sent_at_ms: u64,
    /// The receipt that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// Whether somebody is handling it now.
    pub(super) held: bool,
    /// Its beginning.
    pub(super) body: String,
}

impl DeadLetter {
    /// A message of the dead-letter queue of `queue`.
    pub(super) fn read(queue: &str, message: &Message) -> Self {
        let text = |name: &str| message.attribute(name).map(str::to_owned);
        let receipt = receipt_of(&message.body, message.attribute(VERSION_ATTRIBUTE));
        Self {
            queue: queue.to_owned(),
            message_id: message.id.clone(),
            reason_code: text("reasonCode"),
            reason: text("reason"),
            receives: message
                .attribute("receiveCount")
                .and_then(|count| count.parse().ok())
                .unwrap_or(message.receive_count),
            sent_at_ms: message.sent_at_ms(),
            request_id: receipt.as_ref().map(|receipt| receipt.request_id.clone()),
            sender: receipt.map(|receipt| receipt.sender),
            correlation_id: text(CORRELATION_ID_ATTRIBUTE),
            version: text(VERSION_ATTRIBUTE),
            held: !message.is_visible,
            body: message.body.chars().take(BODY_CHARS_MAX).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(attributes: &serde_json::Value) -> Message {
        let message = json!({
            "MessageId": "m", "Body": "\u{1f980}".repeat(BODY_CHARS_MAX + 1), "SentTimestamp": 7, "ReceiveCount": 10,
            "IsVisible": true, "MessageAttributes": attributes,
        });
        serde_json::from_value(message).unwrap()
    }

    #[test]
    fn a_letter_that_sqs_moved_has_no_reason_of_ours() {
        let moved = DeadLetter::read("receipts", &message(&json!({})));
        assert_eq!((moved.reason_code, moved.receives, moved.sent_at_ms), (None, 10, 7_000));
        assert_eq!(moved.body.chars().count(), BODY_CHARS_MAX);
        let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
        let buried = message(&json!({ "reasonCode": text("not_json"), "receiveCount": text("1") }));
        let buried = DeadLetter::read("receipts", &buried);
        assert_eq!((buried.reason_code.as_deref(), buried.receives), (Some("not_json"), 1));
    }
}
