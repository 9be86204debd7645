//! The identity registry, over HTTP.

use std::sync::OnceLock;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use backbone::did::AgentDid;
use backbone::home::ProxyOrigin;
use backbone::id::Id;
use backbone::limits::{CRL_BYTES_MAX, KEYS_BYTES_MAX, REGISTRY_ANSWER_BYTES_MAX};
use backbone::stores::{AccessAnswer, Registry, StoreError};
use http_body_util::{BodyExt, Limited};
use serde_json::json;

use crate::auth_policy::not_an_origin;
use crate::outside::{Invocation, unavailable};
use crate::settings::{REGISTRY_URL, Settings, SettingsError};
use crate::tls::{CaBundle, Trust, connector};

/// The longest the registry may be silent.
const READ_TIMEOUT: Duration = Duration::from_millis(2_500);
/// The longest one attempt may take, its body included. Two of them fit into one operation.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(3_500);
const ATTEMPTS_MAX: u32 = 2;

const USER_AGENT: &str = concat!("claw-backbone/", env!("CARGO_PKG_VERSION"));

/// Why the registry's answer cannot be used. It never holds what was sent: that may be a token.
#[derive(Debug, thiserror::Error)]
enum RegistryError {
    #[error("the registry was not reached")]
    Transport(#[source] ConnectorError),
    #[error("the registry did not answer in time")]
    Silent,
    #[error("the registry answered {0}")]
    Status(u16),
    #[error("the registry's answer broke off or is longer than {bytes_max} bytes")]
    Body { bytes_max: usize },
    #[error("the registry's answer is not UTF-8")]
    NotText,
    #[error("a request to the registry could not be written")]
    Request,
}

/// Status and body of an answer.
struct Answer {
    status: u16,
    body: String,
}

/// The registry, as one process reaches it.
#[derive(Debug)]
pub(crate) struct RegistryClient {
    /// Scheme and authority, `None` if this function has no business with the registry.
    origin: Option<String>,
    bundle: Option<CaBundle>,
    connector: OnceLock<SharedHttpConnector>,
}

impl RegistryClient {
    pub(crate) fn new(settings: &Settings, bundle: Option<CaBundle>) -> Result<Self, SettingsError> {
        let origin = match settings.get(REGISTRY_URL) {
            Some(url) => Some(ProxyOrigin::parse(url).ok_or_else(not_an_origin)?.to_string()),
            None => None,
        };
        Ok(Self { origin, bundle, connector: OnceLock::new() })
    }

    fn connector(&self) -> &SharedHttpConnector {
        self.connector.get_or_init(|| {
            let trust = Trust::at(self.origin.as_deref(), self.bundle.as_ref(), Trust::System);
            connector(trust, READ_TIMEOUT)
        })
    }

    /// Sends what `request` builds, and once more if it was not answered: all three questions change nothing, and a
    /// pooled connection may have died while the function was frozen. `repeat_5xx` repeats a failed answer too.
    async fn ask(
        &self,
        request: impl Fn() -> Result<HttpRequest, RegistryError> + Send + Sync,
        repeat_5xx: bool,
        bytes_max: usize,
    ) -> Result<Answer, RegistryError> {
        let mut attempt = 1;
        loop {
            let exchange = exchange(self.connector(), request()?, bytes_max);
            let outcome =
                tokio::time::timeout(ATTEMPT_TIMEOUT, exchange).await.unwrap_or(Err(RegistryError::Silent));
            let may_pass = match &outcome {
                Ok(answer) => repeat_5xx && answer.status >= 500,
                Err(RegistryError::Transport(_) | RegistryError::Silent | RegistryError::Body { .. }) => true,
                Err(RegistryError::Status(_) | RegistryError::NotText | RegistryError::Request) => false,
            };
            if !may_pass || attempt == ATTEMPTS_MAX {
                return outcome;
            }
            attempt += 1;
        }
    }
}

async fn exchange(
    connector: &SharedHttpConnector,
    request: HttpRequest,
    bytes_max: usize,
) -> Result<Answer, RegistryError> {
    let response = connector.call(request).await.map_err(RegistryError::Transport)?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), bytes_max).collect().await;
    let body = body.map_err(|_| RegistryError::Body { bytes_max })?.to_bytes();
    let body = String::from_utf8(body.into()).map_err(|_| RegistryError::NotText)?;
    Ok(Answer { status, body })
}

