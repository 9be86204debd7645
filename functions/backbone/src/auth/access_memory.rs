//! The registry's yes to an access token, and how long it stands (design 6).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::{ACCESS_FRESH_MS, ACCESS_OUTAGE_MS, REGISTRY_PAUSE_MS};

/// More entries than an instance sees in [`ACCESS_FRESH_MS`] under the account's request limits; beyond it the old
/// ones are dropped, which costs a question each.
const ENTRIES_MAX: usize = 10_000;

/// Yeses by the hash of agent, token id and token. A no is never kept.
#[derive(Debug, Default)]
pub(super) struct AccessMemory {
    yeses: Mutex<HashMap<String, u64>>,
    /// When the registry last failed to answer, in milliseconds since the Unix epoch; 0 if it never did.
    failed_at_ms: AtomicU64,
}

/// What a held yes is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldYes {
    /// Young enough to stand by itself.
    Fresh,
    /// Good only while the registry cannot be reached, in fail-open.
    ForOutage,
    /// None, or too old for anything.
    None,
}

impl AccessMemory {
    /// What is held for `hash`, in memory or as a row last renewed at `row_at_ms`.
    pub(super) fn held(&self, hash: &str, row_at_ms: Option<u64>, now_ms: u64) -> HeldYes {
        let in_memory_at_ms = self.yeses().get(hash).copied();
        match in_memory_at_ms.max(row_at_ms).map(|at_ms| now_ms.saturating_sub(at_ms)) {
            Some(age_ms) if age_ms < ACCESS_FRESH_MS => HeldYes::Fresh,
            Some(age_ms) if age_ms < ACCESS_OUTAGE_MS => HeldYes::ForOutage,
            Some(_) | None => HeldYes::None,
        }
    }

    /// Keeps a yes given at `at_ms`.
    pub(super) fn keep(&self, hash: &str, at_ms: u64) {
        let mut yeses = self.yeses();
        if yeses.len() >= ENTRIES_MAX {
            yeses.retain(|_, kept_ms| at_ms.saturating_sub(*kept_ms) < ACCESS_FRESH_MS);
        }
        if yeses.len() < ENTRIES_MAX {
            yeses.insert(hash.to_owned(), at_ms);
        }
    }

    /// Forgets a yes: the registry has said no since.
    pub(super) fn forget(&self, hash: &str) {
        self.yeses().remove(hash);
    }

    /// Notes that the registry did not answer.
    pub(super) fn note_failure(&self, now_ms: u64) {
        self.failed_at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Whether the registry failed so recently that who holds a yes need not wait for it to fail again.
    pub(super) fn registry_failed_recently(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.failed_at_ms.load(Ordering::Relaxed)) < REGISTRY_PAUSE_MS
    }

    fn yeses(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.yeses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_stands_a_minute_and_bridges_an_outage_for_a_quarter_of_an_hour() {
        let memory = AccessMemory::default();
        memory.keep("h", 1_000);
        for (now_ms, held) in [
            (1_000, HeldYes::Fresh),
            (60_999, HeldYes::Fresh),
            (61_000, HeldYes::ForOutage),
            (900_999, HeldYes::ForOutage),
            (901_000, HeldYes::None),
        ] {
            assert_eq!(memory.held("h", None, now_ms), held, "{now_ms}");
        }
        assert_eq!(memory.held("h", Some(900_000), 901_000), HeldYes::Fresh, "a row may be younger");
        assert_eq!(memory.held("other", None, 1_000), HeldYes::None);
        memory.forget("h");
        assert_eq!(memory.held("h", None, 1_000), HeldYes::None);
    }
}
