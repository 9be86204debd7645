//! What the backbone itself has to tell an agent: pushed, repeated, acknowledged, refused, waited for.

use std::collections::BTreeSet;

use acceptance::connector::{Arrival, Connector, OnDelivery, Receipt, Session, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::stamp;
use aws_sdk_sqs::types::Message;
use backbone::stores::{DeliveryStore as _, Kept};
use serde_json::{Value, json};

use crate::fixture::{MailboxRows, Told, logged, text};

fn is_delivery(arrival: &Arrival) -> bool {
    arrival.text.contains("\"type\":\"deliver\"")
}

/// All deliveries that a session has received, once there are so many.
async fn deliveries(session: &Session, count: usize) -> Vec<Arrival> {
    eventually("deliveries", async || {
        let arrived: Vec<_> = session.frames().into_iter().filter(is_delivery).collect();
        if arrived.len() >= count { Ok(arrived) } else { Err(format!("{:?}", session.frames())) }
    })
    .await
}

fn reason_of(letter: &Message) -> (String, String) {
    (text(letter, "reasonCode"), text(letter, "reason"))
}

#[tokio::test]
async fn what_an_agent_is_told_arrives_and_its_acknowledgement_ends_it() {
    let told = Told::answering(OnDelivery::Accept).await;
    let session = told.connector.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    assert_eq!(told.keep().await, Kept::New);
    assert_eq!(told.keep().await, Kept::Known, "the same event again is the same delivery");
    told.take_turn().await;
    let arrived = session.frame(PATIENCE, is_delivery).await.unwrap();
    assert!(arrived.rust.is_ok() && arrived.typescript.is_ok(), "{arrived:?}");
    let frame: Value = serde_json::from_str(&arrived.text).unwrap();
    assert_eq!(frame["id"], told.delivery.delivery_id.to_string());
    assert_eq!(frame["toAgentDid"], told.connector.did());
    assert_eq!(frame["payload"], told.delivery.payload);
    assert_eq!(frame["deliverySource"], "proxy.events.queue.pair_accepted");
    told.is_done().await;
    assert_eq!(session.end(), None);
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_as_the_same_frame() {
    let told = Told::answering(OnDelivery::Ignore).await;
    let session = told.connector.connect().await.unwrap();
    assert_eq!(told.keep().await, Kept::New);
    told.take_turn().await;
    told.is_noted(1).await;
    // A message that comes before its time pushes nothing; one that comes when it is due does.
    told.take_turn().await;
    told.stack.receipts_queue().drained().await.unwrap();
    assert_eq!(deliveries(&session, 1).await.len(), 1);
    told.set("nextAt", 0).await;
    told.take_turn().await;
    let arrived = deliveries(&session, 2).await;
    assert_eq!(arrived[0].text, arrived[1].text);
    told.is_noted(2).await;
    // Somebody else's acknowledgement does not count.
    let ack = json!({ "v": 1, "type": "deliver_ack", "id": stamp::new_ulid(), "ts": stamp::now_iso(),
        "ackId": told.delivery.delivery_id.to_string(), "accepted": true });
    let stranger = Told::answering(OnDelivery::Ignore).await;
    let since_ms = stamp::now_ms();
    let strangers_session = stranger.connector.connect().await.unwrap();
    strangers_session.send_text(ack.to_string());
    let outputs = &told.stack.outputs;
    let let_in =
        logged(&told.stack, &outputs.authorizer_function, since_ms, "the stranger's socket", |line| {
            line["agent.did"] == stranger.connector.did()
        });
    let id = let_in.await["correlation.id"].clone();
    // Of what it has sent, only this is on no route of its own.
    logged(&told.stack, &outputs.connection_function, since_ms, "its frame", |line| {
        line["correlation.id"] == id && line["route"] == "Default"
    })
    .await;
    told.is_noted(2).await;
    session.send_text(ack.to_string());
    told.is_done().await;
}

#[tokio::test]
async fn what_is_refused_is_a_dead_letter_and_a_redrive_begins_it_anew() {
    let told = Told::answering(OnDelivery::Refuse("no such webhook\u{7}")).await;
    let session = told.connector.connect().await.unwrap();
    assert_eq!(told.keep().await, Kept::New);
    told.take_turn().await;
    told.is_done().await;
    let letter = told.dead_letter().await;
    let expected = "its recipient's connector refused it: no such webhook ";
    assert_eq!(reason_of(&letter), ("delivery_refused".to_owned(), expected.to_owned()));
    session.close().await.unwrap();

    // By the time of the redrive the connector has been mended.
    let mended = Connector::new(told.connector.identity().clone(), &told.stack.proxy_url).unwrap();
    let session = mended.connect().await.unwrap();
    told.stack.receipts_queue().send(letter.body().unwrap()).await.unwrap();
    session.frame(PATIENCE, is_delivery).await.unwrap();
    told.is_done().await;
}

#[tokio::test]
async fn what_waits_for_an_agent_arrives_when_it_connects_and_before_its_receipts() {
    let told = Told::answering(OnDelivery::Accept).await;
    told.stack.pair(told.connector.did(), told.peer.did()).await.unwrap();
    let receipt = Receipt {
        request_id: stamp::new_ulid(),
        sender_agent_did: told.connector.did().to_owned(),
        recipient_agent_did: told.peer.did().to_owned(),
        status: Status::DeliveredToWebhook,
        reason: None,
    };
    assert_eq!(told.peer.post_receipt(&receipt).await.unwrap().status, 202);
    assert_eq!(told.keep().await, Kept::New);
    // Its recipient is looked for in vain, twice.
    for _ in 0..2 {
        told.set("nextAt", 0).await;
        told.take_turn().await;
        let put_off = eventually("a turn in vain", async || match told.stored().await.unwrap() {
            stored if stored.next_at_ms > 0 => Ok(stored),
            stored => Err(format!("{stored:?}")),
        });
        assert_eq!(put_off.await.attempts, 0, "who is away uses up no push");
    }
    told.stack.receipts_queue().drained().await.unwrap();
    let rows = MailboxRows::of(&told.stack, told.connector.did()).await;
    assert_eq!(rows.waiting, BTreeSet::from([receipt.request_id.clone()]));

    let mut session = told.connector.connect().await.unwrap();
    let received = session.next_receipt(PATIENCE).await.unwrap();
    assert_eq!(received.frame.original_frame_id, receipt.request_id);
    let about = session.frames().into_iter().filter(|arrival| !arrival.text.contains("heartbeat"));
    let order: Vec<_> = about.map(|arrival| is_delivery(&arrival)).collect();
    assert_eq!(order, [true, false], "the delivery, then the receipt");
    told.is_done().await;
}

#[tokio::test]
async fn what_nobody_comes_for_or_acknowledges_is_a_dead_letter() {
    for (attribute, value, reason_code) in
        [("waitsUntil", stamp::now_s(), "delivery_expired"), ("attempts", 25, "delivery_unacknowledged")]
    {
        let told = Told::answering(OnDelivery::Ignore).await;
        assert_eq!(told.keep().await, Kept::New);
        told.set(attribute, value).await;
        told.take_turn().await;
        told.is_done().await;
        assert_eq!(reason_of(&told.dead_letter().await).0, reason_code);
    }
}

#[tokio::test]
async fn nothing_is_told_to_a_revoked_agent() {
    let told = Told::answering(OnDelivery::Accept).await;
    let session = told.connector.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    told.stack.revoke(told.connector.did()).await.unwrap();
    assert_eq!(told.keep().await, Kept::New);
    told.take_turn().await;
    // It has had its turn, and waits.
    eventually("the turn on record", async || {
        let found = told.invocation().find_delivery(&told.delivery.key()).await;
        let stored = found.map_err(|error| error.to_string())?.ok_or("no delivery")?;
        if stored.next_at_ms > 0 { Ok(()) } else { Err(format!("{stored:?}")) }
    })
    .await;
    assert!(!session.frames().iter().any(is_delivery));
}
