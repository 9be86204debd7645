//! A call within an invocation that is nearly over.

use std::time::{Duration, Instant};

use acceptance::fault_proxy::{Fault, Operation, Silence};
use backbone::connection::ConnectionRef;
use backbone::queue_message::QueueMessage;
use backbone::stores::{
    Clock as _, Gateway as _, NonceStore as _, ReceiptQueue as _, StoreError, TrustStore as _,
};
use backbone::trust::TrustQuestion;
use backbone_aws::Invocation;
use futures_util::future::join_all;

use super::world::{Process, World, new_agent, new_id};

const LEFT_S: u64 = 3;

async fn call(invocation: &Invocation<'_>, operation: Operation) -> Result<(), StoreError> {
    let agent = new_agent();
    match operation {
        Operation::BatchGetItem => {
            let question = TrustQuestion { agent, ait_jti: new_id(), pair: None, access_hash: None };
            invocation.trust(&question).await.map(drop)
        }
        Operation::PutItem => invocation.claim_nonce(&agent, "hash", 7).await.map(drop),
        Operation::UpdateItem => invocation.add_requests(&agent, 7, 1).await.map(drop),
        Operation::GetItem => invocation.agent_revoked(&agent).await.map(drop),
        Operation::SendMessage => {
            let socket = ConnectionRef { agent, connection_id: "a-socket".to_owned(), connected_at_ms: 7 };
            invocation.send(&QueueMessage::Connected(socket), "correlation", 0).await
        }
        Operation::PostToConnection => invocation.push("a-socket", "{}").await.map(drop),
        Operation::DeleteConnection | Operation::DeleteItem => invocation.close("a-socket").await.map(drop),
        Operation::DeleteMessage => unreachable!("the event source deletes what a function has handled"),
        Operation::ChangeMessageVisibilityBatch
        | Operation::DeleteMessageBatch
        | Operation::ReceiveMessage
        | Operation::SendMessageBatch => unreachable!("only operators go through queues"),
    }
}

/// Every call gives up in time, and no further one is begun.
async fn give_up(process: &Process, operation: Operation) {
    process.proxy.inject(operation, Fault::Lost(Silence::Hang), usize::MAX);
    let begun = Instant::now();
    let invocation = process.invocation(LEFT_S);
    let answer = call(&invocation, operation).await;
    let took = begun.elapsed();
    assert!(matches!(answer, Err(StoreError::OutOfTime { .. })), "{operation:?}: {answer:?}");
    assert!(took < Duration::from_secs(LEFT_S), "{operation:?}: {} ms", took.as_millis());
    assert_eq!(invocation.time_left_ms(), 0, "{operation:?}");
    let requests = process.proxy.seen(operation);
    let answer = call(&invocation, operation).await;
    assert!(matches!(answer, Err(StoreError::OutOfTime { .. })), "{operation:?}: {answer:?}");
    assert_eq!(process.proxy.seen(operation), requests, "{operation:?}");
}

#[tokio::test]
async fn a_call_gives_up_before_its_invocation_is_over() {
    let world = World::create().await;
    let operations = [
        Operation::BatchGetItem,
        Operation::DeleteConnection,
        Operation::GetItem,
        Operation::PostToConnection,
        Operation::PutItem,
        Operation::SendMessage,
        Operation::UpdateItem,
    ];
    let world = &world;
    let cases = operations.map(|operation| async move {
        let process = world.process().await;
        give_up(&process, operation).await;
    });
    join_all(cases).await;
}
