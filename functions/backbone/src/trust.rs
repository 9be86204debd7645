//! What a request asks about trust, and what it is answered.

use crate::did::AgentDid;
use crate::home::ProxyOrigin;
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

    /// Where one of the two is at home, as far as `homes` of this pair say.
    #[must_use]
    pub fn home_of<'a>(&self, agent: &AgentDid, homes: &'a PairHomes) -> Option<&'a ProxyOrigin> {
        if *agent == self.first {
            homes.first.as_ref()
        } else if *agent == self.second {
            homes.second.as_ref()
        } else {
            None
        }
    }
}

/// One agent of a pair, and where it is at home as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairSide {
    /// The agent.
    pub agent: AgentDid,
    /// The origin of its proxy.
    pub home: Option<ProxyOrigin>,
}

impl PairSide {
    /// An agent of which nobody said where it is at home.
    #[must_use]
    pub const fn of_unknown_home(agent: AgentDid) -> Self {
        Self { agent, home: None }
    }
}

/// Where the two agents of a [`Pair`] are at home, in the pair's own order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairHomes {
    /// The home of the agent whose DID sorts first, if it is known.
    pub first: Option<ProxyOrigin>,
    /// The other's.
    pub second: Option<ProxyOrigin>,
}

impl PairHomes {
    /// The homes of the pair of `one` and `other`.
    #[must_use]
    pub fn of(one: &PairSide, other: &PairSide) -> Self {
        let (first, second) = if one.agent <= other.agent { (one, other) } else { (other, one) };
        Self { first: first.home.clone(), second: second.home.clone() }
    }

    /// Whether neither is known.
    #[must_use]
    pub const fn are_unknown(&self) -> bool {
        self.first.is_none() && self.second.is_none()
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
pub struct TrustAnswer {
    /// The agent is revoked.
    pub agent_revoked: bool,
    /// The token is revoked.
    pub ait_revoked: bool,
    /// The agent has a pair.
    pub known: bool,
    /// The homes of the pair of the question, if that pair exists.
    pub pair: Option<PairHomes>,
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
    /// Hash of its entries.
    pub crl_hash: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_keep_to_their_agents_whoever_is_named_first() {
        let did = |ulid| AgentDid::parse(&format!("did:cdi:a.com:agent:{ulid}")).unwrap();
        let side = |ulid, home: &str| PairSide { agent: did(ulid), home: ProxyOrigin::parse(home) };
        let one = side("01KN0HGEG0QK6E4CV6JTD76TK7", "https://one.com");
        let other = side("01KN0HGEG0G5PGG168DAWPBYT2", "https://other.com");
        let pair = Pair::of(&one.agent, &other.agent);
        for homes in [PairHomes::of(&one, &other), PairHomes::of(&other, &one)] {
            assert_eq!(pair.home_of(&one.agent, &homes), one.home.as_ref());
            assert_eq!(pair.home_of(&other.agent, &homes), other.home.as_ref());
            assert_eq!(pair.home_of(&did("01KN33X0KRM9Q3MFS6RVPP6F7F"), &homes), None);
        }
    }
}
