use std::net::SocketAddr;

use axum::Router;
use ed25519_dalek::SigningKey;
use futures_util::{SinkExt as _, StreamExt as _};
use local::front_door::{self, Door, Limits, PUSHES_PER_SECOND, Upstreams};
use local::registry::{Entropy, Registry};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::registry_client::{Endpoint, Fault, RegistryClient};
use crate::stamp;

const LIMIT: Duration = Duration::from_secs(10);

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors.json")).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// The agent of the vectors whose passport a request carries.
fn identity_behind(vectors: &Value, request: &Value) -> Identity {
    let token = text(&request["headers"], "X-Claw-Agent-Access");
    let agents = vectors["agents"].as_object().unwrap();
    let agent = agents.values().find(|agent| agent["accessToken"] == token).unwrap();
    serde_json::from_value(json!({
        "agentDid": agent["did"],
        "ait": text(&request["headers"], "Authorization").strip_prefix("Claw ").unwrap(),
        "accessToken": token,
        "jti": "not in the request",
        "key": agent["secretKeyB64url"],
    }))
    .unwrap()
}

#[test]
fn the_proofs_of_the_vectors_are_reproduced() {
    let vectors = vectors();
    let positive = vectors["positive"].as_array().unwrap();
    assert!(!positive.is_empty());
    for vector in positive {
        let request = &vector["request"];
        let headers = &request["headers"];
        let (timestamp, nonce) = (text(headers, "X-Claw-Timestamp"), text(headers, "X-Claw-Nonce"));
        let body = text(request, "body");
        let canonical = canonical_string(
            text(request, "method"),
            text(request, "pathWithQuery"),
            timestamp,
            nonce,
            &body_hash(body.as_bytes()),
        );
        assert_eq!(canonical, text(request, "canonicalString"));

        let unsigned = match text(request, "method") {
            "GET" => Request::get(text(request, "pathWithQuery")),
            _ => Request::post(text(request, "pathWithQuery"), body),
        };
        let identity = identity_behind(&vectors, request);
        let signed = unsigned.timestamp(timestamp).nonce(nonce).sign(&identity);
        for (name, value) in headers.as_object().unwrap() {
            // The WebSocket library adds these.
            let is_ours = !matches!(name.as_str(), "Connection" | "Upgrade") && !name.starts_with("Sec-");
            assert!(!is_ours || signed.header(name) == value.as_str(), "{name} of {}", vector["name"]);
        }
    }
}

#[test]
fn the_bodies_and_queries_of_the_vectors_are_reproduced() {
    let vectors = vectors();
    let vector = |name| {
        let positive = vectors["positive"].as_array().unwrap();
        &positive.iter().find(|vector| vector["name"] == name).unwrap()["request"]
    };
    let rust = text(vector("receipt_post_delivered_rust_shape"), "body");
    assert_eq!(serde_json::from_str::<Receipt>(rust).unwrap().rust_body(), rust);
    let typescript = text(vector("receipt_post_dead_lettered_ts_shape"), "body");
    let processed_at = serde_json::from_str::<Value>(typescript).unwrap();
    let receipt: Receipt = serde_json::from_str(typescript).unwrap();
    assert_eq!(receipt.typescript_body(text(&processed_at, "processedAt")), typescript);
    assert!(!Receipt { reason: None, ..receipt }.typescript_body("x").contains("reason"));

    let recipient = text(&vectors["agents"]["recipient"], "did");
    let lookup = vector("receipt_get_not_found");
    let signed = Request::get_receipt("01KN33X0KRM9Q3MFS6RVPP6F7F", recipient)
        .sign(&identity_behind(&vectors, lookup));
    assert_eq!(signed.path_and_query, text(lookup, "pathWithQuery"));
}

