//! API Gateway's limits, which the front door has for the emulator, and what the stack makes of them.

use acceptance::connector::{Connector, End, Session, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::stamp;
use backbone::limits::CONNECTION_OPENING_MS;
use serde_json::json;

use crate::fixture::{Duo, connection_id};

fn closed(code: u16) -> impl Fn(&End) -> bool {
    move |end| matches!(end, End::Closed { code: found, .. } if *found == code)
}

/// A receipt posted now arrives on this session, once.
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
        still_delivers(&duo, &mut session).await;
        still_delivers(&duo, &mut session).await;
        assert_eq!((session.receipts().len(), session.end()), (2, None), "{refusals} refusals");
    }
}

/// The row still names the connection when its client is gone: API Gateway answers 410 to the next push. In the first
/// 15 s that could mean that it is not open yet; after them it means that the receipt waits for the next connect.
#[tokio::test]
async fn without_a_disconnect_the_next_push_finds_out() {
    let duo = Duo::paired().await;
    let forgetful = duo.stack.open_door(&json!({ "losesDisconnects": true })).await.unwrap();
    let vanishing = Connector::new(duo.sender.identity().clone(), &forgetful).unwrap();
    let session = vanishing.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    let stale = connection_id(&duo.stack, duo.sender.did()).await;
    assert!(stale.is_some());
    drop(session);
    let began_ms = stamp::now_ms();
    eventually("a connection that cannot be opening any more", async || {
        let age_ms = stamp::now_ms() - began_ms;
        if age_ms > CONNECTION_OPENING_MS { Ok(()) } else { Err(format!("{age_ms} ms old")) }
    })
    .await;
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
