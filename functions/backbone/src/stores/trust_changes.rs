//! Changes of who is trusted.

use std::collections::{BTreeSet, HashSet};
use std::future::Future;

use crate::did::AgentDid;
use crate::id::Id;
use crate::stores::StoreError;
use crate::trust::PairSide;

/// What became of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the agent may have been revoked before"]
pub enum Revoking {
    /// It is revoked from now on.
    New,
    /// It was revoked before, and that stays as it was.
    Known,
}

/// Which revocation list has become rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlSnapshot {
    /// When it was fetched, in milliseconds since the Unix epoch.
    pub fetched_at_ms: u64,
    /// When the registry signed it, in seconds since the Unix epoch; `None` for the registry's word that there is none.
    pub issued_at_s: Option<u64>,
    /// How many entries it has.
    pub count: usize,
    /// Hash of its entries, the same for the same entries in any order.
    pub hash: String,
}

/// Changes of who is trusted.
pub trait TrustChanges {
    /// Revokes an agent, unless it is revoked: then its time and its reason stay.
    fn revoke_agent(
        &self,
        agent: &AgentDid,
        reason: Option<&str>,
    ) -> impl Future<Output = Result<Revoking, StoreError>> + Send;
    /// Revokes one token of an agent.
    fn revoke_token(&self, jti: Id, agent: &AgentDid) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Which of these tokens are revoked, strongly consistent.
    fn revoked_tokens(&self, jtis: &[Id]) -> impl Future<Output = Result<HashSet<Id>, StoreError>> + Send;
    /// Which of these agents are revoked, strongly consistent.
    fn revoked_agents(
        &self,
        agents: &[AgentDid],
    ) -> impl Future<Output = Result<BTreeSet<AgentDid>, StoreError>> + Send;
    /// Keeps the registry's answer with its keys, fetched at `at_ms` (milliseconds since the Unix epoch).
    fn keep_keys(&self, body: &str, at_ms: u64) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Keeps which revocation list has become rows.
    fn keep_crl_snapshot(
        &self,
        snapshot: &CrlSnapshot,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Pairs two agents. Homes that are given replace those of a pair that exists.
    fn keep_pair(
        &self,
        one: &PairSide,
        other: &PairSide,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
