//! The sender's webhook: what its connector tells the agent itself.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use acceptance::eventually::{NotInTime, wait_for};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;

type Notices = Arc<Mutex<Vec<(Instant, Value)>>>;

/// A webhook on a port of its own.
pub(crate) struct Webhook {
    /// Where it listens.
    pub(crate) url: String,
    notices: Notices,
}

impl Webhook {
    pub(crate) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hooks/receipts", listener.local_addr()?);
        let notices = Notices::default();
        let router = Router::new().route("/hooks/receipts", post(take)).with_state(Arc::clone(&notices));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, notices })
    }

    /// What it is told of a message, once it is: when, and the body.
    pub(crate) async fn notice_about(&self, request_id: &str) -> Result<(Instant, Value), NotInTime> {
        wait_for("a notice at alpha's webhook", async || {
            let notices = self.notices.lock().expect("nobody panics with it");
            let found = notices.iter().find(|(_, notice)| notice["requestId"] == request_id);
            found.cloned().ok_or_else(|| format!("{} others", notices.len()))
        })
        .await
    }
}

async fn take(State(notices): State<Notices>, Json(notice): Json<Value>) -> StatusCode {
    notices.lock().expect("nobody panics with it").push((Instant::now(), notice));
    StatusCode::NO_CONTENT
}
