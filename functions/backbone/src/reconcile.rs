//! What catches a lost event: every few minutes the registry's keys and its revocation list become rows, and every
//! connection is looked at once (design 3).
//!
//! An entry of the list becomes two rows, the agent's first and the token's last. The token's row says that the entry
//! has been applied: what an operator has allowed since stays allowed, although the list still names it.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt};

use crate::auth::crl::{CrlEntry, UnverifiedCrl};
use crate::auth::encoding::sha256;
use crate::auth::keys::KeySet;
use crate::auth::{Issuer, RegistryUnknown};
use crate::did::AgentDid;
use crate::error_chain::ErrorChain;
use crate::id::Id;
use crate::limits::{CONNECTION_OPENING_RETRY_S, REGISTRY_ASK_INTERVAL_MS, REVOCATIONS_AT_ONCE};
use crate::metrics::{Metric, Tally};
use crate::queue_message::QueueMessage;
use crate::revocation::{Cut, cut};
use crate::stores::{
    Clock, ConnectionPages, ConnectionStore, CrlSnapshot, Gateway, ReceiptQueue, Registry, Revoking,
    StoreError, TrustChanges, TrustStore,
};

/// The reason on the row of an agent that the list revokes without saying why.
const LISTED: &str = "on the registry's revocation list";
/// The correlation id of what a reconciliation sends.
const CORRELATION_ID: &str = "reconcile";

/// All that a reconciliation needs from outside.
pub trait ReconcileOutside:
    TrustStore
    + TrustChanges
    + Registry
    + ConnectionStore
    + ConnectionPages
    + Gateway
    + ReceiptQueue
    + Clock
    + Sync
{
}

impl<O> ReconcileOutside for O where
    O: TrustStore
        + TrustChanges
        + Registry
        + ConnectionStore
        + ConnectionPages
        + Gateway
        + ReceiptQueue
        + Clock
        + Sync
{
}

