//! What one instance remembers of the registry: its keys and its revocation list (design 6).
//!
//! `registry-events` leaves both as rows. Where a row is missing, too old, or does not know a `kid`, the instance asks
//! the registry itself, at most once a minute each, whoever asks: an unknown `kid` costs the registry nothing.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ed25519_dalek::VerifyingKey;

use super::StaleBehavior;
use super::crl::{UnusableCrl, UnverifiedCrl};
use super::issuer::Issuer;
use super::keys::{KeySet, UnusableKeySet};
use crate::error_chain::ErrorChain;
use crate::id::Id;
use crate::limits::{
    CRL_REFRESH_MS, KEYS_AGE_MS_MAX, KEYS_REFRESH_MS, REGISTRY_ASK_INTERVAL_MS, SNAPSHOT_MEMORY_MS,
};
use crate::metrics::{Metric, Tally};
use crate::stores::{Clock, Registry, StoreError, TrustStore};

/// Why the registry's word is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum RegistryUnknown {
    /// Neither the rows nor the registry could be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry answered with something else than the contract's key set.
    #[error(transparent)]
    Keys(#[from] UnusableKeySet),
    /// It answered with something else than the contract's revocation list, or with one that does not hold.
    #[error(transparent)]
    Crl(#[from] UnusableCrl),
    /// It failed less than a minute ago, and is not asked again yet.
    #[error("the registry failed a short while ago")]
    FailedRecently,
    /// What is known is too old for `fail-closed`.
    #[error("what is known of the registry is too old ({age_ms:?} ms; none if nothing is known)")]
    TooOld {
        /// How old, if anything is known at all.
        age_ms: Option<u64>,
    },
}

/// Keys and revocation list, as this instance last saw them.
#[derive(Debug, Default)]
pub(super) struct RegistryMemory(Mutex<State>);

#[derive(Clone, Debug, Default)]
struct State {
    rows_read_at_ms: Option<u64>,
    keys: Option<Snapshot<KeySet>>,
    keys_asked_at_ms: Option<u64>,
    /// When `registry-events` last turned the list into rows.
    crl_rows_at_ms: Option<u64>,
    /// The list as this instance fetched it, while there are no fresh rows.
    crl: Option<Snapshot<HashSet<Id>>>,
    crl_asked_at_ms: Option<u64>,
}

#[derive(Clone, Debug)]
struct Snapshot<T> {
    value: T,
    at_ms: u64,
}

/// How old what is known of the registry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryAges {
    /// Milliseconds since the keys were fetched; `None` if they never were.
    pub keys_ms: Option<u64>,
    /// Milliseconds since the revocation list was fetched; `None` if it never was.
    pub crl_ms: Option<u64>,
}

impl State {
    /// Whether there is a key named `kid` among keys that need not be renewed.
    fn has_fresh_key(&self, kid: &str, now_ms: u64) -> bool {
        let fresh = self.keys.as_ref().filter(|keys| age_ms(keys, now_ms) < KEYS_REFRESH_MS);
        fresh.is_some_and(|keys| keys.value.get(kid).is_some())
    }
}

impl RegistryMemory {
    /// The active key named `kid`, `None` if the registry has none of that name.
    pub(super) async fn key<O: TrustStore + Registry + Clock>(
        &self,
        outside: &O,
        kid: &str,
        stale: StaleBehavior,
        tally: &Tally,
    ) -> Result<Option<VerifyingKey>, RegistryUnknown> {
        let now_ms = outside.now_ms();
        if is_due(self.state().rows_read_at_ms, SNAPSHOT_MEMORY_MS, now_ms) {
            self.read_rows(outside, now_ms, tally).await?;
        }
        if !self.state().has_fresh_key(kid, now_ms) {
            self.renew_keys(outside, kid, now_ms, tally).await?;
        }
        let state = self.state();
        let keys = state.keys.as_ref().ok_or(RegistryUnknown::FailedRecently)?;
        let age_ms = age_ms(keys, now_ms);
        if stale == StaleBehavior::FailClosed && age_ms > KEYS_AGE_MS_MAX {
            return Err(RegistryUnknown::TooOld { age_ms: Some(age_ms) });
        }
        Ok(keys.value.get(kid))
    }

