//! An SQS batch in, the messages to show again out; what lies between is [`backbone::delivery`].

use std::collections::HashMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage, SqsMessageAttribute};
use backbone::delivery::{DeliveryOutside, DeliverySettings, QueuedMessage, Verdict, deliver_batch};
use backbone::metrics::Tally;
use backbone_aws::settings::{RECEIPT_RETENTION_SECONDS, Settings, SettingsError};

/// The numbers of delivery as the environment gives them.
///
/// # Errors
///
/// If a setting cannot be used.
pub fn delivery_settings(settings: &Settings) -> Result<DeliverySettings, SettingsError> {
    Ok(DeliverySettings { retention_s: settings.number(RECEIPT_RETENTION_SECONDS)? })
}

/// Handles one batch and names the messages that SQS is to show again.
///
/// It never fails as a whole: an error would have SQS show the delivered messages again too.
pub async fn handle<O: DeliveryOutside>(
    outside: &O,
    settings: DeliverySettings,
    event: SqsEvent,
    tally: &Tally,
) -> SqsBatchResponse {
    let batch: Vec<QueuedMessage> = event.records.into_iter().map(queued_message).collect();
    let verdicts = deliver_batch(outside, settings, &batch, tally).await;
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

fn queued_message(message: SqsMessage) -> QueuedMessage {
    QueuedMessage {
        receive_count: number(&message.attributes, "ApproximateReceiveCount").unwrap_or(1),
        first_seen_ms: number(&message.attributes, "ApproximateFirstReceiveTimestamp").unwrap_or(0),
        version: text(&message.message_attributes, "version"),
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
    use serde_json::json;

    fn event() -> SqsEvent {
        let record = |id: &str| {
            json!({
                "messageId": id, "receiptHandle": "h", "body": "b",
                "attributes": { "ApproximateReceiveCount": "3", "ApproximateFirstReceiveTimestamp": "7" },
                "messageAttributes": { "version": { "stringValue": "1", "dataType": "String",
                    "stringListValues": [], "binaryListValues": [] } },
            })
        };
        serde_json::from_value(json!({ "Records": [record("a"), record("b"), record("c")] })).unwrap()
    }

    #[test]
    fn a_record_brings_its_history() {
        let message = queued_message(event().records.remove(0));
        assert_eq!((message.receive_count, message.first_seen_ms), (3, 7));
        assert_eq!(message.version.as_deref(), Some("1"));
        assert_eq!(message.correlation_id, None);
    }

    /// The emulator deletes a batch whose response is misspelt, so the form is pinned here.
    #[test]
    fn only_what_is_to_be_shown_again_is_named_and_spelt_as_lambda_reads_it() {
        let batch: Vec<_> = event().records.into_iter().map(queued_message).collect();
        let response = respond(&batch, &[Verdict::Done, Verdict::Retry, Verdict::Done]);
        let expected = json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] });
        assert_eq!(serde_json::to_value(response).unwrap(), expected);
        let none = serde_json::to_value(respond(&batch, &[Verdict::Done; 3])).unwrap();
        assert_eq!(none, json!({ "batchItemFailures": [] }));
    }
}