/// A request to `url` with this project's name on it.
fn request(method: &str, url: &str, body: SdkBody) -> Result<HttpRequest, RegistryError> {
    let mut request = HttpRequest::new(body);
    request.set_method(method).map_err(|_| RegistryError::Request)?;
    request.set_uri(url).map_err(|_| RegistryError::Request)?;
    with_header(&mut request, "user-agent", USER_AGENT)?;
    with_header(&mut request, "accept", "application/json")?;
    Ok(request)
}

/// The error does not say which value was refused: it may be a token.
fn with_header(request: &mut HttpRequest, name: &'static str, value: &str) -> Result<(), RegistryError> {
    let headers = request.headers_mut();
    headers.try_insert(name, value.to_owned()).map(drop).map_err(|_| RegistryError::Request)
}

impl Registry for Invocation<'_> {
    async fn fetch_keys(&self) -> Result<String, StoreError> {
        const OPERATION: &str = "fetch_keys";
        let answer = self.get(OPERATION, "/.well-known/claw-keys.json", KEYS_BYTES_MAX).await?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(unavailable(OPERATION)(RegistryError::Status(status))),
        }
    }

    async fn fetch_crl(&self) -> Result<Option<String>, StoreError> {
        const OPERATION: &str = "fetch_crl";
        let answer = self.get(OPERATION, "/v1/crl", CRL_BYTES_MAX).await?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            status => Err(unavailable(OPERATION)(RegistryError::Status(status))),
        }
    }

    /// A failed answer is not repeated: the registry limits these questions, and the caller has a policy for it.
    async fn check_access(
        &self,
        agent: &AgentDid,
        ait_jti: Id,
        access_token: &str,
    ) -> Result<AccessAnswer, StoreError> {
        const OPERATION: &str = "check_access";
        let url = format!("{}/v1/agents/auth/validate", self.registry_origin(OPERATION)?);
        let body = json!({ "agentDid": agent, "aitJti": ait_jti }).to_string();
        let request = || {
            let mut request = request("POST", &url, SdkBody::from(body.as_str()))?;
            with_header(&mut request, "content-type", "application/json")?;
            with_header(&mut request, "x-claw-agent-access", access_token)?;
            Ok(request)
        };
        self.in_time(OPERATION, async {
            let answer = self.aws.registry.ask(request, false, REGISTRY_ANSWER_BYTES_MAX).await;
            let answer = answer.map_err(unavailable(OPERATION))?;
            match answer.status {
                204 => Ok(AccessAnswer::Accepted),
                401 => Ok(AccessAnswer::Refused),
                status => Err(unavailable(OPERATION)(RegistryError::Status(status))),
            }
        })
        .await
    }
}

impl Invocation<'_> {
    async fn get(&self, operation: &'static str, path: &str, bytes_max: usize) -> Result<Answer, StoreError> {
        let url = format!("{}{path}", self.registry_origin(operation)?);
        let request = || request("GET", &url, SdkBody::empty());
        self.in_time(operation, async {
            self.aws.registry.ask(request, true, bytes_max).await.map_err(unavailable(operation))
        })
        .await
    }

    fn registry_origin(&self, operation: &'static str) -> Result<&str, StoreError> {
        let missing = || SettingsError::Missing { names: vec![REGISTRY_URL] };
        self.aws.registry.origin.as_deref().ok_or_else(missing).map_err(unavailable(operation))
    }
}

#[cfg(test)]
mod tests {
    use backbone::error_chain::ErrorChain;

    use super::*;
    use crate::stub::{Answer as Stubbed, Stub, settings};

    fn http(status: u16, body: &str) -> Stubbed {
        Stubbed::Http(status, body.to_owned())
    }

    async fn check(stub: &Stub, token: &str) -> Result<AccessAnswer, StoreError> {
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        stub.invocation().check_access(&agent, Id::parse("01KN33X0KRM9Q3MFS6RVPP6F7F").unwrap(), token).await
    }

