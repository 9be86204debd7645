//! What SQS hands a function, as far as it is read here, and what it takes back.

use std::collections::BTreeMap;

use backbone::delivery::{QueuedMessage, Verdict};
use backbone::stores::SourceQueue;
use serde::{Deserialize, Serialize};

use crate::http_api::REQUEST_ID_BYTES_MAX;
use crate::receipts_queue::{CORRELATION_ID_ATTRIBUTE, ORIGIN_PROXY_ATTRIBUTE, VERSION_ATTRIBUTE};

/// Longest correlation id that is taken over, in bytes: a client's own request id becomes one. It goes into every line
/// and into the mailbox, and what a peer or a registry sends could be any text.
const CORRELATION_ID_BYTES_MAX: usize = REQUEST_ID_BYTES_MAX;

/// One batch.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SqsEvent {
    /// Its messages.
    pub records: Vec<SqsMessage>,
}

/// One message, whose sender may be anybody who may send to its queue.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SqsMessage {
    message_id: Option<String>,
    receipt_handle: Option<String>,
    body: Option<String>,
    attributes: SystemAttributes,
    message_attributes: BTreeMap<String, MessageAttribute>,
    #[serde(rename = "eventSourceARN")]
    source_arn: Option<String>,
}

/// What SQS says of a message. A struct, as most of what SQS says is of no use here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SystemAttributes {
    approximate_receive_count: Option<String>,
    approximate_first_receive_timestamp: Option<String>,
    sent_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MessageAttribute {
    string_value: Option<String>,
}

impl SqsMessage {
    /// The queue that shows it, by its ARN.
    #[must_use]
    pub fn source_arn(&self) -> Option<&str> {
        self.source_arn.as_deref()
    }

    /// The message as `queue` shows it.
    #[must_use]
    pub fn of(mut self, queue: SourceQueue) -> QueuedMessage {
        let sent_ms = number(self.attributes.sent_timestamp.as_deref()).unwrap_or_default();
        let mut text =
            |name| self.message_attributes.remove(name).and_then(|attribute| attribute.string_value);
        QueuedMessage {
            queue,
            version: text(VERSION_ATTRIBUTE),
            origin_proxy: text(ORIGIN_PROXY_ATTRIBUTE),
            correlation_id: text(CORRELATION_ID_ATTRIBUTE).filter(|id| is_correlation_id(id)),
            receive_count: number(self.attributes.approximate_receive_count.as_deref()).unwrap_or(1),
            sent_ms,
            first_seen_ms: number(self.attributes.approximate_first_receive_timestamp.as_deref())
                .unwrap_or(sent_ms),
            // Lambda takes an unknown id to mean the whole batch, which shows too much again and loses nothing.
            message_id: self.message_id.unwrap_or_default(),
            receipt_handle: self.receipt_handle.unwrap_or_default(),
            body: self.body.unwrap_or_default(),
        }
    }
}

fn number<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

fn is_correlation_id(text: &str) -> bool {
    (1..=CORRELATION_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What SQS takes back: the messages to be shown again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

/// The answer to a batch that has come to these verdicts, which are in its order. Logs how it went.
#[must_use]
pub fn respond(batch: &[QueuedMessage], verdicts: &[Verdict]) -> BatchResponse {
    let failures: Vec<_> = batch
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| match verdict {
            Verdict::Done => false,
            Verdict::Retry => true,
        })
        .map(|(message, _)| BatchItemFailure { item_identifier: message.message_id.clone() })
        .collect();
    tracing::debug!(batch.size = batch.len(), batch.retried = failures.len(), "handled a batch");
    BatchResponse { batch_item_failures: failures }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn batch(queue: SourceQueue) -> Vec<QueuedMessage> {
        let text = |value: &str| json!({ "stringValue": value, "dataType": "String", "stringListValues": [], "binaryListValues": [] });
        let record = |id: &str| {
            json!({
                "messageId": id, "receiptHandle": "h", "body": "b", "md5OfBody": "m",
                "eventSource": "aws:sqs", "eventSourceARN": "arn:q", "awsRegion": "us-east-1",
                "attributes": { "ApproximateReceiveCount": "3", "ApproximateFirstReceiveTimestamp": "7",
                    "SentTimestamp": "5", "SenderId": "s" },
                "messageAttributes": { "version": text("1"), "originProxy": text("https://p"),
                    "correlationId": text("c-1"), "binary": { "binaryValue": "AA==", "dataType": "Binary" } },
            })
        };
        let event = json!({ "Records": [record("a"), record("b"), record("c")] });
        let event: SqsEvent = serde_json::from_value(event).unwrap();
        assert!(event.records.iter().all(|message| message.source_arn() == Some("arn:q")));
        event.records.into_iter().map(|message| message.of(queue)).collect()
    }

    #[test]
    fn a_message_brings_its_history() {
        let expected = QueuedMessage {
            queue: SourceQueue::Events,
            message_id: "a".to_owned(),
            receipt_handle: "h".to_owned(),
            body: "b".to_owned(),
            version: Some("1".to_owned()),
            origin_proxy: Some("https://p".to_owned()),
            correlation_id: Some("c-1".to_owned()),
            receive_count: 3,
            sent_ms: 5,
            first_seen_ms: 7,
        };
        assert_eq!(batch(SourceQueue::Events)[0], expected);
    }

    #[test]
    fn a_message_may_say_nothing() {
        let message: SqsMessage = serde_json::from_value(json!({ "body": null })).unwrap();
        assert_eq!(message.source_arn(), None);
        let message = message.of(SourceQueue::Receipts);
        let QueuedMessage { receive_count, sent_ms, first_seen_ms, correlation_id, .. } = message;
        assert_eq!((receive_count, sent_ms, first_seen_ms, correlation_id), (1, 0, 0, None));
    }

    #[test]
    fn what_is_no_correlation_id_is_ignored() {
        let longest = "x".repeat(CORRELATION_ID_BYTES_MAX);
        for (id, is_taken) in [
            ("Fz1bXF7UDoEFgfA=", true),
            (longest.as_str(), true),
            ("", false),
            (&format!("{longest}x"), false),
            ("two words", false),
            ("line\nbreak", false),
            ("\u{e9}", false),
        ] {
            let message = json!({ "messageAttributes": { "correlationId": { "stringValue": id } } });
            let message: SqsMessage = serde_json::from_value(message).unwrap();
            assert_eq!(message.of(SourceQueue::Peers).correlation_id.is_some(), is_taken, "{id}");
        }
    }

    /// The emulator deletes a batch whose response is misspelt, so the form is pinned here.
    #[test]
    fn only_what_is_to_be_shown_again_is_named_and_spelt_as_lambda_reads_it() {
        let batch = batch(SourceQueue::Receipts);
        let answer =
            |verdicts: &[Verdict]| -> Value { serde_json::to_value(respond(&batch, verdicts)).unwrap() };
        let expected = json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] });
        assert_eq!(answer(&[Verdict::Done, Verdict::Retry, Verdict::Done]), expected);
        assert_eq!(answer(&[Verdict::Done; 3]), json!({ "batchItemFailures": [] }));
    }
}
