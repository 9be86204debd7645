//! Who is trusted, and what is remembered of requests.

use std::future::Future;

use crate::did::AgentDid;
use crate::stores::StoreError;
use crate::trust::{RegistryRows, TrustAnswer, TrustQuestion};

/// Who is trusted.
pub trait TrustStore {
    /// Answers a request's question, strongly consistent.
    fn trust(&self, question: &TrustQuestion)
    -> impl Future<Output = Result<TrustAnswer, StoreError>> + Send;
    /// Whether `agent` is revoked, strongly consistent.
    fn agent_revoked(&self, agent: &AgentDid) -> impl Future<Output = Result<bool, StoreError>> + Send;
    /// What is known of the registry.
    fn registry_rows(&self) -> impl Future<Output = Result<RegistryRows, StoreError>> + Send;
}

/// Whether a nonce is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a used nonce is a replay"]
pub enum NonceClaim {
    /// It was free, and is ours now.
    Claimed,
    /// Somebody used it before.
    Used,
}

/// What is remembered of requests for a short while.
pub trait NonceStore {
    /// Claims the nonce with this hash for `agent` until `expires_at_s`. Repeating the claim within one invocation
    /// succeeds: it is the same request.
    fn claim_nonce(
        &self,
        agent: &AgentDid,
        nonce_hash: &str,
        expires_at_s: u64,
    ) -> impl Future<Output = Result<NonceClaim, StoreError>> + Send;
    /// Adds to the agent's requests of a minute (counted from the Unix epoch) and returns their total.
    fn add_requests(
        &self,
        agent: &AgentDid,
        minute: u64,
        requests: u32,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;
}
