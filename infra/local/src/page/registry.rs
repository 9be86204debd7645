//! The agents' names, which the registry stand-in knows.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::stack::StackDescription;

const REGISTRY: &str = "the registry stand-in";

/// A part of the stack that takes longer than this is as good as gone for somebody who looks on.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The registered agents of a stack.
pub(super) struct RegisteredAgents {
    http: reqwest::Client,
    url: String,
}

/// An agent as the registry stand-in lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegisteredAgent {
    pub(super) agent_did: String,
    pub(super) name: String,
    pub(super) active: bool,
}

impl RegisteredAgents {
    pub(super) fn of(stack: &StackDescription) -> Self {
        Self { http: http_client(), url: format!("{}/dev/agents", stack.registry_url) }
    }

    pub(super) async fn all(&self) -> Result<Vec<RegisteredAgent>, Problem> {
        get_json(&self.http, &self.url, REGISTRY).await
    }
}

/// A client for parts of the stack, which are all on this machine: no proxy stands before them, and none speaks TLS.
pub(super) fn http_client() -> reqwest::Client {
    // Built together with the tests, reqwest has TLS without anybody to do it, and refuses to begin.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build();
    client.expect("there is nothing to set up that could fail")
}

/// `GET url`, which belongs to `part` of the stack.
pub(super) async fn get_json<T: DeserializeOwned>(
    http: &reqwest::Client,
    url: &str,
    part: &'static str,
) -> Result<T, Problem> {
    let answer = async { http.get(url).send().await?.error_for_status()?.json().await };
    answer.await.map_err(Problem::unavailable(part))
}
