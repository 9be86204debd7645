//! What the chain has found out about who is asking, half-way and in the end.

use super::{Ait, VerifiedProof};
use crate::did::AgentDid;
use crate::home::ProxyOrigin;
use crate::trust::{Pair, PairHomes};

/// A caller with a genuine token and a proof for this very request. Whether it is a repetition, and whether the caller is
/// revoked, is not known. Only [`Gatekeeper::prove`](super::Gatekeeper::prove) makes one.
#[derive(Debug)]
pub struct Proven<'a> {
    pub(super) ait: Ait,
    pub(super) proof: VerifiedProof<'a>,
    pub(super) access: Option<&'a str>,
}

/// A caller who has been through the whole chain. Only [`Gatekeeper::admit`](super::Gatekeeper::admit) makes one.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub(super) agent: AgentDid,
    pub(super) pair: Option<Pair>,
    pub(super) homes: Option<PairHomes>,
}

impl Authenticated {
    /// Who is asking.
    #[must_use]
    pub const fn agent(&self) -> &AgentDid {
        &self.agent
    }

    /// Whether the caller is paired with the peer of the [`Purpose`](super::Purpose); an agent always is with itself.
    #[must_use]
    pub fn is_paired(&self) -> bool {
        self.homes.is_some() || self.pair.as_ref().is_some_and(Pair::is_self)
    }

    /// Where the caller, or the peer of the [`Purpose`](super::Purpose), is at home, if the two are paired and the pairing said so.
    #[must_use]
    pub fn home_of(&self, agent: &AgentDid) -> Option<&ProxyOrigin> {
        self.pair.as_ref()?.home_of(agent, self.homes.as_ref()?)
    }
}
