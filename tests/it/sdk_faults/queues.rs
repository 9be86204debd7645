//! Sending. What is sent twice is there twice: consumers tell repetitions by their content.

use acceptance::fault_proxy::{Operation, Refusal};
use backbone::connection::ConnectionRef;
use backbone::queue_message::QueueMessage;
use backbone::reason_code::ReasonCode;
use backbone::stores::{DeadLetter, DeadLetters as _, ReceiptQueue as _, SourceQueue, StoreError};
use backbone_aws::Invocation;

use super::matrix::{Call, Row, nonsense, run, spoiled, throttled, unanswered, undone};
use super::world::{Process, World, new_agent};

struct Send(QueueMessage);

impl Call for Send {
    type Answer = ();
    const OPERATION: Operation = Operation::SendMessage;

    async fn prepare(_: &World, process: &Process) -> Self {
        process.create_queues().await;
        let connection =
            ConnectionRef { agent: new_agent(), connection_id: "a-socket".to_owned(), connected_at_ms: 7 };
        Self(QueueMessage::Connected(connection))
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<(), StoreError> {
        invocation.send(&self.0, "correlation", 0).await
    }

    async fn check(&self, process: &Process, carried_out: usize) {
        assert_eq!(process.messages(&process.receipts_queue).await, vec![self.0.to_body(); carried_out]);
        process.delete_queues().await;
    }
}

struct Bury(DeadLetter);

impl Call for Bury {
    type Answer = ();
    const OPERATION: Operation = Operation::SendMessage;

    async fn prepare(_: &World, process: &Process) -> Self {
        process.create_queues().await;
        Self(DeadLetter {
            queue: SourceQueue::Receipts,
            body: "not json".to_owned(),
            version: None,
            origin_proxy: None,
            reason_code: ReasonCode::NotJson,
            reason: "body is not JSON (line 1, column 2)".to_owned(),
            receive_count: 1,
            original_message_id: "a-message".to_owned(),
            first_seen_ms: 7,
            correlation_id: "correlation".to_owned(),
        })
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<(), StoreError> {
        invocation.bury(&self.0).await
    }

    async fn check(&self, process: &Process, carried_out: usize) {
        assert_eq!(process.messages(&process.dlq).await, vec![self.0.body.clone(); carried_out]);
        process.delete_queues().await;
    }
}

fn rows() -> Vec<Row<()>> {
    let mut rows =
        [undone(()), unanswered(()), spoiled(()), nonsense()].into_iter().flatten().collect::<Vec<_>>();
    for refusal in [
        Refusal::in_body(400, "com.amazon.coral.availability#ThrottlingException"),
        Refusal::in_body(400, "com.amazonaws.sqs#RequestThrottled"),
    ] {
        rows.extend(throttled(refusal, ()));
    }
    rows
}

#[tokio::test]
async fn a_message_is_sent_or_known_not_to_be() {
    tokio::join!(run::<Send>(rows()), run::<Bury>(rows()));
}
