//! What the backbone itself has to tell an agent: pushed, repeated, acknowledged, refused, waited for.

use acceptance::connector::{Arrival, Connector, OnDelivery, Session};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::stamp;
use aws_sdk_sqs::types::Message;
use backbone::stores::{DeliveryStore as _, Kept};
use serde_json::{Value, json};

use crate::fixture::Told;

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
    let text = |name: &str| letter.message_attributes().unwrap()[name].string_value().unwrap().to_owned();
    (text("reasonCode"), text("reason"))
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
    let strangers_session = stranger.connector.connect().await.unwrap();
    strangers_session.send_text(ack.to_string());
    strangers_session.acknowledged_heartbeat(PATIENCE).await.unwrap();
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
async fn what_waits_for_an_agent_arrives_when_it_connects() {
    let told = Told::answering(OnDelivery::Accept).await;
    assert_eq!(told.keep().await, Kept::New);
    // As if it had been looked for in vain: its next turn is far away.
    told.set("nextAt", stamp::now_ms() + 900_000).await;
    let session = told.connector.connect().await.unwrap();
    session.frame(PATIENCE, is_delivery).await.unwrap();
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
