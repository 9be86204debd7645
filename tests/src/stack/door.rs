//! What tests ask of the running front door.

use serde_json::{Value, json};

use super::Stack;
use crate::connector::{HttpAnswer, NoAnswer, http_client};

/// The front door did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// It did not answer.
    #[error("the front door does not answer")]
    NoAnswer(#[from] NoAnswer),
    /// It refused.
    #[error("the front door answered {status}: {body}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body as it came.
        body: String,
    },
}

impl Stack {
    /// Opens another front door with limits of its own (`lifeMs`, `idleMs`, `losesDisconnects` …); its URL. What is
    /// pushed to its sockets goes the same way as everything else.
    ///
    /// # Errors
    ///
    /// [`DoorError`].
    pub async fn open_door(&self, limits: &Value) -> Result<String, DoorError> {
        let opened = self.ask_door("/dev/doors", limits).await?;
        let url = opened.json["proxyUrl"].as_str().map(str::to_owned);
        url.ok_or(DoorError::Refused { status: opened.status, body: opened.body })
    }

    /// Has the next pushes to a connection refused with 429.
    ///
    /// # Errors
    ///
    /// [`DoorError`].
    pub async fn throttle(&self, connection_id: &str, times: u32) -> Result<(), DoorError> {
        let throttling = json!({ "connectionId": connection_id, "times": times });
        self.ask_door("/dev/throttle", &throttling).await.map(drop)
    }

    async fn ask_door(&self, path: &str, body: &Value) -> Result<HttpAnswer, DoorError> {
        let request = http_client()
            .post(format!("{}{path}", self.proxy_url))
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = HttpAnswer::read(request.send().await).await?;
        if (200..300).contains(&answer.status) {
            Ok(answer)
        } else {
            Err(DoorError::Refused { status: answer.status, body: answer.body })
        }
    }
}
