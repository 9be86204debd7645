//! The events queue, as `POST /v1/events` adds to it.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use backbone::stores::{EventQueue, EventSent, StoreError};

use crate::outside::{Invocation, unavailable};
use crate::receipts_queue::{CORRELATION_ID_ATTRIBUTE, attribute, trace_attribute};
use crate::settings::EVENTS_QUEUE_URL;

impl EventQueue for Invocation<'_> {
    /// One call, in which SQS answers for each event.
    async fn send_events(
        &self,
        bodies: &[String],
        correlation_id: &str,
    ) -> Result<Vec<EventSent>, StoreError> {
        const OPERATION: &str = "send_events";
        let entries = bodies.iter().enumerate().map(|(index, body)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .message_attributes(CORRELATION_ID_ATTRIBUTE, attribute(correlation_id))
                .set_message_system_attributes(self.trace.map(trace_attribute))
                .build()
        });
        let entries = entries.collect::<Result<_, _>>().map_err(unavailable(OPERATION))?;
        let sending = self
            .aws
            .clients
            .sqs()
            .send_message_batch()
            .queue_url(self.setting(OPERATION, EVENTS_QUEUE_URL)?)
            .set_entries(Some(entries));
        let answer =
            self.in_time(OPERATION, async { sending.send().await.map_err(unavailable(OPERATION)) }).await?;
        for failed in answer.failed() {
            tracing::warn!(event.index = failed.id(), sqs.code = failed.code(), "SQS refused an event");
        }
        let is_durable =
            |index: usize| answer.successful().iter().any(|entry| entry.id() == index.to_string());
        let sent = |index| if is_durable(index) { EventSent::Durable } else { EventSent::Refused };
        Ok((0..bodies.len()).map(sent).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stub::{Answer, Stub};

    async fn send(answer: Answer, bodies: &[&str]) -> (Result<Vec<EventSent>, StoreError>, Stub) {
        let stub = Stub::answering([answer]).await;
        let bodies: Vec<_> = bodies.iter().map(|body| (*body).to_owned()).collect();
        let sent = stub.invocation().send_events(&bodies, "corr").await;
        (sent, stub)
    }

    #[tokio::test]
    async fn each_event_has_an_answer_of_its_own() {
        let answer = json!({
            "Successful": [{ "Id": "1", "MessageId": "m", "MD5OfMessageBody": "x" }],
            "Failed": [{ "Id": "0", "Code": "InternalError", "SenderFault": false }],
        });
        let (sent, stub) = send(Answer::ok(&answer), &["{}", "[]"]).await;
        assert_eq!(sent.unwrap(), [EventSent::Refused, EventSent::Durable]);
        let entries = &stub.bodies()[0]["Entries"];
        assert_eq!((&entries[0]["MessageBody"], &entries[1]["MessageBody"]), (&json!("{}"), &json!("[]")));
        assert_eq!(entries[1]["MessageAttributes"]["correlationId"]["StringValue"], "corr");
    }

    #[tokio::test]
    async fn silence_is_not_taken_for_success() {
        let nothing = json!({ "Successful": [], "Failed": [] });
        assert_eq!(send(Answer::ok(&nothing), &["{}"]).await.0.unwrap(), [EventSent::Refused]);
        assert!(send(Answer::HangUp, &["{}"]).await.0.is_err());
    }
}
