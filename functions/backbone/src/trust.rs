//! What a request asks about trust, and what it is answered.

use crate::did::AgentDid;
use crate::id::Id;

/// Two agents that have paired, in an order that does not depend on who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    first: AgentDid,
    second: AgentDid,
}

impl Pair {
    /// The pair of `one` and `other`.
    #[must_use]
    pub fn of(one: &AgentDid, other: &AgentDid) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self { first: first.clone(), second: second.clone() }
    }

    /// The two DIDs, sorted and joined by `|` (contract 7).
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}|{}", self.first, self.second)
    }

    /// An agent with itself, which needs no pairing.
    #[must_use]
    pub fn is_self(&self) -> bool {
        self.first == self.second
    }
}

/// What one request asks of the trust store, all in one strongly consistent read.
#[derive(Clone, Debug)]
pub struct TrustQuestion {
    /// Who is asking.
    pub agent: AgentDid,
    /// The id of their token.
    pub ait_jti: Id,
    /// The pair that the request is about, if it is about one.
    pub pair: Option<Pair>,
    /// SHA-256 over agent, token id and access token, if there is an access token.
    pub access_hash: Option<String>,
}

/// The trust store's answer to a [`TrustQuestion`].
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is the presence of one row")]
pub struct TrustAnswer {
    /// The agent is revoked.
    pub agent_revoked: bool,
    /// The token is revoked.
    pub ait_revoked: bool,
    /// The agent has a pair.
    pub known: bool,
    /// The pair of the question exists.
    pub paired: bool,
    /// When the registry last said yes to this access token, in milliseconds since the Unix epoch.
    pub access_accepted_at_ms: Option<u64>,
}

/// What `registry-events` has left about the registry.
#[derive(Clone, Debug, Default)]
pub struct RegistryRows {
    /// The registry's answer with its keys, as received.
    pub keys: Option<String>,
    /// When it was received, in milliseconds since the Unix epoch.
    pub keys_at_ms: u64,
    /// When the CRL was last turned into revocation rows, in milliseconds since the Unix epoch.
    pub crl_at_ms: Option<u64>,
}
