//! A Clawdentity connector, written from the wire contract alone.
//!
//! It keeps one WebSocket like the Rust connector does ([`Session`]): a heartbeat at once and then every 20 s, an end
//! to the session at the first text it cannot parse. It posts receipts and looks them up ([`Connector`]). Every text
//! it receives is judged by the rules of both connectors ([`frame_rules`]). Every request can be spoiled on purpose
//! before it goes out ([`Request`]).

mod address;
mod answer;
mod back_off;
pub mod frame_rules;
mod identity;
mod receipt;
mod request;
mod session;
mod webhook;

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use url::Url;

pub use self::address::{BadAddress, CONNECT_PATH, RECEIPTS_PATH};
pub use self::answer::{HttpAnswer, NoAnswer, http_client};
pub use self::back_off::BackOff;
pub use self::identity::Identity;
pub use self::receipt::{Receipt, Status};
pub use self::request::{Request, SignedRequest, body_hash, canonical_string};
pub use self::session::{Arrival, End, Heartbeat, Missing, ReceivedReceipt, Session};

use self::address::Addresses;
use self::webhook::Notices;

/// How often a connector sends a heartbeat.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(20);

/// One agent's connector.
pub struct Connector {
    identity: Identity,
    addresses: Addresses,
    http: Client,
    habits: Habits,
}

/// How a connector behaves on its sockets.
#[derive(Clone)]
struct Habits {
    heartbeat_every: Duration,
    on_delivery: OnDelivery,
    /// To the agent's webhook.
    notices: Option<Notices>,
}

/// What a connector answers to a `deliver` frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelivery {
    /// That it was accepted.
    #[default]
    Accept,
    /// That it was not, with a reason.
    Refuse(&'static str),
    /// Nothing.
    Ignore,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The handshake was answered, but not with 101.
    #[error("the handshake was refused with {}", .0.status)]
    Refused(Box<HttpAnswer>),
    /// There was no answer.
    #[error("no answer to the handshake")]
    Unreachable(#[source] Box<SocketError>),
}

impl ConnectError {
    /// The status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(answer) => Some(answer.status),
            Self::Unreachable(_) => None,
        }
    }
}

impl Connector {
    /// A connector of the proxy at `proxy_url` (`http`, `https`, `ws` or `wss`).
    ///
    /// # Errors
    ///
    /// [`BadAddress`] if that is not such a URL.
    pub fn new(identity: Identity, proxy_url: &str) -> Result<Self, BadAddress> {
        Ok(Self::with_addresses(identity, Addresses::of_proxy(proxy_url)?))
    }

    /// A connector that dials `websocket_url` but signs `signed_path`, like one that is pointed at API Gateway
    /// without a front door.
    ///
    /// # Errors
    ///
    /// [`BadAddress`] if that is not a URL.
    pub fn dialling(identity: Identity, websocket_url: &str, signed_path: &str) -> Result<Self, BadAddress> {
        Ok(Self::with_addresses(identity, Addresses::dialling(websocket_url, signed_path)?))
    }

    fn with_addresses(identity: Identity, addresses: Addresses) -> Self {
        Self {
            identity,
            addresses,
            http: http_client(),
            habits: Habits {
                heartbeat_every: HEARTBEAT_EVERY,
                on_delivery: OnDelivery::Accept,
                notices: None,
            },
        }
    }

    /// The same connector with another pause between heartbeats.
    #[must_use]
    pub fn heartbeat_every(mut self, pause: Duration) -> Self {
        self.habits.heartbeat_every = pause;
        self
    }

    /// The same connector with another answer to `deliver` frames.
    #[must_use]
    pub fn on_delivery(mut self, answer: OnDelivery) -> Self {
        self.habits.on_delivery = answer;
        self
    }

    /// The same connector with a webhook, which is told of every receipt.
    #[must_use]
    pub fn webhook(mut self, url: &str) -> Self {
        self.habits.notices = Some(webhook::start(self.http.clone(), url.to_owned()));
        self
    }

    /// Whose connector it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The agent's DID.
    #[must_use]
    pub fn did(&self) -> &str {
        &self.identity.agent_did
    }

    /// Goes on with another passport and session, after the registry has reissued them.
    pub fn become_identity(&mut self, identity: Identity) {
        self.identity = identity;
    }

    /// Opens the WebSocket.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(&self) -> Result<Session, ConnectError> {
        self.connect_with(|request| request).await
    }

    /// Opens the WebSocket as a connector does that has lost it, with the pauses of [`BackOff`].
    ///
    /// # Errors
    ///
    /// The last [`ConnectError`] when none has succeeded for `limit`.
    pub async fn reconnect(&self, limit: Duration) -> Result<Session, ConnectError> {
        let began = Instant::now();
        let mut back_off = BackOff::of_handshakes();
        loop {
            back_off.wait().await;
            match self.connect().await {
                Err(_) if began.elapsed() < limit => {}
                outcome => return outcome,
            }
        }
    }

    /// Opens the WebSocket with a handshake that `spoil` has changed.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect_with(
        &self,
        spoil: impl FnOnce(Request) -> Request,
    ) -> Result<Session, ConnectError> {
        answer::install_tls();
        let signed = spoil(Request::get(&self.addresses.signed_path)).sign(&self.identity);
        let unreachable = |problem| ConnectError::Unreachable(Box::new(problem));
        let mut handshake = self.addresses.dialled.as_str().into_client_request().map_err(unreachable)?;
        handshake.headers_mut().extend(signed.header_map());
        // Boxed, as TLS makes it large.
        match Box::pin(connect_async_with_config(handshake, None, true)).await {
            Ok((socket, _)) => Ok(Session::start(socket, self.habits.clone())),
            Err(SocketError::Http(answer)) => {
                Err(ConnectError::Refused(Box::new(HttpAnswer::of_handshake(*answer))))
            }
            Err(problem) => Err(unreachable(problem)),
        }
    }

    /// Posts a receipt as the Rust connector does.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`]. An answer of any status is not an error.
    pub async fn post_receipt(&self, receipt: &Receipt) -> Result<HttpAnswer, NoAnswer> {
        self.send(Request::post_receipt(receipt)).await
    }

    /// Looks a receipt up, as the sender of the message.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`]. An answer of any status is not an error.
    pub async fn get_receipt(
        &self,
        request_id: &str,
        recipient_agent_did: &str,
    ) -> Result<HttpAnswer, NoAnswer> {
        self.send(Request::get_receipt(request_id, recipient_agent_did)).await
    }

    /// Signs a request, unless it was told otherwise, and sends it.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`]. An answer of any status is not an error.
    pub async fn send(&self, request: Request) -> Result<HttpAnswer, NoAnswer> {
        self.send_signed(&request.sign(&self.identity)).await
    }

    /// Sends a request that has been signed before, for instance to replay it.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`]. An answer of any status is not an error.
    pub async fn send_signed(&self, signed: &SignedRequest) -> Result<HttpAnswer, NoAnswer> {
        let url: Url = self.addresses.http(&signed.path_and_query);
        let request = self.http.request(signed.method.clone(), url).headers(signed.header_map());
        HttpAnswer::read(request.body(signed.body.clone()).send().await).await
    }
}

#[cfg(test)]
mod tests;
