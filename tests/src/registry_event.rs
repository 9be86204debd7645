//! Events as the registry publishes them, written from the contract.

use serde_json::{Value, json};

use crate::connector::{HttpAnswer, NoAnswer, http_client};
use crate::stack::Stack;
use crate::stamp;

/// An event in its envelope.
#[must_use]
pub fn enveloped(kind: &str, data: &Value) -> Value {
    json!({
        "id": format!("3f0c9a52-7b0e-4d37-9c58-{:012x}", stamp::now_ms()), "type": kind, "version": "v1",
        "timestampUtc": stamp::now_iso(), "initiatedByAccountId": null, "data": data,
    })
}

/// An event of an agent's session. The agent is named by its ULID alone.
#[must_use]
pub fn of_session(kind: &str, agent_did: &str) -> Value {
    let (_, ulid) = agent_did.rsplit_once(':').expect("a DID has colons");
    enveloped(kind, &json!({ "agentId": ulid, "sessionId": stamp::new_ulid() }))
}

/// `agent.auth.revoked` for a reason.
#[must_use]
pub fn revoked(agent_did: &str, reason: &str) -> Value {
    let mut event = of_session("agent.auth.revoked", agent_did);
    event["data"]["reason"] = reason.into();
    if reason == "agent_revoked" {
        event["data"]["metadata"] = json!({ "agentDid": agent_did });
    }
    event
}

/// `pair.accepted`, which has no envelope. Both live at `proxy_origin`.
#[must_use]
pub fn pair_accepted(initiator: &str, responder: &str, proxy_origin: &str) -> Value {
    json!({
        "type": "pair.accepted", "initiatorAgentDid": initiator, "responderAgentDid": responder,
        "responderProfile": { "agentName": "beta", "humanName": "Ira", "proxyOrigin": proxy_origin },
        "issuerProxyOrigin": proxy_origin, "eventTimestampUtc": stamp::now_iso(),
    })
}

/// Posts events over HTTP as a registry does that has no way to the queue; `credentials` are the service's id and its
/// secret.
///
/// # Errors
///
/// [`NoAnswer`]. An answer of any status is not an error.
pub async fn post(
    stack: &Stack,
    credentials: Option<(&str, &str)>,
    body: String,
) -> Result<HttpAnswer, NoAnswer> {
    let mut request = http_client().post(format!("{}/v1/events", stack.proxy_url));
    if let Some((id, secret)) = credentials {
        request = request.header("x-claw-service-id", id).header("x-claw-service-secret", secret);
    }
    HttpAnswer::read(request.header("content-type", "application/json").body(body).send().await).await
}
