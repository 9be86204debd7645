//! A stand-in for the Clawdentity registry: real Ed25519 keys, real tokens, state in memory.
//!
//! What connectors and the stack ask of a registry, it answers like the real one: published keys, the revocation
//! list, the check of access tokens. What a person does in the real registry (register, revoke, reissue) is under
//! `/dev`, together with switches that simulate its outages.
//!
//! Two simplifications: access tokens do not expire, and no rate limit applies.

mod agents;
mod development;
mod entropy;
mod faults;
mod public;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub use self::agents::{Agents, Listed, NewAgent, Registered, Rejected};
pub use self::entropy::Entropy;
use self::faults::Faults;

/// The registry as its routes see it. Cloning shares the state.
#[derive(Clone)]
pub struct Registry {
    state: Arc<Mutex<State>>,
    proxy_url: Option<Arc<str>>,
}

struct State {
    agents: Agents,
    faults: Faults,
}

impl Registry {
    /// A registry that issues as `origin` (`http://host:port`, no trailing slash) and names `proxy_url` in its
    /// metadata.
    #[must_use]
    pub fn new(origin: &str, proxy_url: Option<&str>, entropy: Entropy) -> Self {
        let state = State { agents: Agents::new(origin, entropy), faults: Faults::default() };
        Self { state: Arc::new(Mutex::new(state)), proxy_url: proxy_url.map(Into::into) }
    }

    /// Its HTTP routes.
    pub fn router(self) -> Router {
        public::routes().merge(development::routes()).with_state(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No update is left half done by a panic: a poisoned lock still guards a consistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(elapsed.as_millis()).expect("milliseconds fit 64 bits for ages")
}

/// An answer other than the one asked for, in the registry's error envelope.
struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        (self.status, axum::Json(body)).into_response()
    }
}
