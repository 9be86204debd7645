//! A request, the proof that goes with it, and the ways to spoil both.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::{Identity, RECEIPTS_PATH, Receipt};
use crate::stamp;

/// What is signed: six lines, no line feed at the end.
#[must_use]
pub fn canonical_string(
    method: &str,
    path_and_query: &str,
    timestamp: &str,
    nonce: &str,
    body_hash: &str,
) -> String {
    format!("CLAW-PROOF-V1\n{method}\n{path_and_query}\n{timestamp}\n{nonce}\n{body_hash}")
}

/// SHA-256 of a body, base64url without padding.
#[must_use]
pub fn body_hash(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(body))
}

/// A request before it is signed.
///
/// As made by [`Request::get`] and [`Request::post`] it is what a connector sends. The other methods make it wrong
/// in one way each, for tests of refusals.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path_and_query: String,
    body: Vec<u8>,
    scheme: String,
    timestamp: Option<String>,
    nonce: Option<String>,
    signed_path: Option<String>,
    body_after_signing: Option<Vec<u8>>,
    /// In the order given; `None` leaves the header out.
    headers: Vec<(String, Option<String>)>,
}

/// A request with its proof, ready to be sent, once or again.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    /// The HTTP method.
    pub method: Method,
    /// What follows the host.
    pub path_and_query: String,
    /// All headers the connector sets, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET with an empty body.
    #[must_use]
    pub fn get(path_and_query: &str) -> Self {
        Self::new(Method::GET, path_and_query, Vec::new())
    }

    /// A POST of `body`, sent as JSON whatever it is.
    #[must_use]
    pub fn post(path_and_query: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Method::POST, path_and_query, body.into()).header("Content-Type", "application/json")
    }

    /// The POST of a receipt in the Rust connector's form.
    #[must_use]
    pub fn post_receipt(receipt: &Receipt) -> Self {
        Self::post(RECEIPTS_PATH, receipt.rust_body())
    }

    /// The look-up of a receipt by the sender of the message.
    #[must_use]
    pub fn get_receipt(request_id: &str, recipient_agent_did: &str) -> Self {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("requestId", request_id)
            .append_pair("recipientAgentDid", recipient_agent_did)
            .finish();
        Self::get(&format!("{RECEIPTS_PATH}?{query}"))
    }

    fn new(method: Method, path_and_query: &str, body: Vec<u8>) -> Self {
        Self {
            method,
            path_and_query: path_and_query.to_owned(),
            body,
            scheme: "Claw".to_owned(),
            timestamp: None,
            nonce: None,
            signed_path: None,
            body_after_signing: None,
            headers: Vec::new(),
        }
    }

    /// Another word than `Claw` before the passport.
    #[must_use]
    pub fn scheme(mut self, scheme: &str) -> Self {
        scheme.clone_into(&mut self.scheme);
        self
    }

    /// A given timestamp instead of now. It is signed.
    #[must_use]
    pub fn timestamp(mut self, timestamp: &str) -> Self {
        self.timestamp = Some(timestamp.to_owned());
        self
    }

    /// A given nonce instead of a fresh one. It is signed.
    #[must_use]
    pub fn nonce(mut self, nonce: &str) -> Self {
        self.nonce = Some(nonce.to_owned());
        self
    }

    /// Signs another path than the one that is requested.
    #[must_use]
    pub fn signed_path(mut self, path_and_query: &str) -> Self {
        self.signed_path = Some(path_and_query.to_owned());
        self
    }

    /// Exchanges the body when all is signed.
    #[must_use]
    pub fn body_after_signing(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body_after_signing = Some(body.into());
        self
    }

    /// Sets a header when all is signed, over any of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.push((name.to_owned(), None));
        self
    }

    /// Signs it as `identity`, now and with a fresh nonce unless it was told otherwise.
    #[must_use]
    pub fn sign(self, identity: &Identity) -> SignedRequest {
        let timestamp = self.timestamp.unwrap_or_else(|| stamp::now_s().to_string());
        let nonce = self.nonce.unwrap_or_else(stamp::new_nonce);
        let hash = body_hash(&self.body);
        let signed_path = self.signed_path.as_deref().unwrap_or(&self.path_and_query);
        let proof =
            identity.prove(&canonical_string(self.method.as_str(), signed_path, &timestamp, &nonce, &hash));
        let mut headers = vec![
            ("Authorization".to_owned(), format!("{} {}", self.scheme, identity.ait)),
            ("X-Claw-Agent-Access".to_owned(), identity.access_token.clone()),
            ("X-Claw-Timestamp".to_owned(), timestamp),
            ("X-Claw-Nonce".to_owned(), nonce),
            ("X-Claw-Body-SHA256".to_owned(), hash),
            ("X-Claw-Proof".to_owned(), proof),
        ];
        for (name, value) in self.headers {
            headers.retain(|(set, _)| !set.eq_ignore_ascii_case(&name));
            headers.extend(value.map(|value| (name, value)));
        }
        SignedRequest {
            method: self.method,
            path_and_query: self.path_and_query,
            headers,
            body: self.body_after_signing.unwrap_or(self.body),
        }
    }
}

impl SignedRequest {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(set, _)| set.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn header_map(&self) -> HeaderMap {
        self.headers
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().expect("a test's header name is one");
                (name, HeaderValue::from_str(value).expect("a test's header value is one"))
            })
            .collect()
    }
}
