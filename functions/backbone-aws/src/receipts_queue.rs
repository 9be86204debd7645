//! The receipts queue, and the queue beside it to which peers send.

use std::collections::HashMap;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityError;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use backbone::queue_message::{MESSAGE_VERSION, QueueMessage};
use backbone::stores::{ReceiptQueue, SourceQueue, StoreError};

use crate::outside::{Invocation, unavailable};
use crate::settings::{EVENTS_QUEUE_URL, PEER_QUEUE_URL, RECEIPTS_QUEUE_URL};

/// The attribute with the version of a message.
pub const VERSION_ATTRIBUTE: &str = "version";
/// The attribute with the id that follows a receipt through the system.
pub const CORRELATION_ID_ATTRIBUTE: &str = "correlationId";
/// The attribute with the origin of the proxy that a message comes from; only what peers send has it.
pub const ORIGIN_PROXY_ATTRIBUTE: &str = "originProxy";

/// A text as a message attribute.
pub(crate) fn attribute(value: impl Into<String>) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .expect("it has a data type, which is all that is required")
}

/// The trace header, where X-Ray looks for it: the consumer's trace goes on from there.
pub(crate) fn trace_attribute(
    trace: &str,
) -> HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue> {
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace);
    let value = value.build().expect("it has a data type, which is all that is required");
    HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)])
}

impl Invocation<'_> {
    /// A message with what each has that is sent by this code.
    pub(crate) fn message(
        &self,
        queue_url: &str,
        body: impl Into<String>,
        correlation_id: &str,
    ) -> SendMessageFluentBuilder {
        let sending = self.aws.clients.sqs().send_message().queue_url(queue_url).message_body(body);
        sending.message_attributes(CORRELATION_ID_ATTRIBUTE, attribute(correlation_id))
    }
}

impl ReceiptQueue for Invocation<'_> {
    async fn send(
        &self,
        message: &QueueMessage,
        correlation_id: &str,
        delay_s: u32,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "send";
        let sending = self
            .message(self.setting(OPERATION, RECEIPTS_QUEUE_URL)?, message.to_body(), correlation_id)
            .delay_seconds(seconds(delay_s))
            .message_attributes(VERSION_ATTRIBUTE, attribute(MESSAGE_VERSION))
            .set_message_system_attributes(self.trace.map(trace_attribute));
        self.in_time(OPERATION, async { sending.send().await.map(drop).map_err(unavailable(OPERATION)) })
            .await
    }

    /// A handle whose message is gone, or is no longer ours, leaves nothing to do.
    async fn show_again(
        &self,
        queue: SourceQueue,
        receipt_handle: &str,
        after_s: u32,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "show_again";
        let queue_url = match queue {
            SourceQueue::Receipts => RECEIPTS_QUEUE_URL,
            SourceQueue::Peers => PEER_QUEUE_URL,
            SourceQueue::Events => EVENTS_QUEUE_URL,
        };
        let change = self
            .aws
            .clients
            .sqs()
            .change_message_visibility()
            .queue_url(self.setting(OPERATION, queue_url)?)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds(after_s));
        self.in_time(OPERATION, async {
            match change.send().await {
                Ok(_) => Ok(()),
                Err(error) if error.as_service_error().is_some_and(is_gone) => Ok(()),
                Err(error) => Err(unavailable(OPERATION)(error)),
            }
        })
        .await
    }
}

fn is_gone(error: &ChangeMessageVisibilityError) -> bool {
    error.code().is_some_and(is_not_held)
}

/// Whether SQS refuses a handle because its time is over, or its message is gone. AWS puts a namespace before some of
/// these codes.
pub(crate) fn is_not_held(code: &str) -> bool {
    let name = code.rsplit_once('.').map_or(code, |(_, name)| name);
    matches!(name, "MessageNotInflight" | "ReceiptHandleIsInvalid" | "InvalidParameterValue")
}

fn seconds(seconds: u32) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use backbone::connection::ConnectionRef;
    use backbone::did::AgentDid;
    use serde_json::{Value, json};

    use super::*;
    use crate::stub::{Answer, Stub};

    #[tokio::test]
    async fn a_message_carries_its_version_its_correlation_id_and_its_trace() {
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        let connection = ConnectionRef { agent, connection_id: "c=".to_owned(), connected_at_ms: 0 };
        let message = QueueMessage::Connected(connection);
        let stub = Stub::answering([Answer::ok(&json!({ "MessageId": "m" }))]).await;
        stub.invocation().traced(Some("Root=1-2-3")).send(&message, "corr", 1).await.unwrap();
        let body = &stub.bodies()[0];
        assert_eq!(body["MessageBody"], Value::from(message.to_body()));
        assert_eq!(body["DelaySeconds"], 1);
        assert_eq!(body["MessageAttributes"]["version"]["StringValue"], "1");
        assert_eq!(body["MessageAttributes"]["correlationId"]["StringValue"], "corr");
        assert_eq!(body["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"], "Root=1-2-3");
    }

    #[tokio::test]
    async fn a_message_that_is_gone_needs_no_more_hiding() {
        let refused = |kind: &str| Answer::Http(400, json!({ "__type": kind, "message": "no" }).to_string());
        for (kind, ok) in [
            ("com.amazonaws.sqs#ReceiptHandleIsInvalid", true),
            ("com.amazonaws.sqs#MessageNotInflight", true),
            ("AWS.SimpleQueueService.MessageNotInflight", true),
            ("com.amazonaws.sqs#InvalidParameterValue", true),
            ("com.amazonaws.sqs#QueueDoesNotExist", false),
        ] {
            let stub = Stub::answering([refused(kind)]).await;
            for (queue, url) in [(SourceQueue::Receipts, "/receipts"), (SourceQueue::Peers, "/peer-receipts")]
            {
                assert_eq!(stub.invocation().show_again(queue, "handle", 4).await.is_ok(), ok, "{kind}");
                let bodies = stub.bodies();
                assert!(bodies.last().unwrap()["QueueUrl"].as_str().unwrap().ends_with(url), "{queue:?}");
            }
        }
    }
}
