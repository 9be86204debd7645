//! AWS and the registry as the functions call them: fixed answers, every call counted.
//!
//! The world it plays: every agent has an open socket unless the scene says otherwise, all agents are paired, nobody is
//! revoked, no receipt has been seen before, and the registry said yes to every session a moment ago.

mod calls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use acceptance::stamp;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) use self::calls::{Calls, Operation};
use crate::{Result, tls};

/// How the functions are told to name the tables.
pub(crate) const TABLES: [(&str, &str); 5] = [
    ("CONNECTIONS_TABLE", "clawdentity-connections-prod"),
    ("RECEIPTS_TABLE", "clawdentity-receipts-prod"),
    ("DELIVERIES_TABLE", "clawdentity-deliveries-prod"),
    ("TRUST_TABLE", "clawdentity-trust-prod"),
    ("NONCES_TABLE", "clawdentity-nonces-prod"),
];
/// The stage of the WebSocket API, and so the start of every path of `@connections`.
pub(crate) const STAGE: &str = "prod";
const PAGE: usize = 25;
const HOUR_MS: u64 = 3_600_000;

/// What is different from run to run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scene {
    /// Nobody has a socket.
    pub(crate) away: bool,
    /// So many receipts wait for every sender.
    pub(crate) held: usize,
}

/// The stub. It stops when it is dropped.
pub(crate) struct Aws {
    /// Its origin.
    pub(crate) url: String,
    /// The file with the root that vouches for it, if it speaks TLS.
    pub(crate) bundle: Option<PathBuf>,
    calls: Arc<Mutex<BTreeMap<Operation, Calls>>>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct World {
    scene: Scene,
    keys: Arc<str>,
    calls: Arc<Mutex<BTreeMap<Operation, Calls>>>,
}

impl Aws {
    /// Over plain HTTP. `keys` is the registry's key set.
    pub(crate) async fn start(scene: Scene, keys: &Value) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (router, calls) = router(scene, keys);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url, bundle: None, calls, serving })
    }

    /// Over TLS; the file with its root is put into `folder`.
    pub(crate) async fn start_tls(scene: Scene, keys: &Value, folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let (listener, bundle) = tls::listen(listener, folder)?;
        let (router, calls) = router(scene, keys);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url, bundle: Some(bundle), calls, serving })
    }

    /// What was called since this was asked last.
    pub(crate) fn take_calls(&self) -> BTreeMap<Operation, Calls> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn router(scene: Scene, keys: &Value) -> (Router, Arc<Mutex<BTreeMap<Operation, Calls>>>) {
    let calls = Arc::default();
    let world = World { scene, keys: keys.to_string().into(), calls: Arc::clone(&calls) };
    (Router::new().fallback(answer).with_state(world), calls)
}

async fn answer(
    State(world): State<World>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let operation = Operation::of(&method, &headers, uri.path());
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, answer) = match world.act(&operation, &request) {
        Some(Value::Null) => (StatusCode::NO_CONTENT, String::new()),
        Some(answer) => (StatusCode::OK, answer.to_string()),
        None => (StatusCode::NOT_IMPLEMENTED, format!("the bench has no answer to {operation}")),
    };
    let mut calls = world.calls.lock().unwrap_or_else(PoisonError::into_inner);
    calls.entry(operation).or_default().count(&request, body.len(), answer.len());
    (status, answer)
}

impl World {
    /// `Null` is an answer without a body; `None` a call nobody has foreseen.
    fn act(&self, operation: &Operation, request: &Value) -> Option<Value> {
        Some(match operation.name() {
            "BatchGetItem" => self.batch_get(request),
            "GetItem" => {
                let table = request["TableName"].as_str()?;
                self.item(table, &request["Key"]).map_or_else(|| json!({}), |item| json!({ "Item": item }))
            }
            "UpdateItem" => json!({ "Attributes": { "requests": { "N": "10" } } }),
            "PutItem" | "DeleteItem" | "ChangeMessageVisibility" | "PostToConnection" => json!({}),
            "Query" => self.page(request),
            "SendMessage" => json!({
                "MessageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
                "MD5OfMessageBody": "8afa50cb1f277585ee983666124df424",
            }),
            "DeleteConnection" | "registry: session" => Value::Null,
            "registry: keys" => serde_json::from_str(&self.keys).ok()?,
            _ => return None,
        })
    }

    fn batch_get(&self, request: &Value) -> Value {
        let tables = request["RequestItems"].as_object().into_iter().flatten();
        let responses = tables.map(|(table, asked)| {
            let keys = asked["Keys"].as_array().into_iter().flatten();
            (table.clone(), keys.filter_map(|key| self.item(table, key)).collect::<Value>())
        });
        json!({ "Responses": responses.collect::<serde_json::Map<_, _>>(), "UnprocessedKeys": {} })
    }

    fn item(&self, table: &str, key: &Value) -> Option<Value> {
        let now_ms = stamp::now_ms();
        let number = |value: u64| json!({ "N": value.to_string() });
        let mut item = match kind(table, key) {
            "connection" if !self.scene.away => json!({
                "connectionId": { "S": "Q7xYdcC5oAMCJ9w=" },
                "connectedAt": number(now_ms - HOUR_MS),
                "leaseExpiresAt": number(now_ms + HOUR_MS),
                "quickSupersedes": number(0), "shortLives": number(0), "shortLivesSince": number(0),
                "lastDrainAt": number(0), "expiresAt": number(now_ms / 1_000),
            }),
            "known" => json!({ "pairs": number(1) }),
            "pair" => json!({}),
            "registry#keys" => json!({ "body": { "S": *self.keys }, "fetchedAt": number(now_ms) }),
            "registry#crl" => json!({ "fetchedAt": number(now_ms) }),
            "access" => json!({ "acceptedAtMs": number(now_ms), "expiresAt": number(now_ms / 1_000 + 900) }),
            _ => return None,
        };
        item.as_object_mut()?.extend(key.as_object()?.clone());
        Some(item)
    }

    /// The first page of a mailbox.
    fn page(&self, request: &Value) -> Value {
        let sender = request["ExpressionAttributeValues"][":sender"].clone();
        let now_ms = stamp::now_ms();
        let items: Vec<_> = (0..self.scene.held.min(PAGE)).map(|_| waiting(&sender, now_ms)).collect();
        json!({ "Count": items.len(), "ScannedCount": items.len(), "Items": items })
    }
}

fn waiting(sender: &Value, now_ms: u64) -> Value {
    let id = stamp::new_ulid();
    json!({
        "senderAgentDid": sender, "item": { "S": format!("waiting#{now_ms:013}#{id}#{id}") },
        "requestId": { "S": id }, "recipientAgentDid": sender, "status": { "S": "delivered_to_webhook" },
        "processedAt": { "N": now_ms.to_string() }, "frameId": { "S": id },
        "expiresAt": { "N": (now_ms / 1_000 + 604_800).to_string() },
    })
}

/// What an item is, by its table and its key.
fn kind<'a>(table: &str, key: &'a Value) -> &'a str {
    let part = |name: &str| key[name]["S"].as_str();
    if table.contains("-connections-") {
        return "connection";
    }
    match part("key").or(part("what")) {
        Some(name @ ("registry#keys" | "registry#crl")) => name,
        Some(name) => name.split_once('#').map_or(name, |(kind, _)| kind),
        None => "receipt",
    }
}
