//! API Gateway's HTTP event, as far as this function reads it (payload format 2.0), and its answer.
//!
//! `lambda_http`'s own request type is not used: it builds a URL from what the client sent and panics where that is
//! none, and it refuses an event with a header value outside ASCII. Either would let a stranger make an invocation
//! fail. Here every field may be missing and every text may be anything.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// One HTTP request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpEvent {
    /// The path as the client sent it.
    pub raw_path: String,
    /// The query as the client sent it, without the question mark.
    pub raw_query_string: String,
    /// Names in lower case; values of repeated headers joined by commas.
    pub headers: HashMap<String, String>,
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
    /// A header by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
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
    pub fn body(&self) -> Vec<u8> {
        let text = self.body.as_deref().unwrap_or_default().as_bytes();
        if self.is_base64_encoded {
            STANDARD.decode(text).unwrap_or_else(|_| text.to_vec())
        } else {
            text.to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let event = |text: &str| serde_json::from_str::<HttpEvent>(text).unwrap().body();
        assert_eq!(event(r#"{"body":"\u00e9"}"#), "\u{e9}".as_bytes());
        assert_eq!(event(r#"{"body":"/wA=","isBase64Encoded":true}"#), [255, 0]);
        assert_eq!(event(r#"{"body":"?","isBase64Encoded":true}"#), b"?");
        assert_eq!(event("{}"), b"");
    }
}
