//! Everything that is not a WebSocket: to the HTTP API, as it came.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;

use super::{Upstreams, headers, refusal};

/// Passes one request on and its answer back; both bodies are streamed.
pub(super) async fn pass(upstreams: &Upstreams, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // The text the client sent, not a parsed and printed form of it: the proof covers path and query.
    let path_and_query = parts.uri.path_and_query().map_or("/", |text| text.as_str());
    let mut forward = match Request::builder()
        .method(parts.method)
        .uri(format!("{}{path_and_query}", upstreams.http_api))
        .body(body)
    {
        Ok(forward) => forward,
        Err(problem) => return refusal::unreachable(&problem),
    };
    *forward.headers_mut() = upstreams.marked(headers::of_request(&parts.headers));
    match upstreams.client.request(forward).await {
        Ok(answer) => {
            let (mut parts, body) = answer.into_parts();
            parts.headers = headers::of_response(&parts.headers);
            Response::from_parts(parts, Body::new(body))
        }
        Err(problem) => refusal::unreachable(&problem),
    }
}