#[test]
fn a_request_is_spoiled_in_one_way_only() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let identity = Identity::new("did".into(), "ait".into(), "clw_agt_x".into(), "jti".into(), key);
    let sign = |request: Request| request.timestamp("1").nonce("n").sign(&identity);
    let sound = sign(Request::post(RECEIPTS_PATH, "{}"));
    assert_eq!(sound.header("authorization"), Some("Claw ait"));

    let scheme = sign(Request::post(RECEIPTS_PATH, "{}").scheme("Bearer"));
    assert_eq!(scheme.header("authorization"), Some("Bearer ait"));
    assert_eq!(scheme.header("x-claw-proof"), sound.header("x-claw-proof"));

    let swapped = sign(Request::post(RECEIPTS_PATH, "{}").body_after_signing("[]"));
    assert_eq!((swapped.body.as_slice(), &swapped.headers), (b"[]".as_slice(), &sound.headers));

    let elsewhere = sign(Request::post(RECEIPTS_PATH, "{}").signed_path("/prod"));
    assert_ne!(elsewhere.header("x-claw-proof"), sound.header("x-claw-proof"));
    assert_eq!(elsewhere.path_and_query, RECEIPTS_PATH);

    let headers =
        sign(Request::post(RECEIPTS_PATH, "{}").without_header("x-claw-nonce").header("X-CLAW-PROOF", "no"));
    assert_eq!((headers.header("x-claw-nonce"), headers.header("x-claw-proof")), (None, Some("no")));
    assert_eq!(headers.headers.len(), sound.headers.len() - 1);
}

async fn serve(router: impl FnOnce(SocketAddr) -> Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = router(address);
    tokio::spawn(async { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn registry() -> RegistryClient {
    let url = serve(|address| {
        Registry::new(&format!("http://{address}"), None, Entropy::from_seed("test")).router()
    })
    .await;
    RegistryClient::new(&url)
}

/// A WebSocket API that sends `greetings`, acknowledges heartbeats, and closes with 4001 on any other text.
async fn websocket_api(greetings: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            for greeting in greetings {
                socket.send(Message::text(*greeting)).await.unwrap();
            }
            while let Some(Ok(message)) = socket.next().await {
                let Ok(frame) = serde_json::from_slice::<Value>(&message.into_data()) else {
                    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
                        code: 4001.into(),
                        reason: "told to".into(),
                    };
                    let _ = socket.close(Some(frame)).await;
                    continue;
                };
                if frame["type"] == "heartbeat" {
                    let ack = json!({
                        "v": 1, "type": "heartbeat_ack", "id": stamp::new_ulid(), "ts": stamp::now_iso(),
                        "ackId": frame["id"],
                    });
                    socket.send(Message::text(ack.to_string())).await.unwrap();
                }
            }
        }
    });
    address
}

async fn proxy(websocket_api: SocketAddr) -> String {
    serve(|address| {
        let http = format!("http://{address}/nothing-here");
        let upstreams = Upstreams::new(&http, &format!("ws://{websocket_api}/local")).unwrap();
        front_door::router(Door::new(upstreams, Limits::default(), PUSHES_PER_SECOND))
    })
    .await
}

#[tokio::test]
async fn a_session_through_the_front_door_is_kept_alive_until_it_is_closed() {
    let registry = registry().await;
    let identity = registry.register("alpha").await.unwrap();
    let proxy = proxy(websocket_api(&[]).await).await;
    let connector = Connector::new(identity, &proxy).unwrap().heartbeat_every(Duration::from_millis(20));
    let session = connector.connect().await.unwrap();
    session.acknowledged_heartbeat(LIMIT).await.unwrap();
    crate::eventually::eventually("three heartbeats", async || {
        let answered = session.heartbeats().iter().filter(|beat| beat.acknowledged.is_some()).count();
        if answered >= 3 { Ok(()) } else { Err(format!("{answered} answered")) }
    })
    .await;
    assert!(session.frames().iter().all(|frame| frame.typescript.is_ok() && frame.rust.is_ok()));
    session.send_text("please close");
    let end = session.ended(LIMIT).await.unwrap();
    assert_eq!(end, End::Closed { code: 4001, reason: "told to".to_owned() });
}

