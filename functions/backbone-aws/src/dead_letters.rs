//! The dead-letter queues, for messages that are put there on purpose.

use backbone::stores::{DeadLetter, DeadLetters, SourceQueue, StoreError};

use crate::outside::{Invocation, unavailable};
use crate::receipts_queue::{ORIGIN_PROXY_ATTRIBUTE, VERSION_ATTRIBUTE, attribute};
use crate::settings::{EVENTS_DLQ_URL, PEER_DLQ_URL, RECEIPTS_DLQ_URL};

const REASON_CODE_ATTRIBUTE: &str = "reasonCode";
const REASON_ATTRIBUTE: &str = "reason";
const RECEIVE_COUNT_ATTRIBUTE: &str = "receiveCount";
pub(crate) const ORIGINAL_MESSAGE_ID_ATTRIBUTE: &str = "originalMessageId";
const FIRST_SEEN_AT_ATTRIBUTE: &str = "firstSeenAt";

/// What a burial adds to a message. A redrive takes it off again; everything else is the message's own.
pub(crate) const BURIAL_ATTRIBUTES: [&str; 5] = [
    REASON_CODE_ATTRIBUTE,
    REASON_ATTRIBUTE,
    RECEIVE_COUNT_ATTRIBUTE,
    ORIGINAL_MESSAGE_ID_ATTRIBUTE,
    FIRST_SEEN_AT_ATTRIBUTE,
];

impl DeadLetters for Invocation<'_> {
    async fn bury(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        const OPERATION: &str = "bury";
        let queue_url = match letter.queue {
            SourceQueue::Receipts => RECEIPTS_DLQ_URL,
            SourceQueue::Peers => PEER_DLQ_URL,
            SourceQueue::Events => EVENTS_DLQ_URL,
        };
        let burial = [
            (REASON_CODE_ATTRIBUTE, attribute(letter.reason_code.as_str())),
            (REASON_ATTRIBUTE, attribute(&letter.reason)),
            (RECEIVE_COUNT_ATTRIBUTE, attribute(letter.receive_count.to_string())),
            (ORIGINAL_MESSAGE_ID_ATTRIBUTE, attribute(&letter.original_message_id)),
            (FIRST_SEEN_AT_ATTRIBUTE, attribute(letter.first_seen_ms.to_string())),
        ];
        let as_sent = [(VERSION_ATTRIBUTE, &letter.version), (ORIGIN_PROXY_ATTRIBUTE, &letter.origin_proxy)];
        let as_sent =
            as_sent.into_iter().filter_map(|(name, value)| Some((name, attribute(value.as_deref()?))));
        let queue_url = self.setting(OPERATION, queue_url)?;
        let letter = self.message(queue_url, &letter.body, &letter.correlation_id);
        let letter = burial
            .into_iter()
            .chain(as_sent)
            .fold(letter, |letter, (name, value)| letter.message_attributes(name, value));
        self.in_time(OPERATION, async { letter.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }
}

#[cfg(test)]
mod tests {
    use backbone::reason_code::ReasonCode;
    use serde_json::json;

    use super::*;
    use crate::stub::{Answer, Stub};

    fn letter(queue: SourceQueue, origin_proxy: Option<&str>) -> DeadLetter {
        DeadLetter {
            queue,
            origin_proxy: origin_proxy.map(str::to_owned),
            body: "nonsense".to_owned(),
            version: Some("2".to_owned()),
            reason_code: ReasonCode::NotJson,
            reason: "body is not JSON (line 1, column 2)".to_owned(),
            receive_count: 3,
            original_message_id: "m".to_owned(),
            first_seen_ms: 7,
            correlation_id: "c".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_dead_letter_says_why() {
        let letter = letter(SourceQueue::Receipts, None);
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
        assert!(body["MessageAttributes"].get("originProxy").is_none());
    }

    #[tokio::test]
    async fn what_a_peer_sent_is_kept_apart_and_still_says_who_sent_it() {
        let stub = Stub::answering([Answer::ok(&json!({ "MessageId": "n" }))]).await;
        stub.invocation().bury(&letter(SourceQueue::Peers, Some("https://peer.com"))).await.unwrap();
        let body = &stub.bodies()[0];
        assert!(body["QueueUrl"].as_str().unwrap().ends_with("/peer-receipts-dlq"));
        assert_eq!(body["MessageAttributes"]["originProxy"]["StringValue"], "https://peer.com");
    }
}
