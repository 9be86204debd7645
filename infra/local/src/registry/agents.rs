//! Who is registered, with which passport, and what has been revoked.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::entropy::Entropy;
use super::tokens::{self, AgentKey, AitClaims, Confirmation, Revocation};

/// How long a passport is valid, in seconds.
const AIT_LIFE_S: u64 = 30 * 24 * 3600;
const NAME_CHARS_MAX: usize = 64;
const PUBLIC_KEY_BYTES: usize = 32;

/// The registry's register.
pub struct Agents {
    origin: String,
    authority: String,
    key: SigningKey,
    entropy: Entropy,
    by_did: BTreeMap<String, Agent>,
    revocations: Vec<Revocation>,
}

struct Agent {
    owner_did: String,
    name: String,
    public_key_x: String,
    jti: String,
    access_token: String,
    active: bool,
}

/// What an agent brings to be registered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAgent {
    /// 1 to 64 of letters, digits, `.`, `_`, `-` and space.
    pub name: String,
    /// Its Ed25519 public key, base64url without padding.
    pub public_key_x: String,
}

/// What an agent gets: its identity and the two tokens that go with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// `did:cdi:<host>:agent:<ULID>`.
    pub agent_did: String,
    /// `did:cdi:<host>:human:<ULID>`.
    pub owner_did: String,
    /// The passport, a signed JWT.
    pub ait: String,
    /// The passport's identifier, which a revocation names.
    pub jti: String,
    /// `clw_agt_…`, the token of the agent's session.
    pub access_token: String,
}

/// An agent as it is listed: what anybody may know.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    agent_did: String,
    name: String,
    active: bool,
}

/// Why the register was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// Empty, too long, or a character that a passport's readers refuse.
    Name,
    /// Not 32 bytes in base64url without padding.
    PublicKey,
    /// No such agent.
    UnknownAgent,
    /// The agent has been revoked, which is final.
    Revoked,
}

impl Agents {
    /// An empty register that signs as `origin`.
    #[must_use]
    pub fn new(origin: &str, mut entropy: Entropy) -> Self {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let authority = host.split_once(':').map_or(host, |(name, _port)| name).to_ascii_lowercase();
        Self {
            origin: origin.to_owned(),
            authority,
            key: SigningKey::from_bytes(&entropy.block()),
            entropy,
            by_did: BTreeMap::new(),
            revocations: Vec::new(),
        }
    }

    /// The published key set.
    #[must_use]
    pub fn keys(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        json!({"keys": [
            {"kid": tokens::KEY_ID, "alg": "EdDSA", "crv": "Ed25519", "x": x, "status": "active"},
        ]})
    }

    /// Registers a new agent under a new owner.
    ///
    /// # Errors
    ///
    /// [`Rejected::Name`] and [`Rejected::PublicKey`].
    pub fn register(&mut self, new: NewAgent, now_ms: u64) -> Result<Registered, Rejected> {
        if !is_name(&new.name) {
            return Err(Rejected::Name);
        }
        if !URL_SAFE_NO_PAD.decode(&new.public_key_x).is_ok_and(|key| key.len() == PUBLIC_KEY_BYTES) {
            return Err(Rejected::PublicKey);
        }
        let did = format!("did:cdi:{}:agent:{}", self.authority, self.entropy.ulid(now_ms));
        let owner_did = format!("did:cdi:{}:human:{}", self.authority, self.entropy.ulid(now_ms));
        let agent = Agent {
            owner_did,
            name: new.name,
            public_key_x: new.public_key_x,
            jti: self.entropy.ulid(now_ms),
            access_token: self.new_access_token(),
            active: true,
        };
        let registered = self.issue(&did, &agent, now_ms);
        self.by_did.insert(did, agent);
        Ok(registered)
    }

