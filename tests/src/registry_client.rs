//! The registry stand-in, from outside: what a person would do in the real registry.

use ed25519_dalek::SigningKey;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::connector::{HttpAnswer, Identity, NoAnswer, http_client};
use crate::stamp;

/// A registry stand-in at some URL.
pub struct RegistryClient {
    http: Client,
    url: String,
}

/// An endpoint of the registry that can be switched out of order.
#[derive(Clone, Copy, Debug)]
pub enum Endpoint {
    /// The published keys.
    Keys,
    /// The revocation list.
    Crl,
    /// The check of access tokens.
    Validate,
}

/// How an endpoint is to behave.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It answers.
    None,
    /// It answers 503.
    Unavailable,
    /// It takes the request and never answers.
    Hang,
}

/// The registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It did not answer.
    #[error("the registry does not answer")]
    NoAnswer(#[from] NoAnswer),
    /// It refused, or answered something unexpected.
    #[error("the registry answered {status}: {body}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// The body as it came.
        body: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    agent_did: String,
    ait: String,
    access_token: String,
    jti: String,
}

impl RegistryClient {
    /// `url` is the registry's origin.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { http: http_client(), url: url.trim_end_matches('/').to_owned() }
    }

    /// Registers an agent with a fresh key.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub async fn register(&self, name: &str) -> Result<Identity, RegistryError> {
        let key = SigningKey::from_bytes(&stamp::random());
        let body = json!({"name": name, "publicKeyX": Identity::public_key_x(&key)});
        let registered = read(&self.post("/dev/agents", &body).await?)?;
        Ok(identity(registered, key))
    }

    /// A new passport and session for an agent; the old ones stop working.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub async fn reissue(&self, agent: &Identity) -> Result<Identity, RegistryError> {
        let answer = self.post("/dev/agents/reissue", &json!({"agentDid": agent.agent_did})).await?;
        Ok(identity(read(&answer)?, agent.key().clone()))
    }

    /// Revokes an agent for good.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub async fn revoke(&self, agent_did: &str) -> Result<(), RegistryError> {
        self.post("/dev/agents/revoke", &json!({"agentDid": agent_did})).await.map(drop)
    }

    /// Ends an agent's session, as its owner does.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub async fn end_session(&self, agent_did: &str) -> Result<(), RegistryError> {
        self.post("/dev/agents/end-session", &json!({"agentDid": agent_did})).await.map(drop)
    }

    /// Switches one endpoint out of order, or back.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub async fn set_fault(&self, endpoint: Endpoint, fault: Fault) -> Result<(), RegistryError> {
        let endpoint = match endpoint {
            Endpoint::Keys => "keys",
            Endpoint::Crl => "crl",
            Endpoint::Validate => "validate",
        };
        let fault = match fault {
            Fault::None => "ok",
            Fault::Unavailable => "unavailable",
            Fault::Hang => "hang",
        };
        self.post("/dev/faults", &json!({endpoint: fault})).await.map(drop)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<HttpAnswer, RegistryError> {
        let request = self.http.post(format!("{}{path}", self.url)).body(body.to_string());
        let answer = HttpAnswer::read(request.send().await).await?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(unexpected(&answer)) }
    }
}

fn read(answer: &HttpAnswer) -> Result<Registered, RegistryError> {
    serde_json::from_str(&answer.body).map_err(|_| unexpected(answer))
}

fn unexpected(answer: &HttpAnswer) -> RegistryError {
    RegistryError::Unexpected { status: answer.status, body: answer.body.clone() }
}

fn identity(registered: Registered, key: SigningKey) -> Identity {
    let Registered { agent_did, ait, access_token, jti } = registered;
    Identity::new(agent_did, ait, access_token, jti, key)
}