/// Why a reconciliation did not do all it is there for. What it could do is done.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Earlier keys stay in use.
    #[error("the registry's keys were not renewed")]
    Keys(#[source] RegistryUnknown),
    /// Some entries of the list may not be applied.
    #[error("the registry's revocation list was not applied")]
    Crl(#[source] RegistryUnknown),
    /// Some connections may not have been looked at.
    #[error("the connections were not gone through")]
    Connections(#[source] StoreError),
}

/// Keeps up with the registry; one instance's view of it.
#[derive(Debug)]
pub struct RegistryWatch {
    issuer: Issuer,
    refreshed_at_ms: AtomicU64,
}

impl RegistryWatch {
    /// A watch over the registry of `issuer` that has not looked yet.
    #[must_use]
    pub const fn new(issuer: Issuer) -> Self {
        Self { issuer, refreshed_at_ms: AtomicU64::new(0) }
    }

    /// The registry's host: the authority of the agents it names by their ULIDs.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.issuer.host()
    }

    /// Takes over keys and revocation list, and cuts every revoked agent's socket.
    ///
    /// # Errors
    ///
    /// The first [`ReconcileError`]; the steps after it have been tried all the same, and what else failed has been
    /// warned of. That the time was too short is counted and no error: the next round goes on with what is new.
    pub async fn reconcile<O: ReconcileOutside>(
        &self,
        outside: &O,
        tally: &Tally,
    ) -> Result<(), ReconcileError> {
        let refreshed = self.refresh(outside, tally).await;
        let looked_at = look_at_connections(outside, tally).await;
        if both(refreshed, looked_at)? == Extent::Whole {
            tally.count(Metric::Reconciled);
        }
        Ok(())
    }

    /// Takes over keys and revocation list, unless this instance has done so a short while ago. A failure is left to
    /// the next round.
    pub async fn refresh_if_due<O: ReconcileOutside>(&self, outside: &O, tally: &Tally) {
        let last_ms = self.refreshed_at_ms.load(Ordering::Relaxed);
        if outside.now_ms().saturating_sub(last_ms) < REGISTRY_ASK_INTERVAL_MS {
            return;
        }
        if let Err(error) = self.refresh(outside, tally).await {
            tracing::warn!("what is new at the registry was not learnt: {}", ErrorChain(&error));
        }
    }

    async fn refresh<O: ReconcileOutside>(
        &self,
        outside: &O,
        tally: &Tally,
    ) -> Result<Extent, ReconcileError> {
        let now_ms = outside.now_ms();
        self.refreshed_at_ms.store(now_ms, Ordering::Relaxed);
        let keys = renew_keys(outside, now_ms).await;
        let applied = self.renew_crl(outside, keys.as_ref().ok(), now_ms, tally).await;
        let keys = keys.map(drop).map_err(ReconcileError::Keys);
        let applied = applied.map_err(ReconcileError::Crl);
        both(conclude(keys, tally), conclude(applied, tally))
    }

    async fn renew_crl<O: ReconcileOutside>(
        &self,
        outside: &O,
        fresh_keys: Option<&KeySet>,
        now_ms: u64,
        tally: &Tally,
    ) -> Result<(), RegistryUnknown> {
        let rows = outside.registry_rows().await?;
        let crl = match outside.fetch_crl().await? {
            Some(body) => {
                let stored = rows.keys.as_deref().and_then(|body| KeySet::parse(body).ok());
                let keys = fresh_keys.or(stored.as_ref());
                let crl = UnverifiedCrl::parse(&body)?;
                let kid = crl.kid()?;
                Some(crl.verify(keys.and_then(|keys| keys.get(&kid)), &self.issuer, now_ms / 1_000)?)
            }
            None => None,
        };
        let entries = crl.as_ref().map(|crl| crl.entries.as_slice()).unwrap_or_default();
        let hash = hash_of(entries);
        if rows.crl_hash.as_ref() != Some(&hash) {
            apply(outside, entries, tally).await?;
        }
        let issued_at_s = crl.as_ref().map(|crl| crl.issued_at_s);
        let snapshot = CrlSnapshot { fetched_at_ms: now_ms, issued_at_s, count: entries.len(), hash };
        Ok(outside.keep_crl_snapshot(&snapshot).await?)
    }
}

async fn renew_keys<O: ReconcileOutside>(outside: &O, now_ms: u64) -> Result<KeySet, RegistryUnknown> {
    let body = outside.fetch_keys().await?;
    let keys = KeySet::parse(&body)?;
    outside.keep_keys(&body, now_ms).await?;
    Ok(keys)
}

/// The same for the same entries in any order.
fn hash_of(entries: &[CrlEntry]) -> String {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable();
    let lines: Vec<_> = entries
        .into_iter()
        .map(|CrlEntry { jti, agent, reason }| {
            format!("{jti}|{agent}|{}\n", reason.as_deref().unwrap_or_default())
        })
        .collect();
    sha256(&lines.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// Turns the entries that are not there yet into rows.
async fn apply<O: ReconcileOutside>(
    outside: &O,
    entries: &[CrlEntry],
    tally: &Tally,
) -> Result<(), StoreError> {
    let jtis: Vec<Id> = entries.iter().map(|entry| entry.jti).collect();
    let applied = outside.revoked_tokens(&jtis).await?;
    let new: Vec<_> = entries.iter().filter(|entry| !applied.contains(&entry.jti)).cloned().collect();
    let steps: Vec<_> = stream::iter(new)
        .map(async |entry| {
            let agent = entry.agent.clone();
            told_of(&agent, apply_one(outside, entry, tally).await)
        })
        .buffer_unordered(REVOCATIONS_AT_ONCE)
        .collect()
        .await;
    steps.into_iter().fold(Ok(()), graver)
}

/// The first failure of two steps; before one that only ran out of time, any other.
fn graver(one: Result<(), StoreError>, other: Result<(), StoreError>) -> Result<(), StoreError> {
    match (&one, &other) {
        (Err(StoreError::OutOfTime { .. }), Err(_)) | (Ok(()), _) => other,
        (Err(_), _) => one,
    }
}

/// Names the agent of a step that failed: of several, only the first failure is passed on. What there was no time for is
/// counted as that, and may be thousands.
fn told_of(agent: &AgentDid, step: Result<(), StoreError>) -> Result<(), StoreError> {
    step.inspect_err(|error| match error {
        StoreError::OutOfTime { .. } => {}
        StoreError::Unavailable { .. } | StoreError::Corrupt { .. } => {
            tracing::warn!(agent.did = %agent, "a revocation was not carried out: {}", ErrorChain(error));
        }
    })
}

/// The agent's row first, the token's after it; then the socket, which the look at the connections would cut as well.
async fn apply_one<O: ReconcileOutside>(
    outside: &O,
    entry: CrlEntry,
    tally: &Tally,
) -> Result<(), StoreError> {
    let revokes_agent = entry.revokes_agent();
    let CrlEntry { jti, agent, reason } = entry;
    if revokes_agent {
        let reason = reason.as_deref().unwrap_or(LISTED);
        if outside.revoke_agent(&agent, Some(reason)).await? == Revoking::New {
            tally.count(Metric::Revoked);
        }
    }
    outside.revoke_token(jti, &agent).await?;
    tally.count(Metric::TokenRevoked);
    if revokes_agent { cut_found(outside, &agent, tally).await } else { Ok(()) }
}

async fn look_at_connections<O: ReconcileOutside>(
    outside: &O,
    tally: &Tally,
) -> Result<Extent, ReconcileError> {
    let mut after = None;
    let mut outcome = Ok(());
    loop {
        let page = async {
            let page = outside.live_agents(after.as_ref()).await?;
            let revoked = outside.revoked_agents(&page.agents).await?;
            Ok((revoked, page.next))
        };
        let (revoked, next) = match page.await {
            Ok(page) => page,
            Err(error) => {
                // A cut that failed has been told of already.
                let outcome = graver(Err(error), outcome);
                return conclude(outcome.map_err(ReconcileError::Connections), tally);
            }
        };
        for agent in revoked {
            // One socket that cannot be closed leaves the others to be cut.
            outcome = graver(outcome, told_of(&agent, cut_found(outside, &agent, tally).await));
        }
        match next {
            Some(next) => after = Some(next),
            None => return conclude(outcome.map_err(ReconcileError::Connections), tally),
        }
    }
}

/// Cuts a revoked agent's socket. One that is only opening is left to the queue, which tries again.
async fn cut_found<O: ReconcileOutside>(
    outside: &O,
    agent: &AgentDid,
    tally: &Tally,
) -> Result<(), StoreError> {
    match cut(outside, agent, u64::MAX, tally).await? {
        Cut::Nothing => {}
        Cut::Closed { .. } => {
            tally.count(Metric::ReconcileCut);
            tracing::warn!(agent.did = %agent, "a revoked agent still had a socket");
        }
        Cut::NotOpenYet(connection) => {
            let close = QueueMessage::Close(connection);
            outside.send(&close, CORRELATION_ID, CONNECTION_OPENING_RETRY_S).await?;
        }
    }
    Ok(())
}

/// How much of a step, or of a round, was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// The time was over before the end.
    CutShort,
    /// All of it.
    Whole,
}

/// Two steps as one: their first failure, or the smaller extent. Only the first failure is passed on, so the second is
/// told here.
fn both(
    one: Result<Extent, ReconcileError>,
    other: Result<Extent, ReconcileError>,
) -> Result<Extent, ReconcileError> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok(one.min(other)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(first), Err(second)) => {
            tracing::warn!("{}", ErrorChain(&second));
            Err(first)
        }
    }
}

