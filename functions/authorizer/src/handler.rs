//! API Gateway's authorizer event in, a policy or a failure out; the chain between them is [`backbone::auth`].
//!
//! API Gateway knows three answers. A refused token, proof or revocation fails with exactly `Unauthorized`, which the
//! client sees as 401 (one connector renews its token only then). The rate limit is a policy that denies: 403. Any
//! other failure is a 500. The contract's codes exist in the log line and the metric only.

use std::collections::HashMap;

use backbone::auth::{
    AuthOutside, AuthRefusal, Authenticated, Gatekeeper, ProofError, Purpose, SignedRequest,
};
use backbone::error_chain::ErrorChain;
use backbone::front_door::{FrontDoor, ORIGIN_HEADER};
use backbone::metrics::Tally;
use backbone_aws::auth_policy::auth_policy;
use backbone_aws::front_door::front_door;
use backbone_aws::settings::{CONNECT_PATHS, Settings, SettingsError};
use lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::Instrument;

/// A handshake to be authorised, as far as this function reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthorizerEvent {
    method_arn: String,
    headers: Option<HashMap<String, String>>,
    query_string_parameters: Option<HashMap<String, Value>>,
}

/// The answer that lets somebody in, or keeps them out with a 403.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerAnswer {
    principal_id: String,
    policy_document: Value,
    context: Value,
}

/// The answers that are failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizerFailure {
    /// Refused: 401.
    Unauthorized,
    /// A dependency failed: 500.
    Unavailable,
}

impl From<AuthorizerFailure> for Diagnostic {
    fn from(failure: AuthorizerFailure) -> Self {
        let text = match failure {
            // API Gateway compares this text to the letter.
            AuthorizerFailure::Unauthorized => "Unauthorized",
            AuthorizerFailure::Unavailable => "DependencyUnavailable",
        };
        Self { error_type: text.to_owned(), error_message: text.to_owned() }
    }
}

/// What one instance keeps between invocations.
#[derive(Debug)]
pub struct AuthorizerFunction {
    /// Who is let in.
    pub gatekeeper: Gatekeeper,
    /// The paths that connectors dial and sign; the event does not carry the one that was dialled.
    pub connect_paths: Vec<String>,
    /// Which way handshakes may come.
    pub front_door: FrontDoor,
}

impl AuthorizerFunction {
    /// The function as its environment describes it.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let connect_paths = settings.list(CONNECT_PATHS).map(str::to_owned).collect();
        Ok(Self {
            gatekeeper: Gatekeeper::new(auth_policy(settings)?),
            connect_paths,
            front_door: front_door(settings)?,
        })
    }

    /// Decides about one handshake.
    ///
    /// # Errors
    ///
    /// An [`AuthorizerFailure`], which is how API Gateway wants two of the three answers.
    pub async fn handle<O: AuthOutside>(
        &self,
        outside: &O,
        event: &AuthorizerEvent,
        correlation_id: &str,
        tally: &Tally,
    ) -> Result<AuthorizerAnswer, AuthorizerFailure> {
        // An error's span, so that no level of logging leaves the id out.
        let span = tracing::error_span!("handshake", correlation.id = correlation_id);
        self.decide(outside, event, correlation_id, tally).instrument(span).await
    }

    async fn decide<O: AuthOutside>(
        &self,
        outside: &O,
        event: &AuthorizerEvent,
        correlation_id: &str,
        tally: &Tally,
    ) -> Result<AuthorizerAnswer, AuthorizerFailure> {
        match self.authenticate(outside, event, tally).await {
            Ok(caller) => {
                tracing::debug!(agent.did = %caller.agent(), "let an agent in");
                let agent = caller.agent().as_str();
                let context = json!({ "agentDid": agent, "correlationId": correlation_id });
                Ok(answer("Allow", agent, &event.method_arn, context))
            }
            Err(refusal) => {
                tally.refuse(refusal.code());
                tracing::warn!(
                    error.code = refusal.code().as_str(),
                    "refused a handshake: {}",
                    ErrorChain(&refusal)
                );
                refuse(&refusal, &event.method_arn)
            }
        }
    }

    async fn authenticate<O: AuthOutside>(
        &self,
        outside: &O,
        event: &AuthorizerEvent,
        tally: &Tally,
    ) -> Result<Authenticated, AuthRefusal> {
        if !self.front_door.admits(event.header(ORIGIN_HEADER)) {
            return Err(AuthRefusal::Direct);
        }
        // The client signs its query with the path, and the event has it taken apart: it cannot be checked.
        if event.query_string_parameters.as_ref().is_some_and(|query| !query.is_empty()) {
            return Err(ProofError::Signature.into());
        }
        let paths: Vec<&str> = self.connect_paths.iter().map(String::as_str).collect();
        let request = SignedRequest::read("GET", &paths, b"", |name| event.header(name));
        self.gatekeeper.authenticate(outside, &request, Purpose::Connect, tally).await
    }
}

impl AuthorizerEvent {
    /// A header by its lower-case name. API Gateway keeps the client's case for this event.
    fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.as_ref()?;
        headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn refuse(refusal: &AuthRefusal, method_arn: &str) -> Result<AuthorizerAnswer, AuthorizerFailure> {
    match refusal {
        AuthRefusal::RateLimited { agent, .. } => Ok(answer("Deny", agent.as_str(), method_arn, json!({}))),
        AuthRefusal::RegistryUnknown(_) | AuthRefusal::Store(_) | AuthRefusal::AccessUnknown(_) => {
            Err(AuthorizerFailure::Unavailable)
        }
        AuthRefusal::Direct
        | AuthRefusal::MissingToken
        | AuthRefusal::InvalidScheme
        | AuthRefusal::Ait(_)
        | AuthRefusal::Proof(_)
        | AuthRefusal::Replay
        | AuthRefusal::AgentRevoked
        | AuthRefusal::AitRevoked
        | AuthRefusal::Unknown(_)
        | AuthRefusal::AccessRequired
        | AuthRefusal::AccessInvalid => Err(AuthorizerFailure::Unauthorized),
    }
}

fn answer(effect: &str, agent: &str, method_arn: &str, context: Value) -> AuthorizerAnswer {
    let statement = json!({ "Action": "execute-api:Invoke", "Effect": effect, "Resource": method_arn });
    AuthorizerAnswer {
        principal_id: agent.to_owned(),
        policy_document: json!({ "Version": "2012-10-17", "Statement": [statement] }),
        context,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_any_case() {
        let event: AuthorizerEvent = serde_json::from_value(
            json!({ "headers": { "X-Claw-Nonce": "n" }, "queryStringParameters": null }),
        )
        .unwrap();
        assert_eq!(event.header("x-claw-nonce"), Some("n"));
        assert_eq!(event.header("x-claw-proof"), None);
    }

    #[test]
    fn a_refusal_says_unauthorized_to_the_letter() {
        let diagnostic = Diagnostic::from(AuthorizerFailure::Unauthorized);
        assert_eq!(diagnostic.error_message, "Unauthorized");
    }

    #[test]
    fn the_rate_limit_denies_by_policy() {
        let agent = backbone::did::AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        let denied = refuse(&AuthRefusal::RateLimited { agent, retry_after_s: 1 }, "arn").unwrap();
        assert_eq!(denied.policy_document["Statement"][0]["Effect"], "Deny");
        assert_eq!(refuse(&AuthRefusal::Replay, "arn"), Err(AuthorizerFailure::Unauthorized));
    }
}
