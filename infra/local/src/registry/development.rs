//! The routes under `/dev`: what a person does in the real registry, and switches for its outages.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::agents::{NewAgent, Rejected};
use super::faults::FaultChange;
use super::{Failure, Registry, now_ms};

pub(super) fn routes() -> Router<Registry> {
    Router::new()
        .route("/dev/agents", get(list).post(register))
        .route("/dev/agents/revoke", post(revoke))
        .route("/dev/agents/reissue", post(reissue))
        .route("/dev/agents/end-session", post(end_session))
        .route("/dev/faults", post(set_faults))
        .route("/dev/health", get(health))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    agent_did: String,
}

async fn register(State(registry): State<Registry>, body: Bytes) -> Result<Response, Failure> {
    let new: NewAgent = read(&body)?;
    let registered = registry.state().agents.register(new, now_ms()).map_err(rejection)?;
    Ok((StatusCode::CREATED, Json(registered)).into_response())
}

async fn list(State(registry): State<Registry>) -> Response {
    Json(registry.state().agents.list()).into_response()
}

async fn revoke(State(registry): State<Registry>, body: Bytes) -> Result<Response, Failure> {
    let named: Named = read(&body)?;
    registry.state().agents.revoke(&named.agent_did, now_ms()).map_err(rejection)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn reissue(State(registry): State<Registry>, body: Bytes) -> Result<Response, Failure> {
    let named: Named = read(&body)?;
    let registered = registry.state().agents.reissue(&named.agent_did, now_ms()).map_err(rejection)?;
    Ok(Json(registered).into_response())
}

async fn end_session(State(registry): State<Registry>, body: Bytes) -> Result<Response, Failure> {
    let named: Named = read(&body)?;
    registry.state().agents.end_session(&named.agent_did).map_err(rejection)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn set_faults(State(registry): State<Registry>, body: Bytes) -> Result<Response, Failure> {
    let change: FaultChange = read(&body)?;
    let mut state = registry.state();
    state.faults.apply(&change);
    Ok(Json(state.faults).into_response())
}

async fn health() -> Response {
    Json(json!({"ready": true})).into_response()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|problem| Failure::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", problem.to_string()))
}

fn rejection(reason: Rejected) -> Failure {
    let (status, message) = match reason {
        Rejected::Name => (StatusCode::BAD_REQUEST, "name: 1 to 64 of A-Z a-z 0-9 . _ - and space"),
        Rejected::PublicKey => (StatusCode::BAD_REQUEST, "publicKeyX: 32 bytes, base64url without padding"),
        Rejected::UnknownAgent => (StatusCode::NOT_FOUND, "no such agent"),
        Rejected::Revoked => (StatusCode::CONFLICT, "the agent has been revoked"),
    };
    Failure::new(status, "REJECTED", message)
}
