//! The receipts queue's dead-letter queue, for messages that are put there on purpose.

use std::collections::HashMap;

use backbone::stores::{DeadLetter, DeadLetters, StoreError};

use crate::outside::{Invocation, unavailable};
use crate::receipts_queue::{CORRELATION_ID_ATTRIBUTE, VERSION_ATTRIBUTE, attribute};
use crate::settings::RECEIPTS_DLQ_URL;

impl DeadLetters for Invocation<'_> {
    /// The body is the message's own, so that a redrive is a plain move; the reason travels beside it.
    async fn bury(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        const OPERATION: &str = "bury";
        let sending = self
            .aws
            .clients
            .sqs()
            .send_message()
            .queue_url(self.setting(OPERATION, RECEIPTS_DLQ_URL)?)
            .message_body(&letter.body)
            .set_message_attributes(
                letter
                    .version
                    .as_ref()
                    .map(|version| HashMap::from([(VERSION_ATTRIBUTE.to_owned(), attribute(version))])),
            )
            .message_attributes("reasonCode", attribute(letter.reason_code.as_str()))
            .message_attributes("reason", attribute(&letter.reason))
            .message_attributes("receiveCount", attribute(letter.receive_count.to_string()))
            .message_attributes("originalMessageId", attribute(&letter.original_message_id))
            .message_attributes("firstSeenAt", attribute(letter.first_seen_ms.to_string()))
            .message_attributes(CORRELATION_ID_ATTRIBUTE, attribute(&letter.correlation_id))
            .send();
        self.in_time(OPERATION, async { sending.await.map(drop).map_err(unavailable(OPERATION)) }).await
    }
}

#[cfg(test)]
mod tests {
    use backbone::reason_code::ReasonCode;
    use serde_json::json;

    use super::*;
    use crate::stub::{Answer, Stub};

    #[tokio::test]
    async fn a_dead_letter_says_why() {
        let letter = DeadLetter {
            body: "nonsense".to_owned(),
            version: Some("2".to_owned()),
            reason_code: ReasonCode::NotJson,
            reason: "body is not JSON (line 1, column 2)".to_owned(),
            receive_count: 3,
            original_message_id: "m".to_owned(),
            first_seen_ms: 7,
            correlation_id: "c".to_owned(),
        };
        let stub = Stub::answering([Answer::ok(&json!({ "MessageId": "n" }))]).await;
        stub.invocation().bury(&letter).await.unwrap();
        let body = &stub.bodies()[0];
        assert_eq!(body["MessageBody"], "nonsense");
        assert!(body["QueueUrl"].as_str().unwrap().ends_with("/receipts-dlq"));
        for (name, value) in [
            ("reasonCode", "not_json"),
            ("reason", "body is not JSON (line 1, column 2)"),
            ("receiveCount", "3"),
            ("originalMessageId", "m"),
            ("firstSeenAt", "7"),
            ("correlationId", "c"),
            ("version", "2"),
        ] {
            assert_eq!(body["MessageAttributes"][name]["StringValue"], value, "{name}");
        }
    }
}