/// Counts a step that failed. One that only ran out of time is no failure.
fn conclude(step: Result<(), ReconcileError>, tally: &Tally) -> Result<Extent, ReconcileError> {
    let Err(error) = step else { return Ok(Extent::Whole) };
    let (ReconcileError::Keys(RegistryUnknown::Store(cause))
    | ReconcileError::Crl(RegistryUnknown::Store(cause))
    | ReconcileError::Connections(cause)) = &error
    else {
        tally.count(Metric::ReconcileFailed);
        return Err(error);
    };
    if matches!(cause, StoreError::OutOfTime { .. }) {
        tracing::warn!("{}", ErrorChain(&error));
        tally.count(Metric::ReconcileCutShort);
        return Ok(Extent::CutShort);
    }
    tally.count(Metric::ReconcileFailed);
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(jti: &str, reason: Option<&str>) -> CrlEntry {
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        CrlEntry { jti: Id::parse(jti).unwrap(), agent, reason: reason.map(str::to_owned) }
    }

    #[test]
    fn a_lists_hash_is_that_of_its_entries() {
        let (one, other) = (
            entry("01KN33X0KRM9Q3MFS6RVPP6F7F", None),
            entry("01KN33X1K04BYVPGPS9HJEZ29W", Some("reissued")),
        );
        let hash = hash_of(&[one.clone(), other.clone()]);
        assert_eq!(hash, hash_of(&[other.clone(), one.clone()]), "the order does not matter");
        assert_ne!(hash, hash_of(std::slice::from_ref(&one)));
        assert_ne!(hash_of(&[]), hash);
        let changed = CrlEntry { reason: None, ..other };
        assert_ne!(hash, hash_of(&[one, changed]), "the reason decides what is revoked");
    }

    #[test]
    fn a_step_that_ran_out_of_time_is_no_failure_and_makes_no_whole_round() {
        let tally = Tally::default();
        let late = StoreError::OutOfTime { operation: "live_agents" };
        let cut_short = conclude(Err(ReconcileError::Connections(late)), &tally);
        assert_eq!(both(conclude(Ok(()), &tally), cut_short).unwrap(), Extent::CutShort);
        assert_eq!(both(conclude(Ok(()), &tally), conclude(Ok(()), &tally)).unwrap(), Extent::Whole);
        let failed = conclude(Err(ReconcileError::Crl(RegistryUnknown::FailedRecently)), &tally);
        assert!(both(Ok(Extent::CutShort), failed).is_err());
        assert_eq!((tally.of(Metric::ReconcileCutShort), tally.of(Metric::ReconcileFailed)), (1, 1));
    }

    #[test]
    fn only_a_reissue_spares_the_agent() {
        assert!(!entry("01KN33X0KRM9Q3MFS6RVPP6F7F", Some("reissued")).revokes_agent());
        for reason in [None, Some(""), Some("Reissued"), Some("key lost")] {
            assert!(entry("01KN33X0KRM9Q3MFS6RVPP6F7F", reason).revokes_agent(), "{reason:?}");
        }
    }
}
