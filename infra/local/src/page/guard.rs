//! Who may ask.
//!
//! Any page open in the same browser can send requests to this port, and a name whose address changes to 127.0.0.1
//! makes such a page look like ours. So every request must name this host, and a change must come from this origin and
//! carry a header that no foreign page can add without asking first, which this program never allows.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// The header that the page adds to a change.
const CHANGE_HEADER: &str = "x-local-page";

/// What a browser is told of everything that is served: load nothing from elsewhere, be framed by nobody, keep nothing.
const ANSWER_HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Lets a request through, or refuses it. `port` is the one that this program listens on.
pub(super) async fn check(State(port): State<u16>, request: Request, next: Next) -> Response {
    let mut response = match permit(port, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    for (name, value) in ANSWER_HEADERS {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn permit(port: u16, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").ok_or(Problem::ForeignHost)?;
    if host != format!("127.0.0.1:{port}") && host != format!("localhost:{port}") {
        return Err(Problem::ForeignHost);
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let own_origin = text("origin") == Some(&format!("http://{host}"));
    if own_origin && headers.contains_key(CHANGE_HEADER) { Ok(()) } else { Err(Problem::ForeignOrigin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 4569;
    const OURS: (&str, &str) = ("host", "127.0.0.1:4569");
    const ORIGIN: (&str, &str) = ("origin", "http://127.0.0.1:4569");
    const MARK: (&str, &str) = (CHANGE_HEADER, "redrive");

    fn permitted(method: &Method, headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), header::HeaderValue::from_static(value))
        });
        permit(PORT, method, &headers.collect()).is_ok()
    }

    #[test]
    fn reading_needs_our_host() {
        assert!(permitted(&Method::GET, &[OURS]));
        assert!(permitted(&Method::GET, &[("host", "localhost:4569")]));
        for host in ["rebound.example:4569", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:4569.example"] {
            assert!(!permitted(&Method::GET, &[("host", host)]), "{host}");
        }
        assert!(!permitted(&Method::GET, &[]));
    }

    #[test]
    fn a_change_needs_our_origin_and_our_header() {
        assert!(permitted(&Method::POST, &[OURS, ORIGIN, MARK]));
        assert!(!permitted(&Method::POST, &[OURS, MARK]));
        assert!(!permitted(&Method::POST, &[OURS, ORIGIN]));
        for origin in ["null", "http://localhost:4569", "https://127.0.0.1:4569", "http://evil.example"] {
            assert!(!permitted(&Method::POST, &[OURS, ("origin", origin), MARK]), "{origin}");
        }
        assert!(!permitted(&Method::DELETE, &[OURS]));
    }
}