    /// Gives an agent a new passport and session. The old passport goes on the revocation list as `reissued`.
    ///
    /// # Errors
    ///
    /// [`Rejected::UnknownAgent`] and [`Rejected::Revoked`].
    pub fn reissue(&mut self, did: &str, now_ms: u64) -> Result<Registered, Rejected> {
        let mut agent = self.by_did.remove(did).ok_or(Rejected::UnknownAgent)?;
        let result = if agent.active {
            let old_jti = std::mem::replace(&mut agent.jti, self.entropy.ulid(now_ms));
            self.put_on_the_list(old_jti, did, Some("reissued"), now_ms);
            agent.access_token = self.new_access_token();
            Ok(self.issue(did, &agent, now_ms))
        } else {
            Err(Rejected::Revoked)
        };
        self.by_did.insert(did.to_owned(), agent);
        result
    }

    /// Revokes an agent for good. Doing it twice changes nothing.
    ///
    /// # Errors
    ///
    /// [`Rejected::UnknownAgent`].
    pub fn revoke(&mut self, did: &str, now_ms: u64) -> Result<(), Rejected> {
        let agent = self.by_did.get_mut(did).ok_or(Rejected::UnknownAgent)?;
        if std::mem::replace(&mut agent.active, false) {
            let jti = agent.jti.clone();
            self.put_on_the_list(jti, did, None, now_ms);
        }
        Ok(())
    }

    /// Everybody who has ever been registered.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let listed = |(did, agent): (&String, &Agent)| Listed {
            agent_did: did.clone(),
            name: agent.name.clone(),
            active: agent.active,
        };
        self.by_did.iter().map(listed).collect()
    }

    /// Ends an agent's session, as its owner does: the access token stops working, the passport stays.
    ///
    /// # Errors
    ///
    /// [`Rejected::UnknownAgent`].
    pub fn end_session(&mut self, did: &str) -> Result<(), Rejected> {
        // Nobody is told of the new one.
        let unknown_to_all = self.new_access_token();
        let agent = self.by_did.get_mut(did).ok_or(Rejected::UnknownAgent)?;
        agent.access_token = unknown_to_all;
        Ok(())
    }

    /// Whether this is the session of an active agent that holds its current passport.
    #[must_use]
    pub fn is_valid_session(&self, did: &str, jti: &str, access_token: &str) -> bool {
        self.by_did
            .get(did)
            .is_some_and(|agent| agent.active && agent.jti == jti && agent.access_token == access_token)
    }

    /// The signed revocation list, issued now. `None` while nothing has been revoked: a list has at least one line.
    #[must_use]
    pub fn crl(&mut self, now_ms: u64) -> Option<String> {
        if self.revocations.is_empty() {
            return None;
        }
        let jti = self.entropy.ulid(now_ms);
        Some(tokens::sign_crl(&self.key, &self.origin, &jti, now_ms / 1000, &self.revocations))
    }

    fn issue(&self, did: &str, agent: &Agent, now_ms: u64) -> Registered {
        let issued_at = now_ms / 1000;
        let claims = AitClaims {
            iss: &self.origin,
            sub: did,
            owner_did: &agent.owner_did,
            name: &agent.name,
            framework: "generic",
            cnf: Confirmation { jwk: AgentKey::ed25519(&agent.public_key_x) },
            iat: issued_at,
            nbf: issued_at,
            exp: issued_at + AIT_LIFE_S,
            jti: &agent.jti,
        };
        Registered {
            agent_did: did.to_owned(),
            owner_did: agent.owner_did.clone(),
            ait: tokens::sign_ait(&self.key, &claims),
            jti: agent.jti.clone(),
            access_token: agent.access_token.clone(),
        }
    }

    fn new_access_token(&mut self) -> String {
        format!("clw_agt_{}", URL_SAFE_NO_PAD.encode(self.entropy.block()))
    }

    fn put_on_the_list(&mut self, jti: String, did: &str, reason: Option<&'static str>, now_ms: u64) {
        let agent_did = did.to_owned();
        self.revocations.push(Revocation { jti, agent_did, reason, revoked_at: now_ms / 1000 });
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._ -".contains(&byte);
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
