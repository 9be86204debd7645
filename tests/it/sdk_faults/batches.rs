//! A batch in which one thing fails.

use std::time::{Duration, Instant};

use acceptance::eventually::PATIENCE;
use acceptance::fault_proxy::{Fault, Operation, Silence};
use acceptance::stamp;
use backbone::connection::{ConnectionHistory, ConnectionRef, ConnectionRow};
use backbone::delivery::{DeliverySettings, QueuedMessage, Verdict, deliver_batch};
use backbone::did::AgentDid;
use backbone::home::KnownHomes;
use backbone::metrics::{Metric, Tally};
use backbone::queue_message::QueueMessage;
use backbone::receipt::{Receipt, Status, StoredReceipt};
use backbone::stores::{
    Claimed, ConnectionStore as _, MailboxItem, ReceiptStore as _, Recorded, SourceQueue,
};

use super::sockets::Socket;
use super::world::{Process, World, new_agent, new_id};

/// The consumer's timeout, in seconds.
const CONSUMER_S: u64 = 30;

const SETTINGS: DeliverySettings = DeliverySettings { retention_s: 600, homes: KnownHomes::alone() };

fn receipt_for(sender: AgentDid) -> Receipt {
    Receipt {
        request_id: new_id(),
        sender,
        recipient: new_agent(),
        status: Status::DeliveredToWebhook,
        reason: None,
        processed_at_ms: stamp::now_ms(),
    }
}

fn queued(body: String) -> QueuedMessage {
    QueuedMessage {
        queue: SourceQueue::Receipts,
        message_id: stamp::new_ulid(),
        receipt_handle: "a-handle".to_owned(),
        body,
        version: None,
        origin_proxy: None,
        correlation_id: None,
        receive_count: 1,
        sent_ms: 6,
        first_seen_ms: 7,
    }
}

/// A receipt for the agent of an open socket that is in the process's table.
async fn receipt_for_socket(process: &Process, socket: &Socket) -> Receipt {
    let newcomer = ConnectionRef {
        agent: AgentDid::parse(&socket.agent).unwrap(),
        connection_id: socket.connection_id.clone(),
        connected_at_ms: stamp::now_ms(),
    };
    let unclaimed = (ConnectionHistory::default(), ConnectionRow::default());
    let claimed = process
        .somebody_else()
        .claim_connection(&newcomer, u64::from(u32::MAX) * 1_000, &unclaimed.0, &unclaimed.1)
        .await;
    assert_eq!(claimed.unwrap(), Claimed::Claimed);
    receipt_for(newcomer.agent)
}

#[tokio::test]
async fn a_push_that_hangs_is_retried_alone() {
    let world = World::create().await;
    let process = world.process().await;
    process.create_queues().await;
    let (hanging, mut live) = (Socket::open().await, Socket::open().await);
    let (unpushed, pushed) =
        (receipt_for_socket(&process, &hanging).await, receipt_for_socket(&process, &live).await);
    let waiting = receipt_for(new_agent());
    let fault = Fault::Lost(Silence::Hang);
    process.proxy.inject_about(Operation::PostToConnection, &hanging.connection_id, fault, usize::MAX);

    let body = |receipt: &Receipt| QueueMessage::DeliveryReceipt(receipt.clone()).to_body();
    let batch = [body(&unpushed), body(&pushed), body(&waiting), "not json".to_owned()].map(queued);
    let begun = Instant::now();
    let verdicts = deliver_batch(&process.invocation(CONSUMER_S), &SETTINGS, &batch, &Tally::default()).await;
    let verdicts_after = begun.elapsed();
    assert!(verdicts_after < Duration::from_secs(CONSUMER_S), "{verdicts_after:?}");

    assert_eq!(verdicts, [Verdict::Retry, Verdict::Done, Verdict::Done, Verdict::Done]);
    let arrived = live.session.next_receipt(PATIENCE).await.unwrap();
    assert_eq!(arrived.frame.original_frame_id, pushed.request_id.to_string());
    let waited = arrived.at.duration_since(begun);
    assert!(waited < verdicts_after / 2, "it came after {waited:?}, the verdicts after {verdicts_after:?}");
    assert!(hanging.session.receipts().is_empty());
    let store = process.somebody_else();
    assert_eq!(store.find(&unpushed.key()).await.unwrap(), None);
    assert!(store.find(&pushed.key()).await.unwrap().is_some_and(|row| row.pushed_at_ms.is_some()));
    let mailbox = store.waiting(&waiting.sender, 10).await.unwrap();
    assert!(matches!(&mailbox[..], [MailboxItem::Readable(kept)] if kept.receipt == waiting), "{mailbox:?}");
    assert_eq!(process.messages(&process.dlq).await, ["not json"]);
    process.delete_queues().await;
}

/// Such a row cannot be replaced, and nothing that can be read stands against the receipt.
#[tokio::test]
async fn a_receipt_behind_a_row_without_a_recipient_is_not_called_overtaken() {
    let world = World::create().await;
    let process = world.process().await;
    process.create_queues().await;
    let receipt = receipt_for(new_agent());
    let damaged = StoredReceipt { receipt: receipt.clone(), pushed_at_ms: Some(8), expires_at_s: u64::MAX };
    assert_eq!(process.somebody_else().record(&damaged).await.unwrap(), Recorded::Stored);
    world.remove_recipient(&receipt).await;
    let tally = Tally::default();
    let batch = [queued(QueueMessage::DeliveryReceipt(receipt).to_body())];
    let verdicts = deliver_batch(&process.invocation(CONSUMER_S), &SETTINGS, &batch, &tally).await;
    assert_eq!(verdicts, [Verdict::Retry]);
    assert_eq!(tally.of(Metric::ReceiptOvertaken), 0);
    process.delete_queues().await;
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_is_retried_but_for_what_needs_no_reading() {
    let world = World::create().await;
    let process = world.process().await;
    process.create_queues().await;
    process.proxy.inject(Operation::BatchGetItem, Fault::Lost(Silence::Hang), usize::MAX);
    let receipt = QueueMessage::DeliveryReceipt(receipt_for(new_agent())).to_body();
    let batch = [receipt, "not json".to_owned()].map(queued);
    let verdicts = deliver_batch(&process.invocation(CONSUMER_S), &SETTINGS, &batch, &Tally::default()).await;
    assert_eq!(verdicts, [Verdict::Retry, Verdict::Done]);
    assert_eq!(process.messages(&process.dlq).await, ["not json"]);
    process.delete_queues().await;
}
