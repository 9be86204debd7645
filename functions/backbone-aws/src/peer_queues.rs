//! The peers' queues, to which this stack sends and from which it never reads.

use aws_sdk_sqs::config::{Builder, Region};
use backbone::home::ProxyOrigin;
use backbone::queue_message::{MESSAGE_VERSION, QueueMessage};
use backbone::receipt::Receipt;
use backbone::stores::{PeerQueues, StoreError};

use crate::outside::{Invocation, unavailable};
use crate::receipts_queue::{ORIGIN_PROXY_ATTRIBUTE, VERSION_ATTRIBUTE, attribute, trace_attribute};
use crate::settings::PROXY_ORIGIN;

/// It is not among those that the environment names.
#[derive(Debug, thiserror::Error)]
#[error("no queue of {0} is known")]
struct NoQueue(ProxyOrigin);

impl PeerQueues for Invocation<'_> {
    /// The body is what this stack's own queue would get; who says so travels beside it.
    async fn forward(
        &self,
        peer: &ProxyOrigin,
        receipt: &Receipt,
        correlation_id: &str,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "forward";
        let queue =
            self.aws.peer_queues.get(peer).ok_or_else(|| unavailable(OPERATION)(NoQueue(peer.clone())))?;
        let sending = self
            .message(&queue.url, QueueMessage::DeliveryReceipt(receipt.clone()).to_body(), correlation_id)
            .message_attributes(VERSION_ATTRIBUTE, attribute(MESSAGE_VERSION))
            .message_attributes(ORIGIN_PROXY_ATTRIBUTE, attribute(self.setting(OPERATION, PROXY_ORIGIN)?))
            .set_message_system_attributes(self.trace.map(trace_attribute))
            .customize()
            .config_override(Builder::new().region(Region::new(queue.region.clone())));
        self.in_time(OPERATION, async { sending.send().await.map(drop).map_err(unavailable(OPERATION)) })
            .await
    }
}

#[cfg(test)]
mod tests {
    use backbone::did::AgentDid;
    use backbone::id::Id;
    use backbone::receipt::Status;
    use serde_json::{Value, json};

    use super::*;
    use crate::stub::{Answer, Stub};

    fn receipt() -> Receipt {
        let did = |ulid| AgentDid::parse(&format!("did:cdi:a.com:agent:{ulid}")).unwrap();
        Receipt {
            request_id: Id::parse("01KN33X0KRM9Q3MFS6RVPP6F7F").unwrap(),
            sender: did("01KN0HGEG0G5PGG168DAWPBYT2"),
            recipient: did("01KN0HGEG0QK6E4CV6JTD76TK7"),
            status: Status::DeliveredToWebhook,
            reason: None,
            processed_at_ms: 1_775_000_000_000,
        }
    }

    #[tokio::test]
    async fn a_receipt_goes_to_its_senders_home_and_says_where_it_comes_from() {
        for (peer, queue, region) in [
            ("https://peer.com", "/2/peer-receipts", "us-east-1"),
            ("https://far.com", "/3/peer-receipts", "eu-west-1"),
        ] {
            let stub = Stub::answering([Answer::ok(&json!({ "MessageId": "m" }))]).await;
            let peer = ProxyOrigin::parse(peer).unwrap();
            stub.invocation().traced(Some("Root=1-2-3")).forward(&peer, &receipt(), "corr").await.unwrap();
            let body = &stub.bodies()[0];
            assert_eq!(body["QueueUrl"], Value::from(format!("{}{queue}", stub.url())));
            assert_eq!(body["MessageBody"], QueueMessage::DeliveryReceipt(receipt()).to_body());
            for (name, value) in
                [("version", "1"), ("correlationId", "corr"), ("originProxy", "https://own.com")]
            {
                assert_eq!(body["MessageAttributes"][name]["StringValue"], value, "{name}");
            }
            assert_eq!(body["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"], "Root=1-2-3");
            let head = &stub.seen()[0].head;
            assert!(head.contains(&format!("/{region}/sqs/aws4_request")), "signed for its Region: {head}");
        }
    }

    #[tokio::test]
    async fn a_receipt_for_nobody_known_goes_nowhere() {
        let stub = Stub::answering([Answer::HangUp]).await;
        let stranger = ProxyOrigin::parse("https://stranger.com").unwrap();
        assert!(stub.invocation().forward(&stranger, &receipt(), "corr").await.is_err());
        assert!(stub.seen().is_empty());
    }
}
