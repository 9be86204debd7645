//! The registry: who is revoked there, and its signed word on it.

use std::collections::BTreeMap;

use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::timestamp::to_iso;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use crate::world::BEGIN_MS;

/// Its origin; the agents' authority is its host.
pub(crate) const ORIGIN: &str = "https://registry.test";
const KEY_ID: &str = "k1";
/// How long a list may be used, in seconds.
const LIST_LIFE_S: u64 = 390;

/// See the module.
pub(crate) struct RegistryModel {
    key: SigningKey,
    /// Since when, in milliseconds since the Unix epoch.
    pub(crate) revoked: BTreeMap<AgentDid, u64>,
    /// How many of an agent's sessions have ended, which is the number of the one that lives.
    ended: BTreeMap<AgentDid, u64>,
}

impl RegistryModel {
    pub(crate) fn new() -> Self {
        Self { key: SigningKey::from_bytes(&[7; 32]), revoked: BTreeMap::new(), ended: BTreeMap::new() }
    }

    /// The body of its key set.
    pub(crate) fn keys(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        json!({ "keys": [{ "kid": KEY_ID, "alg": "EdDSA", "crv": "Ed25519", "x": x, "status": "active" }] })
            .to_string()
    }

    /// The body of its revocation list, `None` while nobody is revoked.
    pub(crate) fn crl(&self, now_ms: u64) -> Option<String> {
        let entry = |(agent, revoked_ms): (&AgentDid, &u64)| {
            let jti = Id::derive(BEGIN_MS, &["token", agent.as_str()]);
            json!({ "jti": jti, "agentDid": agent, "revokedAt": revoked_ms / 1_000 })
        };
        let entries: Vec<Value> = self.revoked.iter().map(entry).collect();
        let now_s = now_ms / 1_000;
        let claims = json!({
            "iss": ORIGIN, "jti": "list", "iat": now_s, "exp": now_s + LIST_LIFE_S, "revocations": entries,
        });
        (!entries.is_empty()).then(|| json!({ "crl": self.sign(&claims) }).to_string())
    }

    /// The event that tells of a revocation.
    pub(crate) fn revoked_event(agent: &AgentDid) -> String {
        let data = json!({ "agentId": "x", "reason": "agent_revoked", "metadata": { "agentDid": agent } });
        json!({ "type": "agent.auth.revoked", "data": data }).to_string()
    }

    /// The number of an agent's session that lives.
    pub(crate) fn session(&self, agent: &AgentDid) -> u64 {
        self.ended.get(agent).copied().unwrap_or_default()
    }

    /// Ends an agent's session, in the place of which another lives, and returns the event that tells of it and says that
    /// this was at `said_ms`.
    pub(crate) fn end_session(&mut self, agent: &AgentDid, said_ms: u64) -> String {
        let ended = self.session(agent);
        self.ended.insert(agent.clone(), ended + 1);
        // The number is for the checks: a registry would not say it.
        let metadata = json!({ "agentDid": agent, "session": ended });
        let data = json!({ "agentId": "x", "reason": "owner_auth_revoke", "metadata": metadata });
        json!({ "type": "agent.auth.revoked", "timestampUtc": to_iso(said_ms), "data": data }).to_string()
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "CRL", "kid": KEY_ID });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signing_input = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.key.sign(signing_input.as_bytes());
        format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
