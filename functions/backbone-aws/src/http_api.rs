//! What API Gateway's HTTP API hands a function, as far as it is read here (payload format 2.0), and what it takes back.
//!
//! `lambda_http`'s own request type is not used: it builds a URL from what the client sent and panics where that is
//! none, and it refuses an event with a header value outside ASCII. Either would let a stranger make an invocation
//! fail. Here every field may be missing and every text may be anything.

mod headers;

use std::borrow::Cow;
use std::collections::BTreeMap;

use backbone::error_code::ErrorCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::headers::{Headers, REQUEST_ID};

/// Longest request id of a client's own, in bytes, that is taken over (contract 1.4).
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 128;

/// One HTTP request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpEvent {
    /// The path as the client sent it.
    pub raw_path: String,
    /// The query as the client sent it, without the question mark.
    pub raw_query_string: String,
    headers: Headers,
    /// What API Gateway adds.
    pub request_context: RequestContext,
    body: Option<String>,
    is_base64_encoded: bool,
}

/// What API Gateway knows about a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RequestContext {
    /// The request line.
    pub http: RequestLine,
}

/// The request line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RequestLine {
    /// The method, in upper case.
    pub method: String,
}

impl HttpEvent {
    /// A header by its lower-case name; the values of a repeated one are joined by commas.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The request's id: the client's if it brought a usable one (contract 1.4), else `invocation_id`, the UUID of the
    /// invocation.
    #[must_use]
    pub fn request_id<'a>(&'a self, invocation_id: &'a str) -> &'a str {
        self.header(REQUEST_ID).filter(|id| is_request_id(id)).unwrap_or(invocation_id)
    }

    /// Path and query as the client signed them.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        if self.raw_query_string.is_empty() {
            self.raw_path.clone()
        } else {
            format!("{}?{}", self.raw_path, self.raw_query_string)
        }
    }

    /// The body, byte for byte. What is marked as base64 and is not stays as it is, and no proof will hold for it.
    #[must_use]
    pub fn body(&self) -> Cow<'_, [u8]> {
        let text = self.body.as_deref().unwrap_or_default().as_bytes();
        let decoded = self.is_base64_encoded.then(|| STANDARD.decode(text).ok()).flatten();
        decoded.map_or(Cow::Borrowed(text), Cow::Owned)
    }
}

/// The span of all that is done for a request. An error's, so that no level of logging leaves the id out.
#[must_use]
pub fn request_span(request_id: &str) -> tracing::Span {
    tracing::error_span!("request", correlation.id = request_id)
}

/// Whether a client's own request id is taken over (contract 1.4).
fn is_request_id(text: &str) -> bool {
    (8..=REQUEST_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

/// An answer before it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, always JSON.
    pub body: Value,
    /// When to come back, in seconds.
    pub retry_after_s: Option<u64>,
}

/// An answer as API Gateway takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    /// An answer with a body.
    #[must_use]
    pub const fn new(status: u16, body: Value) -> Self {
        Self { status, body, retry_after_s: None }
    }

    /// The contract's error envelope (1.4). `request_id` is the HTTP request's.
    #[must_use]
    pub fn error(code: ErrorCode, details: Option<Value>, request_id: &str) -> Self {
        let mut error = json!({ "code": code.as_str(), "message": code.message(), "requestId": request_id });
        if let Some(details) = details {
            error["details"] = details;
        }
        Self::new(code.http_status(), json!({ "error": error }))
    }

    /// The answer with the headers that every answer has. It is logged, within the request's span.
    #[must_use]
    pub fn into_response(self, request_id: &str) -> HttpResponse {
        tracing::debug!(http.status = self.status, "answered a request");
        let mut headers = BTreeMap::from([
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
            (REQUEST_ID, request_id.to_owned()),
        ]);
        headers.extend(self.retry_after_s.map(|after_s| ("retry-after", after_s.to_string())));
        HttpResponse {
            status_code: self.status,
            headers,
            // Much cheaper than through `Display`.
            body: serde_json::to_string(&self.body).expect("what `json!` makes can be written"),
            is_base64_encoded: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_request_id_is_taken_over_if_it_is_harmless() {
        assert!(is_request_id("abc.DEF_1:2-3"));
        for id in ["short", "has space in it", "line\nbreak--", &"x".repeat(REQUEST_ID_BYTES_MAX + 1)] {
            assert!(!is_request_id(id), "{id}");
        }
    }

    #[test]
    fn the_envelope_is_the_contracts() {
        let answer = Answer::error(ErrorCode::AuthTimestampSkew, Some(json!({"maxSkewSeconds": 300})), "id");
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body["error"]["code"], "PROXY_AUTH_TIMESTAMP_SKEW");
        assert_eq!(answer.body["error"]["details"], json!({"maxSkewSeconds": 300}));
        let plain = Answer::error(ErrorCode::AuthReplay, None, "id");
        assert!(plain.body["error"].get("details").is_none());
    }

    #[test]
    fn a_response_is_spelt_as_api_gateway_reads_it() {
        let answer = Answer { retry_after_s: Some(7), ..Answer::new(429, json!({ "x": 1 })) };
        let expected = json!({
            "statusCode": 429, "body": "{\"x\":1}", "isBase64Encoded": false,
            "headers": { "content-type": "application/json", "cache-control": "no-store",
                "x-request-id": "id", "retry-after": "7" },
        });
        assert_eq!(serde_json::to_value(answer.into_response("id")).unwrap(), expected);
    }

    #[test]
    fn nothing_a_client_sends_makes_an_event_unreadable() {
        for text in [
            r"{}",
            r#"{"headers":{"x-odd":"\u00e9\u0000"},"rawQueryString":"a=<\">","rawPath":"//[::"}"#,
            r#"{"body":null,"isBase64Encoded":false,"cookies":["x"],"requestContext":{"http":{"method":"POST"}}}"#,
        ] {
            serde_json::from_str::<HttpEvent>(text).unwrap();
        }
    }

    #[test]
    fn bodies_are_bytes() {
        let event = |text: &str| serde_json::from_str::<HttpEvent>(text).unwrap().body().into_owned();
        assert_eq!(event(r#"{"body":"\u00e9"}"#), "\u{e9}".as_bytes());
        assert_eq!(event(r#"{"body":"/wA=","isBase64Encoded":true}"#), [255, 0]);
        assert_eq!(event(r#"{"body":"?","isBase64Encoded":true}"#), b"?");
        assert_eq!(event("{}"), b"");
    }
}
