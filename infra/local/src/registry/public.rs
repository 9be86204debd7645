//! The routes a real registry has.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use super::faults::{Fault, Faults};
use super::{Failure, Registry, now_ms};

const KEYS_CACHE_CONTROL: &str = "public, max-age=300, s-maxage=300, stale-while-revalidate=60";

pub(super) fn routes() -> Router<Registry> {
    Router::new()
        .route("/.well-known/claw-keys.json", get(keys))
        .route("/v1/crl", get(crl))
        .route("/v1/agents/auth/validate", post(validate))
        .route("/v1/metadata", get(metadata))
}

async fn keys(State(registry): State<Registry>) -> Result<Response, Failure> {
    may_answer(&registry, |faults| faults.keys).await?;
    let keys = registry.state().agents.keys();
    Ok(([(header::CACHE_CONTROL, KEYS_CACHE_CONTROL)], Json(keys)).into_response())
}

async fn crl(State(registry): State<Registry>) -> Result<Response, Failure> {
    may_answer(&registry, |faults| faults.crl).await?;
    let crl = registry.state().agents.crl(now_ms());
    crl.map(|crl| Json(json!({"crl": crl})).into_response())
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "CRL_NOT_FOUND", "nothing has been revoked"))
}

/// What a proxy asks about the access token of a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionClaim {
    agent_did: String,
    ait_jti: String,
}

async fn validate(
    State(registry): State<Registry>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    may_answer(&registry, |faults| faults.validate).await?;
    let claim: SessionClaim = serde_json::from_slice(&body).map_err(|_| {
        Failure::new(StatusCode::BAD_REQUEST, "AGENT_AUTH_VALIDATE_INVALID", "expected agentDid and aitJti")
    })?;
    let token = headers.get("x-claw-agent-access").and_then(|token| token.to_str().ok()).unwrap_or_default();
    if registry.state().agents.is_valid_session(&claim.agent_did, &claim.ait_jti, token) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Failure::new(StatusCode::UNAUTHORIZED, "AGENT_AUTH_VALIDATE_UNAUTHORIZED", "no such session"))
    }
}

async fn metadata(State(registry): State<Registry>) -> Response {
    Json(json!({"proxyUrl": registry.proxy_url.as_deref()})).into_response()
}

/// Fails, or waits for ever, if the endpoint is switched out of order.
async fn may_answer(registry: &Registry, of: impl Fn(&Faults) -> Fault) -> Result<(), Failure> {
    let fault = of(&registry.state().faults);
    match fault {
        Fault::Ok => Ok(()),
        Fault::Unavailable => {
            Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "SIMULATED_OUTAGE", "switched off for a test"))
        }
        Fault::Hang => std::future::pending().await,
    }
}
