//! The handshake of a WebSocket through the door. It is passed on as the HTTP request it is; what is said after the
//! 101 is [`session`](super::session)'s.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_EXTENSIONS, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, on};

use super::{Door, headers, refusal, session};

/// Passes a handshake on; on success serves the socket until it ends.
pub(super) async fn pass(door: &Door, mut request: Request) -> Response {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let client_side = on(&mut request);
    let address = format!("{}{query}", door.upstreams.websocket_api);
    let mut forward = match Request::get(address).body(Body::empty()) {
        Ok(forward) => forward,
        Err(problem) => return refusal::unreachable(&problem),
    };
    let mut passed = with_upgrade(door.upstreams.marked(headers::of_request(request.headers())));
    // Neither API Gateway nor the door knows any.
    passed.remove(SEC_WEBSOCKET_EXTENSIONS);
    *forward.headers_mut() = passed;

    let mut answer = match door.upstreams.client.request(forward).await {
        Ok(answer) => answer,
        Err(problem) => return refusal::unreachable(&problem),
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        tokio::spawn(join(client_side, on(&mut answer), door.clone()));
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

/// A side that fails to become a socket takes the other along, and there is nobody left to tell.
async fn join(client_side: OnUpgrade, api_side: OnUpgrade, door: Door) {
    if let (Ok(client), Ok(api)) = tokio::join!(client_side, api_side) {
        session::serve(client, api, door.limits, door.sockets.open()).await;
    }
}
