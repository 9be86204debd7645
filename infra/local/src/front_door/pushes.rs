//! The functions' way to the connections: @connections, held to API Gateway's limits.
//!
//! A request goes on under its own path and with its own `Host`, as its signature covers both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;

use super::sockets::Fate;
use super::{Door, headers, refusal};

/// The rate at which API Gateway takes requests of one account, callbacks to connections included: 10,000 a second with
/// a burst of 5,000 unless AWS has raised it.
pub const PUSHES_PER_SECOND: u32 = 10_000;
const BURST: u32 = 5_000;

/// Whether this is a call of the @connections API.
pub(super) fn is_one(path: &str) -> bool {
    path.starts_with("/_aws/execute-api/") && path.contains("/@connections/")
}

/// Lets so many requests pass in a second, and a burst on top. Cloning shares the count.
#[derive(Clone)]
pub(super) struct Rate {
    /// Between two requests at the steady rate; `None` without a limit.
    interval: Option<Duration>,
    /// When the requests let through so far would have come at the steady rate.
    accounted: Arc<Mutex<Instant>>,
}

impl Rate {
    /// 0 is no limit.
    pub(super) fn per_second(requests: u32) -> Self {
        let interval = (requests > 0).then(|| Duration::from_secs(1) / requests);
        Self { interval, accounted: Arc::new(Mutex::new(Instant::now())) }
    }

    fn lets_pass(&self) -> bool {
        let Some(interval) = self.interval else { return true };
        let mut accounted = self.accounted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let next = (*accounted).max(now) + interval;
        let passes = next.duration_since(now) <= interval * BURST;
        if passes {
            *accounted = next;
        }
        passes
    }
}

/// Passes one call on and its answer back.
pub(super) async fn pass(door: &Door, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let is_push = request.method() == Method::POST;
    if door.sockets.is_gone(&path) {
        return refusal::of_connections(StatusCode::GONE, "GoneException");
    }
    if !door.push_rate.lets_pass() || (is_push && door.sockets.is_throttled(&path)) {
        return refusal::of_connections(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException");
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, door.limits.message_bytes_max()).await else {
        return refusal::of_connections(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException");
    };
    let path_and_query = parts.uri.path_and_query().map_or("/", |text| text.as_str());
    let mut forward = match Request::builder()
        .method(parts.method)
        .uri(format!("{}{path_and_query}", door.upstreams.aws))
        .body(Body::from(body.clone()))
    {
        Ok(forward) => forward,
        Err(problem) => return refusal::unreachable(&problem),
    };
    *forward.headers_mut() = headers::of_response(&parts.headers);
    // A client that waits for a `100 Continue` has got its own from us.
    forward.headers_mut().remove(header::EXPECT);

    let awaited = is_push.then(|| frame(&body)).flatten().map(|text| door.sockets.await_frame(&path, text));
    let answer = match door.upstreams.client.request(forward).await {
        Ok(answer) => answer,
        Err(problem) => return refusal::unreachable(&problem),
    };
    if answer.status() == StatusCode::OK
        && let Some(awaited) = awaited
        && awaited.fate().await == Fate::Gone
    {
        return refusal::of_connections(StatusCode::GONE, "GoneException");
    }
    let (mut parts, body) = answer.into_parts();
    parts.headers = headers::of_response(&parts.headers);
    Response::from_parts(parts, Body::new(body))
}

/// What the emulator will send for this body: it sends nothing for an empty one.
fn frame(body: &Bytes) -> Option<String> {
    (!body.is_empty()).then(|| String::from_utf8_lossy(body).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_about_connections_are_pushes() {
        assert!(is_one("/_aws/execute-api/abc/local/@connections/x%3D"));
        for path in ["/_aws/execute-api/abc/local", "/@connections/x", "/v1/relay/connect"] {
            assert!(!is_one(path), "{path}");
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let slow = Rate::per_second(1);
        let passed = (0..BURST + 10).filter(|_| slow.lets_pass()).count();
        assert_eq!(passed, usize::try_from(BURST).unwrap());
        let unlimited = Rate::per_second(0);
        assert!((0..BURST + 10).all(|_| unlimited.lets_pass()));
    }
}
