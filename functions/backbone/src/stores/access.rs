//! What the registry has said to access tokens, as far as it is remembered.

use std::future::Future;

use crate::did::AgentDid;
use crate::stores::StoreError;

/// The registry's yes to one access token of an agent, or what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RememberedYes {
    /// Hash of the token.
    pub access_hash: String,
    /// When the registry said it, in milliseconds since the Unix epoch; 0 if that cannot be read.
    pub accepted_at_ms: u64,
    /// Until when a request that is let in on it may have read it, in milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// Somebody has taken it back. A request may have read it before that.
    pub is_taken_back: bool,
}

/// What the registry has said to access tokens.
pub trait AccessStore {
    /// Remembers that the registry said yes to an access token.
    fn remember_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Takes back a yes that the registry said at `accepted_at_ms`: nobody reads it from now on. That requests may have,
    /// until `until_ms` (both in milliseconds since the Unix epoch), stays to be seen.
    fn take_back_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
        until_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Every yes to an access token of an agent of which anything is left, strongly consistent, in no order: those that
    /// are over and those that were taken back as well.
    fn remembered_access(
        &self,
        agent: &AgentDid,
    ) -> impl Future<Output = Result<Vec<RememberedYes>, StoreError>> + Send;
}
