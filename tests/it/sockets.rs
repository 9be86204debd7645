//! What is said over a socket besides receipts, and who may open one.

use std::time::Duration;

use acceptance::connector::{ConnectError, Connector, Session, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::stamp;
use serde_json::{Value, json};

use crate::fixture::{Duo, connection_id};
use crate::negatives::handshake_refused;

fn frame(kind: &str, extra: &Value) -> Value {
    let mut frame = json!({ "v": 1, "type": kind, "id": stamp::new_ulid(), "ts": stamp::now_iso() });
    for (name, value) in extra.as_object().unwrap() {
        frame[name] = value.clone();
    }
    frame
}

async fn answer(session: &Session, kind: &str) -> Value {
    let found =
        session.frame(PATIENCE, |arrival| arrival.text.contains(&format!("\"{kind}\""))).await.unwrap();
    assert!(found.rust.is_ok() && found.typescript.is_ok(), "{found:?}");
    serde_json::from_str(&found.text).unwrap()
}

#[tokio::test]
async fn heartbeats_are_acknowledged() {
    let duo = Duo::paired().await;
    let session = duo.sender.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn an_enqueue_is_refused_in_words() {
    let duo = Duo::paired().await;
    let session = duo.sender.connect().await.unwrap();
    let enqueue =
        frame("enqueue", &json!({ "toAgentDid": duo.recipient.did(), "payload": { "message": "hi" } }));
    session.send_text(enqueue.to_string());
    let answer = answer(&session, "enqueue_ack").await;
    assert_eq!((&answer["ackId"], &answer["accepted"]), (&enqueue["id"], &json!(false)));
    assert!(answer["reason"].as_str().unwrap().len() > 20);
}

#[tokio::test]
async fn nonsense_is_ignored_and_the_socket_stays_open() {
    let duo = Duo::paired().await;
    let mut session = duo.sender.connect().await.unwrap();
    let (did, ulid) = (duo.sender.did(), stamp::new_ulid());
    let wrong_way = [
        frame("receipt", &json!({ "originalFrameId": ulid, "toAgentDid": did, "status": "dead_lettered" })),
        frame("deliver", &json!({ "fromAgentDid": did, "toAgentDid": did, "payload": {} })),
        frame("enqueue_ack", &json!({ "ackId": ulid, "accepted": true })),
        frame("heartbeat_ack", &json!({ "ackId": ulid })),
        frame("deliver_ack", &json!({ "ackId": ulid, "accepted": true })),
        frame("deliver_ack", &json!({ "ackId": 7, "accepted": "yes" })),
        frame("notice", &json!({})),
    ];
    for text in wrong_way.iter().map(Value::to_string) {
        session.send_text(text);
    }
    let broken_heartbeat = json!({ "v": 1, "type": "heartbeat", "id": "not a ulid" }).to_string();
    let broken_enqueue = json!({ "type": "enqueue" }).to_string();
    for text in ["", "ping", "[]", "{", "{\"type\":null}", "\u{0}", &broken_heartbeat, &broken_enqueue] {
        session.send_text(text);
    }
    session.send_text("x".repeat(30_000));
    session.send_binary(vec![0xff, 0xfe, 0x00]);
    session.send_binary(frame("heartbeat", &json!({})).to_string());
    // What is on a route that answers is answered, if only by a heartbeat: the connector's own rules still hold.
    answer(&session, "heartbeat").await;

    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    duo.recipient.post_receipt(&receipt).await.unwrap();
    assert_eq!(session.next_receipt(PATIENCE).await.unwrap().frame.original_frame_id, receipt.request_id);
    assert_eq!(session.end(), None, "{:?}", session.frames());
    for arrival in session.frames() {
        assert!(arrival.typescript.is_ok(), "{arrival:?}");
    }
}

#[tokio::test]
async fn the_newest_connection_is_the_one_that_is_pushed_to() {
    let duo = Duo::paired().await;
    let older = duo.sender.connect().await.unwrap();
    let mut newer = duo.sender.connect().await.unwrap();
    older.ended(PATIENCE).await.unwrap();
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    duo.recipient.post_receipt(&receipt).await.unwrap();
    newer.next_receipt(PATIENCE).await.unwrap();
    assert!(older.receipts().is_empty());
    assert_eq!(newer.end(), None);
}

#[tokio::test]
async fn a_socket_that_closes_is_forgotten() {
    let duo = Duo::paired().await;
    let session = duo.sender.connect().await.unwrap();
    let before = connection_id(&duo.stack, duo.sender.did()).await;
    assert!(before.is_some());
    session.close().await.unwrap();
    eventually("no connection", async || match connection_id(&duo.stack, duo.sender.did()).await {
        None => Ok(()),
        Some(id) => Err(id),
    })
    .await;
}

#[tokio::test]
async fn an_agent_without_any_pair_may_connect() {
    let duo = Duo::strangers().await;
    let session = duo.sender.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_refused_handshake_is_401() {
    let duo = Duo::paired().await;
    let refused = async |code: &str, handshake: ConnectError, since_ms: u64| {
        assert_eq!(handshake.status(), Some(401), "{code}");
        handshake_refused(&duo.stack, since_ms, code).await;
    };
    let without = async |header: &str| {
        duo.sender.connect_with(|request| request.without_header(header)).await.err().unwrap()
    };
    // The emulator does not ask the authorizer.
    assert_eq!(without("Authorization").await.status(), Some(401));
    let since_ms = stamp::now_ms();
    refused("PROXY_AGENT_ACCESS_REQUIRED", without("X-Claw-Agent-Access").await, since_ms).await;
    let since_ms = stamp::now_ms();
    let other_path = duo.sender.connect_with(|request| request.signed_path("/elsewhere")).await;
    refused("PROXY_AUTH_INVALID_PROOF", other_path.err().unwrap(), since_ms).await;
    let since_ms = stamp::now_ms();
    let with_query = format!("{}/v1/relay/connect?x=1", duo.stack.proxy_url);
    let with_query = Connector::new(duo.sender.identity().clone(), &with_query).unwrap().connect().await;
    refused("PROXY_AUTH_INVALID_PROOF", with_query.err().unwrap(), since_ms).await;
    duo.stack.revoke(duo.sender.did()).await.unwrap();
    let since_ms = stamp::now_ms();
    refused("PROXY_AUTH_REVOKED", duo.sender.connect().await.err().unwrap(), since_ms).await;
}

#[tokio::test]
async fn api_gateway_itself_takes_what_carries_the_front_doors_secret() {
    let duo = Duo::paired().await;
    let stage = format!("/{}", duo.stack.outputs.web_socket_stage);
    let direct =
        Connector::dialling(duo.sender.identity().clone(), &duo.stack.web_socket_url, &stage).unwrap();
    let direct = direct.heartbeat_every(Duration::from_secs(5));
    let secret = &duo.stack.origin_secret;
    let session = direct.connect_with(|request| request.header("X-Origin-Verify", secret)).await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();

    // The emulator's word for a refusal; at the front door it is 401, as at API Gateway.
    assert_eq!(direct.connect().await.err().and_then(|error| error.status()), Some(500));
    let guess = "0".repeat(secret.len());
    let guessed = direct.connect_with(|request| request.header("X-Origin-Verify", &guess)).await;
    assert_eq!(guessed.err().and_then(|error| error.status()), Some(500));
}
