//! One port in front of both APIs: what CloudFront does on AWS.
//!
//! `GET /v1/relay/connect` becomes a WebSocket at the WebSocket API's stage; everything else goes to the HTTP API as
//! it came. Two things are done here that AWS does itself: a connect without `Upgrade` is 426, and a handshake
//! refused with 500, which is how MiniStack reports an authorizer that said `Unauthorized`, is 401.

mod headers;
mod http;
mod refusal;
mod socket;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Uri, header};
use axum::response::Response;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The path at which connectors ask for a WebSocket.
pub const CONNECT_PATH: &str = "/v1/relay/connect";

/// The two APIs behind the door.
#[derive(Clone)]
pub struct Upstreams {
    client: Client<HttpConnector, Body>,
    http_api: String,
    websocket_api: String,
}

impl Upstreams {
    /// `http_api` is the base that paths are appended to, `websocket_api` the full `ws://` URL of the stage.
    ///
    /// # Errors
    ///
    /// Says which URL is not one, or has another scheme: nothing local speaks TLS.
    pub fn new(http_api: &str, websocket_api: &str) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // No pool: a kept connection that MiniStack has just closed would turn into a 502 that AWS does not have.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self {
            client,
            http_api: base_url(http_api, "http")?,
            // A handshake is an HTTP request.
            websocket_api: base_url(websocket_api, "ws")?.replacen("ws:", "http:", 1),
        })
    }
}

fn base_url(text: &str, scheme: &str) -> Result<String, String> {
    let url: Uri = text.parse().map_err(|problem| format!("{text}: {problem}"))?;
    if url.scheme_str() == Some(scheme) {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(format!("{text}: expected {scheme}://"))
    }
}

/// The door.
pub fn router(upstreams: Upstreams) -> Router {
    Router::new().fallback(pass).with_state(upstreams)
}

async fn pass(State(upstreams): State<Upstreams>, request: Request) -> Response {
    if request.method() != Method::GET || request.uri().path() != CONNECT_PATH {
        return http::pass(&upstreams, request).await;
    }
    let wants_websocket = request
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if wants_websocket {
        socket::pass(&upstreams, request).await
    } else {
        refusal::upgrade_required(request.headers())
    }
}

#[cfg(test)]
mod tests;
