//! The Lambda Runtime API as a function sees it: events one after the other, and what became of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acceptance::stamp;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::Result;

/// No invocation comes near it: the figures are about functions, not about their deadlines.
const INVOCATION_MS: u64 = 600_000;

/// What became of one invocation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// What the function answered.
    Response(Value),
    /// That it failed, and how.
    Failure(Value),
}

/// The Runtime API of one process. It stops when it is dropped.
pub(crate) struct RuntimeApi {
    /// Host and port, as the function wants them.
    pub(crate) address: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    events: Mutex<VecDeque<String>>,
    answers: Mutex<Vec<Answer>>,
    queued: Notify,
    /// Whether the function has asked for an event that is not there.
    idle: watch::Sender<bool>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Result<Self> {
        let shared = Arc::new(Shared {
            events: Mutex::default(),
            answers: Mutex::default(),
            queued: Notify::new(),
            idle: watch::Sender::new(false),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failure))
            .route("/2018-06-01/runtime/init/error", post(failure))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { address, shared, serving })
    }

    /// Lets the function have `events`, and does not wait.
    pub(crate) fn queue(&self, events: impl IntoIterator<Item = String>) {
        self.shared.idle.send_replace(false);
        self.shared.events().extend(events);
        self.shared.queued.notify_one();
    }

    /// Waits until all events are handled and the function asks for more.
    pub(crate) async fn idle(&self) {
        // The sender lives as long as `self`.
        let _ = self.shared.idle.subscribe().wait_for(|idle| *idle).await;
    }

    /// All answers since this was asked last.
    pub(crate) fn take_answers(&self) -> Vec<Answer> {
        std::mem::take(&mut self.shared.answers())
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn events(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> (HeaderMap, String) {
    let event = loop {
        let event = shared.events().pop_front();
        match event {
            Some(event) => break event,
            None => drop(shared.idle.send_replace(true)),
        }
        shared.queued.notified().await;
    };
    let deadline = (stamp::now_ms() + INVOCATION_MS).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", &deadline),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:bench"),
        (
            "lambda-runtime-trace-id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        ),
    ];
    let header = |value: &str| HeaderValue::from_str(value).expect("the values above are header values");
    let headers =
        headers.into_iter().map(|(name, value)| (name.parse().expect("so are the names"), header(value)));
    (headers.collect(), event)
}

async fn response(State(shared): State<Arc<Shared>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    shared.answers().push(Answer::Response(serde_json::from_slice(&body).unwrap_or_default()));
    StatusCode::ACCEPTED
}

async fn failure(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    shared.answers().push(Answer::Failure(serde_json::from_slice(&body).unwrap_or_default()));
    StatusCode::ACCEPTED
}
