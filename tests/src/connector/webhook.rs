//! An agent's own webhook, to which its connector passes on the receipts that it hears of (contract 8.3).

use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::BackOff;
use super::frame_rules::ReceiptFrame;

/// A connector gives up after so many attempts.
const ATTEMPTS: u32 = 30;

/// What is passed on, in the order in which it came.
pub(super) type Notices = mpsc::UnboundedSender<ReceiptFrame>;

/// Begins to pass notices on to the webhook at `url`, one after the other, until nobody has any more.
pub(super) fn start(http: Client, url: String) -> Notices {
    let (notices, mut queue) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(frame) = queue.recv().await {
            notify(&http, &url, &frame).await;
        }
    });
    notices
}

async fn notify(http: &Client, url: &str, frame: &ReceiptFrame) {
    let body = body(frame).to_string();
    let mut back_off = BackOff::of_webhooks();
    for _ in 0..ATTEMPTS {
        let request = http
            .post(url)
            .header("content-type", "application/vnd.clawdentity.receipt+json")
            .header("x-clawdentity-to-agent-did", &frame.to_agent_did)
            .header("x-clawdentity-verified", "true")
            .header("x-request-id", &frame.original_frame_id);
        if request.body(body.clone()).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
        back_off.wait().await;
    }
}

fn body(frame: &ReceiptFrame) -> Value {
    let mut body = json!({
        "type": "clawdentity.receipt.v1",
        "requestId": frame.original_frame_id,
        "toAgentDid": frame.to_agent_did,
        "status": frame.status.name(),
        "relayMetadata": { "timestamp": frame.ts },
    });
    if let Some(reason) = &frame.reason {
        body["reason"] = reason.as_str().into();
    }
    body
}
