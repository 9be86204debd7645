//! Who is connected.

use std::future::Future;

use crate::connection::{ConnectionHistory, ConnectionRef, ConnectionRow};
use crate::did::AgentDid;
use crate::stores::StoreError;

/// Whether a connection row was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "somebody else may have been first"]
pub enum Claimed {
    /// The row names the newcomer.
    Claimed,
    /// The row is not what it was when it was read.
    Changed,
}

/// Who is connected.
pub trait ConnectionStore {
    /// An agent's row, strongly consistent; the default row if there is none.
    fn connection(&self, agent: &AgentDid) -> impl Future<Output = Result<ConnectionRow, StoreError>> + Send;
    /// Makes `newcomer` the agent's connection, not drained yet, if the row still names the socket it named in `seen`.
    fn claim_connection(
        &self,
        newcomer: &ConnectionRef,
        lease_expires_at_ms: u64,
        history: &ConnectionHistory,
        seen: &ConnectionRow,
    ) -> impl Future<Output = Result<Claimed, StoreError>> + Send;
    /// Forgets a connection if it is still the agent's; a newer one stays.
    fn clear_connection(
        &self,
        agent: &AgentDid,
        connection_id: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Notes when the first drain of a connection began; changes nothing if it has been noted, or if the connection is
    /// no longer the agent's.
    fn note_drain(
        &self,
        connection: &ConnectionRef,
        at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Notes when a drain of a connection was announced; changes nothing if the connection is no longer the agent's.
    fn note_drain_announced(
        &self,
        connection: &ConnectionRef,
        at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Sets the agent's short lives to none; changes nothing if the connection is no longer the agent's.
    fn end_quarantine(
        &self,
        connection: &ConnectionRef,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
