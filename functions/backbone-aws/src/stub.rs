//! The other side, for this crate's tests: a server on the loopback that answers what it was told to.
//!
//! The real clients, connectors and retries run against it, so a test sees what AWS and the registry would see.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::outside::{Aws, Invocation};
use crate::settings::{
    AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_REGION, AWS_SECRET_ACCESS_KEY, CONNECTIONS_ENDPOINT,
    CONNECTIONS_TABLE, DELIVERIES_TABLE, EVENTS_DLQ_URL, EVENTS_QUEUE_URL, NONCES_TABLE, PEER_DLQ_URL,
    PEER_ORIGINS, PEER_QUEUE_ARNS, PEER_QUEUE_URL, PROXY_ORIGIN, RECEIPTS_DLQ_URL, RECEIPTS_QUEUE_URL,
    RECEIPTS_TABLE, REGISTRY_URL, Settings, TRUST_TABLE,
};

/// The time of every stubbed invocation.
pub(crate) const NOW_MS: u64 = 1_775_000_000_000;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status and body.
    Http(u16, String),
    /// The connection is closed without one.
    HangUp,
}

impl Answer {
    /// 200 with a JSON body.
    pub(crate) fn ok(body: &Value) -> Self {
        Self::Http(200, body.to_string())
    }

    /// The refusal of a conditional write, with the item that stood in its way.
    pub(crate) fn condition_failed(item: &Value) -> Self {
        let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        Self::Http(
            400,
            json!({ "__type": kind, "message": "The conditional request failed", "Item": item }).to_string(),
        )
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A server that gives its answers in turn, the last one for ever.
pub(crate) struct Stub {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    aws: Aws,
}

impl Stub {
    pub(crate) async fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::default();
        tokio::spawn(serve(listener, answers.into_iter().collect(), Arc::clone(&seen)));
        let aws = Aws::new(settings(&[
            (AWS_ENDPOINT_URL, &url),
            (CONNECTIONS_ENDPOINT, &format!("{url}/stage")),
            (REGISTRY_URL, &url),
            (RECEIPTS_QUEUE_URL, &format!("{url}/1/receipts")),
            (RECEIPTS_DLQ_URL, &format!("{url}/1/receipts-dlq")),
            (EVENTS_QUEUE_URL, &format!("{url}/1/events")),
            (EVENTS_DLQ_URL, &format!("{url}/1/events-dlq")),
            (PEER_QUEUE_URL, &format!("{url}/1/peer-receipts")),
            (PEER_DLQ_URL, &format!("{url}/1/peer-receipts-dlq")),
            (PROXY_ORIGIN, "https://own.com"),
            (PEER_ORIGINS, "https://peer.com,https://far.com"),
            (PEER_QUEUE_ARNS, "arn:aws:sqs:us-east-1:2:peer-receipts,arn:aws:sqs:eu-west-1:3:peer-receipts"),
            (CONNECTIONS_TABLE, "connections"),
            (RECEIPTS_TABLE, "receipts"),
            (DELIVERIES_TABLE, "deliveries"),
            (TRUST_TABLE, "trust"),
            (NONCES_TABLE, "nonces"),
        ]))
        .unwrap()
        .with_clock(Arc::new(|| NOW_MS));
        Self { url, seen, aws }
    }

    pub(crate) fn invocation(&self) -> Invocation<'_> {
        self.aws.invocation("our-request", NOW_MS + 11_000)
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The bodies of all requests so far.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.seen().iter().map(Seen::json).collect()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// Settings with `values` and what every function needs.
pub(crate) fn settings(values: &[(&'static str, &str)]) -> Settings {
    let env = |name: &str| match name {
        AWS_REGION => Some("us-east-1".to_owned()),
        AWS_ACCESS_KEY_ID | AWS_SECRET_ACCESS_KEY => Some("test".to_owned()),
        _ => values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    };
    let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
    Settings::from_env(&env, &names).unwrap()
}

async fn serve(listener: TcpListener, mut answers: VecDeque<Answer>, seen: Arc<Mutex<Vec<Seen>>>) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let Some(request) = read_request(&mut socket).await else { continue };
        seen.lock().unwrap().push(request);
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        if let Some(Answer::Http(status, body)) = answer {
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            // Whoever has read enough may hang up before the end.
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    }
}

/// Reads one request, `None` if the other side gives up.
async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut text = Vec::new();
    let head_end = loop {
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(text[..head_end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let total = head_end + 4 + length.unwrap_or(0);
    while text.len() < total {
        if socket.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { head, body: String::from_utf8(text[head_end + 4..].to_vec()).unwrap() })
}