    /// Makes sure that there is a revocation list as fresh as the policy wants, and says whether `jti` is on the part
    /// of it that this instance had to fetch itself. The rows are the caller's to read.
    pub(super) async fn is_listed<O: TrustStore + Registry + Clock>(
        &self,
        outside: &O,
        jti: Id,
        policy: &super::Policy,
        tally: &Tally,
    ) -> Result<bool, RegistryUnknown> {
        let now_ms = outside.now_ms();
        let rows_age_ms = |state: &State| state.crl_rows_at_ms.map(|at_ms| now_ms.saturating_sub(at_ms));
        let rows_suffice = rows_age_ms(&self.state()).is_some_and(|age_ms| age_ms <= policy.crl_age_ms_max);
        if !rows_suffice {
            self.renew_crl(outside, &policy.issuer, now_ms, policy.stale, tally).await;
        }
        let state = self.state();
        let own_age_ms = state.crl.as_ref().map(|crl| age_ms(crl, now_ms));
        let youngest = rows_age_ms(&state).into_iter().chain(own_age_ms).min();
        if youngest.is_none_or(|age_ms| age_ms > policy.crl_age_ms_max) {
            tally.count(Metric::RegistryStale);
            if policy.stale == StaleBehavior::FailClosed {
                return Err(RegistryUnknown::TooOld { age_ms: youngest });
            }
        }
        Ok(state.crl.as_ref().is_some_and(|crl| crl.value.contains(&jti)))
    }

    /// How old what is known is at `now_ms`, without asking anybody.
    pub(super) fn ages(&self, now_ms: u64) -> RegistryAges {
        let state = self.state();
        let own_at_ms = state.crl.as_ref().map(|crl| crl.at_ms);
        RegistryAges {
            keys_ms: state.keys.as_ref().map(|keys| age_ms(keys, now_ms)),
            crl_ms: state.crl_rows_at_ms.max(own_at_ms).map(|at_ms| now_ms.saturating_sub(at_ms)),
        }
    }

