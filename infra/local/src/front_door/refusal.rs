//! The answers the door gives itself.

use std::fmt::Display;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

const REQUEST_ID_HEADER: &str = "x-request-id";

/// 426 in the contract's error envelope.
pub(super) fn upgrade_required(headers: &HeaderMap) -> Response {
    let request_id = request_id(headers);
    let body = json!({"error": {
        "code": "PROXY_RELAY_UPGRADE_REQUIRED",
        "message": "this path is a WebSocket: send Upgrade: websocket",
        "requestId": request_id,
    }});
    (StatusCode::UPGRADE_REQUIRED, [(REQUEST_ID_HEADER, request_id)], Json(body)).into_response()
}

/// 502 in API Gateway's form.
pub(super) fn unreachable(problem: &dyn Display) -> Response {
    let body = json!({"message": format!("no answer from the API: {problem}")});
    (StatusCode::BAD_GATEWAY, Json(body)).into_response()
}

/// A refusal of the @connections API.
pub(super) fn of_connections(status: StatusCode, kind: &'static str) -> Response {
    (status, [("x-amzn-errortype", kind)], Json(json!({"message": kind}))).into_response()
}

/// The caller's own request id if it is fit for a log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID_HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (8..=128).contains(&id.len()) && id.bytes().all(is_request_id_byte))
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

fn is_request_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:-".contains(&byte)
}
