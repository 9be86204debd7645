//! An SQS batch in, the messages to show again out; what lies between is [`backbone::delivery`].

use std::collections::HashMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage, SqsMessageAttribute};
use backbone::delivery::{DeliveryOutside, DeliverySettings, QueuedMessage, Verdict, deliver_batch};
use backbone::metrics::Tally;
use backbone::stores::SourceQueue;
use backbone_aws::peers::known_homes;
use backbone_aws::settings::{RECEIPT_RETENTION_SECONDS, RECEIPTS_QUEUE_ARN, Settings, SettingsError};

/// What this function was told by its environment.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// How to deliver.
    pub delivery: DeliverySettings,
    /// The receipts queue, as an event names it.
    pub receipts_queue_arn: String,
}

impl ConsumerSettings {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let retention_s = settings.number(RECEIPT_RETENTION_SECONDS)?;
        Ok(Self {
            delivery: DeliverySettings { retention_s, homes: known_homes(settings)? },
            receipts_queue_arn: settings.text(RECEIPTS_QUEUE_ARN)?.to_owned(),
        })
    }

    /// The queue that an event names. Whatever is not surely this stack's own may have been written by anybody, and is
    /// checked.
    fn queue(&self, arn: Option<&str>) -> SourceQueue {
        if arn == Some(self.receipts_queue_arn.as_str()) { SourceQueue::Receipts } else { SourceQueue::Peers }
    }
}

/// Handles one batch and names the messages that SQS is to show again.
///
/// It never fails as a whole: an error would have SQS show the delivered messages again too.
pub async fn handle<O: DeliveryOutside>(
    outside: &O,
    settings: &ConsumerSettings,
    event: SqsEvent,
    tally: &Tally,
) -> SqsBatchResponse {
    let batch: Vec<QueuedMessage> =
        event.records.into_iter().map(|message| queued_message(settings, message)).collect();
    let verdicts = deliver_batch(outside, &settings.delivery, &batch, tally).await;
    let response = respond(&batch, &verdicts);
    tracing::debug!(
        batch.size = batch.len(),
        batch.retried = response.batch_item_failures.len(),
        "handled a batch"
    );
    response
}

fn respond(batch: &[QueuedMessage], verdicts: &[Verdict]) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for (message, verdict) in batch.iter().zip(verdicts) {
        match verdict {
            Verdict::Done => {}
            Verdict::Retry => response.add_failure(message.message_id.clone()),
        }
    }
    response
}

fn queued_message(settings: &ConsumerSettings, message: SqsMessage) -> QueuedMessage {
    QueuedMessage {
        queue: settings.queue(message.event_source_arn.as_deref()),
        receive_count: number(&message.attributes, "ApproximateReceiveCount").unwrap_or(1),
        first_seen_ms: number(&message.attributes, "ApproximateFirstReceiveTimestamp").unwrap_or(0),
        version: text(&message.message_attributes, "version"),
        origin_proxy: text(&message.message_attributes, "originProxy"),
        correlation_id: text(&message.message_attributes, "correlationId"),
        // Lambda takes an unknown id to mean the whole batch, which shows too much again and loses nothing.
        message_id: message.message_id.unwrap_or_default(),
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}

fn number<T: std::str::FromStr>(attributes: &HashMap<String, String>, name: &str) -> Option<T> {
    attributes.get(name)?.parse().ok()
}

fn text(attributes: &HashMap<String, SqsMessageAttribute>, name: &str) -> Option<String> {
    attributes.get(name)?.string_value.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use backbone::home::KnownHomes;
    use serde_json::json;

    fn event() -> SqsEvent {
        let record = |id: &str| {
            json!({
                "messageId": id, "receiptHandle": "h", "body": "b", "eventSourceARN": "arn:of-receipts",
                "attributes": { "ApproximateReceiveCount": "3", "ApproximateFirstReceiveTimestamp": "7" },
                "messageAttributes": { "version": { "stringValue": "1", "dataType": "String",
                    "stringListValues": [], "binaryListValues": [] } },
            })
        };
        serde_json::from_value(json!({ "Records": [record("a"), record("b"), record("c")] })).unwrap()
    }

    fn settings() -> ConsumerSettings {
        let delivery = DeliverySettings { retention_s: 1, homes: KnownHomes::alone() };
        ConsumerSettings { delivery, receipts_queue_arn: "arn:of-receipts".to_owned() }
    }

    fn batch() -> Vec<QueuedMessage> {
        event().records.into_iter().map(|message| queued_message(&settings(), message)).collect()
    }

    #[test]
    fn only_the_receipts_queue_itself_is_trusted() {
        let queue = |arn| settings().queue(arn);
        assert_eq!(queue(Some("arn:of-receipts")), SourceQueue::Receipts);
        for arn in [None, Some(""), Some("arn:of-receipts-2"), Some("arn:of-peer-receipts")] {
            assert_eq!(queue(arn), SourceQueue::Peers, "{arn:?}");
        }
    }

    #[test]
    fn a_record_brings_its_history() {
        let message = batch().remove(0);
        assert_eq!((message.queue, message.origin_proxy), (SourceQueue::Receipts, None));
        assert_eq!((message.receive_count, message.first_seen_ms), (3, 7));
        assert_eq!(message.version.as_deref(), Some("1"));
        assert_eq!(message.correlation_id, None);
    }

    /// The emulator deletes a batch whose response is misspelt, so the form is pinned here.
    #[test]
    fn only_what_is_to_be_shown_again_is_named_and_spelt_as_lambda_reads_it() {
        let batch = batch();
        let response = respond(&batch, &[Verdict::Done, Verdict::Retry, Verdict::Done]);
        let expected = json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] });
        assert_eq!(serde_json::to_value(response).unwrap(), expected);
        let none = serde_json::to_value(respond(&batch, &[Verdict::Done; 3])).unwrap();
        assert_eq!(none, json!({ "batchItemFailures": [] }));
    }
}
