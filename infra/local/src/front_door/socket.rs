//! A WebSocket through the door.
//!
//! The handshake is passed on as the HTTP request it is. After the 101 the two connections are joined byte for byte,
//! so every frame arrives as it was sent: text, binary, ping, pong, and close with its code.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, on};
use hyper_util::rt::TokioIo;

use super::{Upstreams, headers, refusal};

/// Passes a handshake on; on success joins the two connections until either ends.
pub(super) async fn pass(upstreams: &Upstreams, mut request: Request) -> Response {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let client_side = on(&mut request);
    let mut forward = match Request::get(format!("{}{query}", upstreams.websocket_api)).body(Body::empty()) {
        Ok(forward) => forward,
        Err(problem) => return refusal::unreachable(&problem),
    };
    *forward.headers_mut() = with_upgrade(headers::of_request(request.headers()));

    let mut answer = match upstreams.client.request(forward).await {
        Ok(answer) => answer,
        Err(problem) => return refusal::unreachable(&problem),
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        tokio::spawn(join(client_side, on(&mut answer)));
        let mut accepted = Response::new(Body::empty());
        *accepted.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *accepted.headers_mut() = with_upgrade(headers::of_response(answer.headers()));
        return accepted;
    }
    let (mut parts, body) = answer.into_parts();
    parts.headers = headers::of_response(&parts.headers);
    if parts.status == StatusCode::INTERNAL_SERVER_ERROR {
        parts.status = StatusCode::UNAUTHORIZED;
    }
    Response::from_parts(parts, Body::new(body))
}

fn with_upgrade(mut headers: HeaderMap) -> HeaderMap {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers
}

/// Copies both ways until both sides have ended, or one has failed. Whatever ends the one ends the other, so there
/// is nobody left to tell.
async fn join(client_side: OnUpgrade, api_side: OnUpgrade) {
    if let (Ok(client), Ok(api)) = tokio::join!(client_side, api_side) {
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(api)).await;
    }
}