#[tokio::test]
async fn receipts_are_taken_in_order_and_what_is_no_frame_ends_the_session() {
    let proxy = proxy(
        websocket_api(&[
            r#"{"v":1,"type":"receipt","id":"01KN33X5G027E3J3NFDGEM863F","ts":"t","originalFrameId":"01KN33X0KRM9Q3MFS6RVPP6F7F","toAgentDid":"did:cdi:a.b:agent:01KN0HGEG0QK6E4CV6JTD76TK7","status":"dead_lettered","reason":"no"}"#,
            r#"{"message": "Internal server error", "connectionId":"abc=", "requestId":"xyz="}"#,
        ])
        .await,
    )
    .await;
    let identity = registry().await.register("alpha").await.unwrap();
    let mut session = Connector::new(identity, &proxy).unwrap().connect().await.unwrap();
    let receipt = session.next_receipt(LIMIT).await.unwrap().frame;
    assert_eq!((receipt.status, receipt.reason.as_deref()), (Status::DeadLettered, Some("no")));
    assert!(
        matches!(session.ended(LIMIT).await.unwrap(), End::Unparsable(text) if text.contains("Internal"))
    );
    let missing = session.next_receipt(LIMIT).await.unwrap_err();
    assert!(missing.to_string().contains("Unparsable"), "{missing}");
    // Its timestamp is one that only the Rust connector takes.
    assert!(session.frames()[0].typescript.is_err());
}

#[tokio::test]
async fn a_refused_handshake_says_why() {
    let nowhere = proxy(SocketAddr::from(([127, 0, 0, 1], 1))).await;
    let identity = registry().await.register("alpha").await.unwrap();
    let connector = Connector::new(identity, &nowhere).unwrap();
    let refused = connector.connect().await.err().unwrap();
    assert_eq!(refused.status(), Some(502));
    let without_upgrade = connector.send(Request::get(CONNECT_PATH)).await.unwrap();
    assert_eq!(without_upgrade.status, 426);
    assert_eq!(without_upgrade.error_code(), Some("PROXY_RELAY_UPGRADE_REQUIRED"));
}

#[tokio::test]
async fn the_registry_knows_sessions_revocations_and_outages() {
    let url = serve(|address| {
        Registry::new(&format!("http://{address}"), Some("http://door"), Entropy::from_seed("test")).router()
    })
    .await;
    let registry = RegistryClient::new(&url);
    let http = http_client();
    let get =
        async |path: &str| HttpAnswer::read(http.get(format!("{url}{path}")).send().await).await.unwrap();
    let validate = async |token: &str, body: String| {
        let request = http.post(format!("{url}/v1/agents/auth/validate"));
        let request = request.header("x-claw-agent-access", token).body(body);
        HttpAnswer::read(request.send().await).await.unwrap().status
    };
    let claim = |agent: &Identity| json!({"agentDid": agent.agent_did, "aitJti": agent.jti}).to_string();

    let old = registry.register("alpha").await.unwrap();
    assert_eq!(get("/v1/metadata").await.json, json!({"proxyUrl": "http://door"}));
    assert_eq!(get("/.well-known/claw-keys.json").await.json["keys"][0]["status"], "active");
    let no_list = get("/v1/crl").await;
    assert_eq!((no_list.status, no_list.error_code()), (404, Some("CRL_NOT_FOUND")));
    assert_eq!(validate(&old.access_token, claim(&old)).await, 204);
    assert_eq!(validate("clw_agt_other", claim(&old)).await, 401);
    assert_eq!(validate(&old.access_token, "{}".to_owned()).await, 400);

    let new = registry.reissue(&old).await.unwrap();
    assert_eq!(validate(&old.access_token, claim(&old)).await, 401);
    assert_eq!(validate(&new.access_token, claim(&new)).await, 204);
    registry.revoke(&new.agent_did).await.unwrap();
    assert_eq!(validate(&new.access_token, claim(&new)).await, 401);
    assert_eq!(get("/v1/crl").await.json["crl"].as_str().unwrap().split('.').count(), 3);

    registry.set_fault(Endpoint::Crl, Fault::Unavailable).await.unwrap();
    assert_eq!((get("/v1/crl").await.status, get("/v1/metadata").await.status), (503, 200));
    registry.set_fault(Endpoint::Crl, Fault::None).await.unwrap();
    assert_eq!(get("/v1/crl").await.status, 200);
}
