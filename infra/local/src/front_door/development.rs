//! What tests ask of a running door. Like the registry stand-in's, these routes are under `/dev`.
//!
//! The functions know one door only, the one that @connections is reached through. A test that needs shorter lives
//! than everybody else has another one opened beside it, which shares what is known of sockets; its connectors need
//! nothing but its URL.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::limits::Limits;
use super::{Door, router};
use crate::listener;

/// `POST /dev/doors` and `POST /dev/throttle`.
pub(super) fn routes() -> Router<Door> {
    Router::new().route("/dev/doors", post(open_door)).route("/dev/throttle", post(throttle))
}

/// Opens another door with its own limits, for as long as this program runs. Body: [`Limits`].
async fn open_door(State(door): State<Door>, Json(limits): Json<Limits>) -> Response {
    match listener::open(router(Door { limits, ..door })).await {
        Ok(address) => {
            (StatusCode::CREATED, Json(json!({"proxyUrl": format!("http://{address}")}))).into_response()
        }
        Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, problem.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    connection_id: String,
    times: u32,
}

/// Has the next pushes to one connection refused with 429.
async fn throttle(State(door): State<Door>, Json(throttling): Json<Throttling>) -> StatusCode {
    door.sockets.throttle(&throttling.connection_id, throttling.times);
    StatusCode::NO_CONTENT
}
