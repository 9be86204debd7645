//! API Gateway's limits, which the front door has for the emulator, and what the stack makes of them.

use acceptance::connector::{Connector, End, Session, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue;
use backbone::limits::CONNECTION_OPENING_MS;
use serde_json::json;

use crate::fixture::{Duo, connection_id, connection_row, logged, receipts_handled, says};

/// How often the SDK makes a call that is refused.
const TRIES_OF_THE_SDK: u32 = 4;

fn closed(code: u16) -> impl Fn(&End) -> bool {
    move |end| matches!(end, End::Closed { code: found, .. } if *found == code)
}

/// A receipt posted now is the next that arrives on this session.
async fn still_delivers(duo: &Duo, session: &mut Session) {
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
    let received = session.next_receipt(PATIENCE).await.unwrap();
    assert_eq!(received.frame.original_frame_id, receipt.request_id);
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_only_its_own_socket() {
    let duo = Duo::paired().await;
    let cut = duo.sender.connect().await.unwrap();
    let bystander = duo.recipient.connect().await.unwrap();
    cut.send_text("x".repeat(32 * 1024 + 1));
    let end = cut.ended(PATIENCE).await.unwrap();
    assert!(closed(1009)(&end), "{end:?}");
    bystander.acknowledged_heartbeat(PATIENCE).await.unwrap();
    let mut session = duo.sender.connect().await.unwrap();
    still_delivers(&duo, &mut session).await;
    assert_eq!(bystander.end(), None);
}

#[tokio::test]
async fn an_idle_socket_is_closed_and_what_comes_meanwhile_waits() {
    let duo = Duo::paired().await;
    let short_of_patience = duo.stack.open_door(&json!({ "idleMs": 500 })).await.unwrap();
    let idle = Connector::new(duo.sender.identity().clone(), &short_of_patience).unwrap();
    // One heartbeat at once and none after it, as of a connector that hangs.
    let session = idle.connect().await.unwrap();
    let end = session.ended(PATIENCE).await.unwrap();
    assert!(closed(1001)(&end), "{end:?}");
    eventually("a forgotten connection", async || match connection_id(&duo.stack, duo.sender.did()).await {
        None => Ok(()),
        Some(id) => Err(id),
    })
    .await;
    let receipt = duo.receipt(Status::DeadLettered, Some("while away"));
    assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
    eventually("a stored receipt", async || {
        let answer = duo.sender.get_receipt(&receipt.request_id, duo.recipient.did()).await.unwrap();
        if answer.status == 200 { Ok(()) } else { Err(answer.body) }
    })
    .await;
    let mut session = duo.sender.connect().await.unwrap();
    let received = session.next_receipt(PATIENCE).await.unwrap();
    assert_eq!(received.frame.original_frame_id, receipt.request_id);
}

/// The SDK tries four times; what is refused more often comes back through the queue.
#[tokio::test]
async fn a_throttled_push_is_made_later_and_once() {
    for refusals in [2, 5] {
        let duo = Duo::paired().await;
        let mut session = duo.sender.connect().await.unwrap();
        let connection_id = connection_id(&duo.stack, duo.sender.did()).await.unwrap();
        duo.stack.throttle(&connection_id, refusals).await.unwrap();
        let since_ms = stamp::now_ms();
        still_delivers(&duo, &mut session).await;
        if refusals > TRIES_OF_THE_SDK {
            let frame_id = session.receipts()[0].frame.id.clone();
            let consumer = &duo.stack.outputs.consumer_function;
            logged(&duo.stack, consumer, since_ms, "a refused push", |line| {
                line["frame.id"] == frame_id.as_str() && says(line, "a push failed")
            })
            .await;
        }
        still_delivers(&duo, &mut session).await;
        receipts_handled(&duo.stack, duo.sender.did()).await;
        session.answers(PATIENCE).await.unwrap();
        assert_eq!((session.receipts().len(), session.end()), (2, None), "{refusals} refusals");
    }
}

/// Makes the sender's connection so much older, as time would.
async fn has_been_open(duo: &Duo, for_ms: u64) {
    let row = connection_row(&duo.stack, duo.sender.did()).await.unwrap();
    let connected_at_ms: u64 = row["connectedAt"].as_n().unwrap().parse().unwrap();
    let update = duo.stack.dynamodb().update_item().table_name(&duo.stack.outputs.connections_table);
    update
        .key("agentDid", AttributeValue::S(duo.sender.did().to_owned()))
        .condition_expression("connectionId = :id")
        .update_expression("SET connectedAt = :at")
        .expression_attribute_values(":id", row["connectionId"].clone())
        .expression_attribute_values(":at", AttributeValue::N((connected_at_ms - for_ms).to_string()))
        .send()
        .await
        .unwrap();
}

/// The row still names the connection when its client is gone: API Gateway answers 410 to the next push. In the first
/// 25 s that could mean that it is not open yet; after them it means that the receipt waits for the next connect.
#[tokio::test]
async fn without_a_disconnect_the_next_push_finds_out() {
    let duo = Duo::paired().await;
    let forgetful = duo.stack.open_door(&json!({ "losesDisconnects": true })).await.unwrap();
    let vanishing = Connector::new(duo.sender.identity().clone(), &forgetful).unwrap();
    let session = vanishing.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    let stale = connection_id(&duo.stack, duo.sender.did()).await;
    assert!(stale.is_some());
    // Its close is kept from the API, and answered when nothing is handed to this client any more.
    session.close().await.unwrap();
    has_been_open(&duo, CONNECTION_OPENING_MS + 1_000).await;
    assert_eq!(connection_id(&duo.stack, duo.sender.did()).await, stale, "nobody has told");
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
    eventually("a connection found gone", async || match connection_id(&duo.stack, duo.sender.did()).await {
        None => Ok(()),
        still => {
            assert_eq!(still, stale);
            Err("still there".to_owned())
        }
    })
    .await;
    let mut session = duo.sender.connect().await.unwrap();
    let received = session.next_receipt(PATIENCE).await.unwrap();
    assert_eq!(received.frame.original_frame_id, receipt.request_id);
    still_delivers(&duo, &mut session).await;
    assert_eq!(session.receipts().len(), 2);
}