    /// Reads what `registry-events` has left. A failure counts only while nothing is known.
    async fn read_rows<O: TrustStore>(
        &self,
        outside: &O,
        now_ms: u64,
        tally: &Tally,
    ) -> Result<(), RegistryUnknown> {
        let rows = match outside.registry_rows().await {
            Ok(rows) => rows,
            Err(error) if self.state().keys.is_some() => {
                tracing::warn!("the registry's rows could not be read: {}", ErrorChain(&error));
                tally.count(Metric::RegistryStale);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let keys = rows.keys.as_deref().and_then(|body| KeySet::parse(body).ok());
        let mut state = self.state();
        state.rows_read_at_ms = Some(now_ms);
        state.crl_rows_at_ms = rows.crl_at_ms;
        if let Some(value) = keys
            && state.keys.as_ref().is_none_or(|held| held.at_ms < rows.keys_at_ms)
        {
            state.keys = Some(Snapshot { value, at_ms: rows.keys_at_ms });
        }
        Ok(())
    }

    /// Looks again, in the rows first, then at the registry. What is known already outlives a failure.
    async fn renew_keys<O: TrustStore + Registry + Clock>(
        &self,
        outside: &O,
        kid: &str,
        now_ms: u64,
        tally: &Tally,
    ) -> Result<(), RegistryUnknown> {
        if !is_due(self.state().keys_asked_at_ms, REGISTRY_ASK_INTERVAL_MS, now_ms) {
            return Ok(());
        }
        if self.state().rows_read_at_ms != Some(now_ms) {
            self.read_rows(outside, now_ms, tally).await?;
            if self.state().has_fresh_key(kid, now_ms) {
                return Ok(());
            }
        }
        self.state().keys_asked_at_ms = Some(now_ms);
        let answer = match outside.fetch_keys().await {
            Ok(body) => KeySet::parse(&body).map_err(RegistryUnknown::from),
            Err(error) => Err(error.into()),
        };
        match answer {
            Ok(value) => {
                self.state().keys = Some(Snapshot { value, at_ms: now_ms });
                Ok(())
            }
            Err(error) if self.state().keys.is_some() => {
                tracing::warn!("earlier keys of the registry stay in use: {}", ErrorChain(&error));
                tally.count(Metric::RegistryStale);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches the list if the held one is old. What is held outlives a failure; its age tells.
    async fn renew_crl<O: TrustStore + Registry + Clock>(
        &self,
        outside: &O,
        issuer: &Issuer,
        now_ms: u64,
        stale: StaleBehavior,
        tally: &Tally,
    ) {
        {
            let mut state = self.state();
            let fresh = state.crl.as_ref().is_some_and(|crl| age_ms(crl, now_ms) < CRL_REFRESH_MS);
            if fresh || !is_due(state.crl_asked_at_ms, REGISTRY_ASK_INTERVAL_MS, now_ms) {
                return;
            }
            state.crl_asked_at_ms = Some(now_ms);
        }
        match self.fetch_crl(outside, issuer, now_ms, stale, tally).await {
            Ok(value) => self.state().crl = Some(Snapshot { value, at_ms: now_ms }),
            Err(error) => tracing::warn!("the revocation list was not renewed: {}", ErrorChain(&error)),
        }
    }

    async fn fetch_crl<O: TrustStore + Registry + Clock>(
        &self,
        outside: &O,
        issuer: &Issuer,
        now_ms: u64,
        stale: StaleBehavior,
        tally: &Tally,
    ) -> Result<HashSet<Id>, RegistryUnknown> {
        // The registry answers 404 while nothing is revoked: an empty list, not a missing one.
        let Some(body) = outside.fetch_crl().await? else { return Ok(HashSet::new()) };
        let crl = UnverifiedCrl::parse(&body)?;
        let key = self.key(outside, &crl.kid()?, stale, tally).await?;
        let crl = crl.verify(key, issuer, now_ms / 1_000)?;
        Ok(crl.entries.into_iter().map(|entry| entry.jti).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment: a panic in between leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_due(last_ms: Option<u64>, interval_ms: u64, now_ms: u64) -> bool {
    last_ms.is_none_or(|last_ms| now_ms.saturating_sub(last_ms) >= interval_ms)
}

const fn age_ms<T>(snapshot: &Snapshot<T>, now_ms: u64) -> u64 {
    now_ms.saturating_sub(snapshot.at_ms)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use futures_util::FutureExt as _;

    use super::*;
    use crate::did::AgentDid;
    use crate::stores::AccessAnswer;
    use crate::trust::{RegistryRows, TrustAnswer, TrustQuestion};

    const KEYS: &str = r#"{"keys":[{"kid":"known","alg":"EdDSA","crv":"Ed25519",
        "x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg","status":"active"}]}"#;

    /// Rows without keys, and a registry that counts how often it is asked for them.
    struct Outside {
        now_ms: AtomicU64,
        asked: AtomicUsize,
        is_down: bool,
    }

    impl Clock for Outside {
        fn now_ms(&self) -> u64 {
            self.now_ms.load(Ordering::Relaxed)
        }

        fn time_left_ms(&self) -> u64 {
            u64::MAX
        }
    }

    impl TrustStore for Outside {
        async fn trust(&self, _: &TrustQuestion) -> Result<TrustAnswer, StoreError> {
            unreachable!("nobody is asked about")
        }

        async fn agent_revoked(&self, _: &AgentDid) -> Result<bool, StoreError> {
            unreachable!("nobody is asked about")
        }

        async fn registry_rows(&self) -> Result<RegistryRows, StoreError> {
            Ok(RegistryRows::default())
        }
    }

    impl Registry for Outside {
        async fn fetch_keys(&self) -> Result<String, StoreError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.is_down { Err(StoreError::OutOfTime { operation: "keys" }) } else { Ok(KEYS.to_owned()) }
        }

        async fn fetch_crl(&self) -> Result<Option<String>, StoreError> {
            unreachable!("it is not asked for its list")
        }

        async fn check_access(&self, _: &AgentDid, _: Id, _: &str) -> Result<AccessAnswer, StoreError> {
            unreachable!("it is not asked about tokens")
        }
    }

    /// Asks for a thousand keys, each under another name, and then for one that there is.
    fn hammer(outside: &Outside, memory: &RegistryMemory) -> Result<Option<VerifyingKey>, RegistryUnknown> {
        let key = |kid: &str| {
            let tally = Tally::default();
            let key = memory.key(outside, kid, StaleBehavior::FailOpen, &tally);
            key.now_or_never().expect("nothing is waited for")
        };
        for number in 0..1_000 {
            assert!(!matches!(key(&format!("made up {number}")), Ok(Some(_))));
        }
        key("known")
    }

    #[test]
    fn made_up_names_of_keys_do_not_reach_the_registry() {
        for is_down in [false, true] {
            let (now_ms, asked) = (AtomicU64::new(1_000_000), AtomicUsize::new(0));
            let (outside, memory) = (Outside { now_ms, asked, is_down }, RegistryMemory::default());
            for minute in 1..=3 {
                assert_eq!(matches!(hammer(&outside, &memory), Ok(Some(_))), !is_down);
                assert_eq!(outside.asked.load(Ordering::Relaxed), minute, "once a minute; down: {is_down}");
                outside.now_ms.fetch_add(REGISTRY_ASK_INTERVAL_MS, Ordering::Relaxed);
            }
        }
    }
}