    #[tokio::test]
    async fn keys_are_fetched_once_more_after_a_failure_that_may_pass() {
        for first in [http(503, ""), Stubbed::HangUp] {
            let stub = Stub::answering([first, http(200, "{\"keys\":[]}")]).await;
            assert_eq!(stub.invocation().fetch_keys().await.unwrap(), "{\"keys\":[]}");
            let seen = stub.seen();
            assert_eq!(seen.len(), 2);
            assert!(seen[1].head.starts_with("GET /.well-known/claw-keys.json HTTP/1.1"), "{}", seen[1].head);
            assert!(seen[1].head.contains(&format!("host: {}", stub.url().trim_start_matches("http://"))));
        }
        let stub = Stub::answering([http(500, "")]).await;
        assert!(stub.invocation().fetch_keys().await.is_err());
        assert_eq!(stub.seen().len(), 2, "twice and no more");
    }

    #[tokio::test]
    async fn no_list_is_an_answer_and_an_error_is_not() {
        for (answer, expected) in
            [(http(404, "{}"), Some(None)), (http(200, "list"), Some(Some("list"))), (http(429, ""), None)]
        {
            let stub = Stub::answering([answer]).await;
            let fetched = stub.invocation().fetch_crl().await.ok();
            assert_eq!(fetched.as_ref().map(Option::as_deref), expected);
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let stub = Stub::answering([http(200, &"x".repeat(KEYS_BYTES_MAX + 1))]).await;
        let error = stub.invocation().fetch_keys().await.unwrap_err();
        assert!(ErrorChain(&error).to_string().contains("longer than 358400 bytes"));
        assert!(stub.invocation().fetch_crl().await.is_ok(), "a list may be longer than a key set");
        let stub = Stub::answering([http(200, &"x".repeat(CRL_BYTES_MAX + 1))]).await;
        let error = stub.invocation().fetch_crl().await.unwrap_err();
        assert!(ErrorChain(&error).to_string().contains("longer than 16777216 bytes"));
    }

    #[tokio::test]
    async fn the_registrys_word_on_a_token_is_yes_no_or_nothing() {
        for (status, expected, calls) in [
            (204, Some(AccessAnswer::Accepted), 1),
            (401, Some(AccessAnswer::Refused), 1),
            (200, None, 1),
            (400, None, 1),
            (429, None, 1),
            (500, None, 1),
        ] {
            let stub = Stub::answering([http(status, "")]).await;
            assert_eq!(check(&stub, "token").await.ok(), expected, "{status}");
            assert_eq!(stub.seen().len(), calls, "{status}");
        }
    }

    #[tokio::test]
    async fn the_question_is_the_contracts() {
        let stub = Stub::answering([http(204, "")]).await;
        assert_eq!(check(&stub, "hush").await.unwrap(), AccessAnswer::Accepted);
        let seen = &stub.seen()[0];
        assert!(seen.head.starts_with("POST /v1/agents/auth/validate HTTP/1.1"));
        assert!(seen.head.contains("x-claw-agent-access: hush"));
        assert!(seen.head.contains("content-type: application/json"));
        let expected = json!({
            "agentDid": "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2", "aitJti": "01KN33X0KRM9Q3MFS6RVPP6F7F",
        });
        assert_eq!(seen.json(), expected);
    }

    #[tokio::test]
    async fn no_error_quotes_the_token() {
        for (answer, token) in
            [(http(500, "hush"), "hush"), (Stubbed::HangUp, "hush"), (http(204, ""), "hu\nsh")]
        {
            let stub = Stub::answering([answer]).await;
            let error = check(&stub, token).await.unwrap_err();
            let text = format!("{} {error:?}", ErrorChain(&error));
            assert!(!text.contains("hush") && !text.contains("hu\nsh"), "{text}");
        }
    }

    #[test]
    fn an_origin_is_scheme_and_host() {
        for (url, ok) in [
            ("https://registry.example.com", true),
            ("http://127.0.0.1:8788/", true),
            ("registry.example.com", false),
            ("https://registry.example.com/v1", false),
            ("https://user:secret@registry.example.com", false),
            ("ftp://registry.example.com", false),
        ] {
            assert_eq!(RegistryClient::new(&settings(&[(REGISTRY_URL, url)]), None).is_ok(), ok, "{url}");
        }
    }
}
