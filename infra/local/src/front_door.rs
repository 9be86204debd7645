//! One port in front of both APIs: what CloudFront does on AWS.
//!
//! `GET /v1/relay/connect` becomes a WebSocket at the WebSocket API's stage; everything else goes to the HTTP API as
//! it came. Two things are done here that AWS does itself: a connect without `Upgrade` is 426, and a handshake
//! refused with 500, which is how MiniStack reports an authorizer that said `Unauthorized`, is 401.
//!
//! It also does to sockets what API Gateway does and the emulator does not ([`Limits`]), and stands between the functions
//! and @connections for the same reason. Requests to the APIs carry the header by which the functions know that they
//! came through here.

mod development;
mod headers;
mod http;
mod limits;
mod pushes;
mod refusal;
mod session;
mod socket;
mod sockets;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::response::Response;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use self::limits::Limits;
pub use self::pushes::PUSHES_PER_SECOND;
use self::pushes::Rate;
use self::sockets::Sockets;

/// The path at which connectors ask for a WebSocket.
pub const CONNECT_PATH: &str = "/v1/relay/connect";

/// The header by which the functions know that a request came through the front door.
pub const ORIGIN_HEADER: HeaderName = HeaderName::from_static("x-origin-verify");

/// How long an idle connection to MiniStack is kept: well below the 75 s after which MiniStack closes it, so that no
/// request meets one that is just being closed and turns into a 502 that AWS does not have.
const KEPT_IDLE: Duration = Duration::from_secs(30);

/// The APIs behind the door.
#[derive(Clone)]
pub struct Upstreams {
    client: Client<HttpConnector, Body>,
    http_api: String,
    websocket_api: String,
    /// The origin of both, where @connections is.
    aws: String,
    origin_secret: Option<HeaderValue>,
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
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_IDLE)
            .build(connector);
        // A handshake is an HTTP request.
        let websocket_api = base_url(websocket_api, "ws")?.replacen("ws:", "http:", 1);
        let aws = origin(&websocket_api)?;
        Ok(Self { client, http_api: base_url(http_api, "http")?, websocket_api, aws, origin_secret: None })
    }

    /// The same with a secret that both APIs are to be told.
    ///
    /// # Errors
    ///
    /// If that cannot be the value of a header.
    pub fn with_origin_secret(self, secret: &str) -> Result<Self, String> {
        let secret = HeaderValue::from_str(secret).map_err(|problem| format!("origin secret: {problem}"))?;
        Ok(Self { origin_secret: Some(secret), ..self })
    }

    /// Headers of a request as the APIs get them: with the secret, and without what a client claims to be it.
    fn marked(&self, mut headers: HeaderMap) -> HeaderMap {
        match &self.origin_secret {
            Some(secret) => headers.insert(ORIGIN_HEADER, secret.clone()),
            None => headers.remove(ORIGIN_HEADER),
        };
        headers
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

fn origin(url: &str) -> Result<String, String> {
    let parsed: Uri = url.parse().map_err(|problem| format!("{url}: {problem}"))?;
    let authority = parsed.authority().ok_or_else(|| format!("{url}: no host"))?;
    Ok(format!("http://{authority}"))
}

/// A door, and what it knows. Cloning shares that.
#[derive(Clone)]
pub struct Door {
    upstreams: Upstreams,
    limits: Limits,
    push_rate: Rate,
    sockets: Sockets,
}

impl Door {
    /// A door that lets so many calls of @connections through in a second; 0 is no limit.
    #[must_use]
    pub fn new(upstreams: Upstreams, limits: Limits, pushes_per_second: u32) -> Self {
        Self {
            upstreams,
            limits,
            push_rate: Rate::per_second(pushes_per_second),
            sockets: Sockets::default(),
        }
    }
}

/// What the door serves.
pub fn router(door: Door) -> Router {
    development::routes().fallback(pass).with_state(door)
}

async fn pass(State(door): State<Door>, request: Request) -> Response {
    if pushes::is_one(request.uri().path()) {
        return pushes::pass(&door, request).await;
    }
    if request.method() != Method::GET || request.uri().path() != CONNECT_PATH {
        return http::pass(&door.upstreams, request).await;
    }
    let wants_websocket = request
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if wants_websocket {
        socket::pass(&door, request).await
    } else {
        refusal::upgrade_required(request.headers())
    }
}

#[cfg(test)]
mod tests;
