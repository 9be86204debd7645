//! What a function asks of AWS, counted between the two.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex};

use acceptance::connector::http_client;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Larger than anything that DynamoDB takes or gives.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Calls of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) count: usize,
    /// Of the bodies, both ways.
    pub(super) bytes: usize,
}

/// Passes everything on to the local AWS and counts it. It stops when it is dropped.
pub(super) struct CountingProxy {
    pub(super) url: String,
    calls: Arc<Mutex<BTreeMap<String, Calls>>>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Way {
    endpoint: Arc<str>,
    client: reqwest::Client,
    calls: Arc<Mutex<BTreeMap<String, Calls>>>,
}

impl CountingProxy {
    pub(super) async fn before(endpoint: &str) -> Self {
        let calls = Arc::default();
        let way = Way { endpoint: endpoint.into(), client: http_client(), calls: Arc::clone(&calls) };
        let router = Router::new().fallback(pass_on).with_state(way);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, calls, serving }
    }

    /// What was called since this was asked last, by operation.
    pub(super) fn take(&self) -> BTreeMap<String, Calls> {
        mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The host goes on as it came: it is part of what was signed.
async fn pass_on(State(way): State<Way>, request: Request) -> (StatusCode, Bytes) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let target = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap());
    let operation = target.unwrap_or(parts.uri.path()).to_owned();
    let sent = body.len();
    let answer = way
        .client
        .request(parts.method, format!("{}{}", way.endpoint, parts.uri))
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let (status, body) = (answer.status(), answer.bytes().await.unwrap());
    let mut calls = way.calls.lock().unwrap();
    let counted = calls.entry(operation).or_default();
    counted.count += 1;
    counted.bytes += sent + body.len();
    (status, body)
}
