//! What came back over HTTP.

use std::time::Duration;

use http::HeaderMap;
use reqwest::{Client, redirect};
use serde_json::Value;

/// How long a connector waits for an HTTP answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// No answer: the peer is not there, or took too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer over HTTP")]
pub struct NoAnswer(#[source] reqwest::Error);

/// An HTTP answer of any status.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: String,
    /// The body as JSON; `null` if it is not JSON.
    pub json: Value,
}

impl HttpAnswer {
    /// Reads a whole answer.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`] if there is none, or it breaks off.
    pub async fn read(answer: reqwest::Result<reqwest::Response>) -> Result<Self, NoAnswer> {
        let answer = answer.map_err(NoAnswer)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Self::new(status, headers, answer.text().await.map_err(NoAnswer)?))
    }

    pub(super) fn of_handshake(answer: http::Response<Option<Vec<u8>>>) -> Self {
        let (parts, body) = answer.into_parts();
        let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
        Self::new(parts.status.as_u16(), parts.headers, body)
    }

    fn new(status: u16, headers: HeaderMap, body: String) -> Self {
        let json = serde_json::from_str(&body).unwrap_or(Value::Null);
        Self { status, headers, body, json }
    }

    /// `error.code` of the contract's error envelope.
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        self.json["error"]["code"].as_str()
    }

    /// A header that is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An HTTP client that follows no redirect and asks no proxy, so that a test sees what the stack answered.
#[must_use]
pub fn http_client() -> Client {
    install_tls();
    Client::builder()
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("the system has certificates to trust")
}

/// Has TLS done by ring, which the functions use as well. Whoever comes second changes nothing.
pub(super) fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
