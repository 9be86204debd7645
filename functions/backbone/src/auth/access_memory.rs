//! How long the registry's yes to an access token stands, and when not to ask again (design 6).
//!
//! The yes itself is a row that every request reads along with its trust, and is kept nowhere else: whoever takes the
//! row back, because the session has ended, has the registry asked again by the next request in every instance.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{ACCESS_FRESH_MS, ACCESS_OUTAGE_MS, REGISTRY_PAUSE_MS};

/// What a remembered yes is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldYes {
    /// Young enough to stand by itself.
    Fresh,
    /// Good only while the registry cannot be reached, in fail-open.
    ForOutage,
    /// None, or too old for anything.
    None,
}

impl HeldYes {
    /// The worth at `now_ms` of a yes whose row was written at `row_at_ms`.
    pub(super) fn of(row_at_ms: Option<u64>, now_ms: u64) -> Self {
        match row_at_ms.map(|at_ms| now_ms.saturating_sub(at_ms)) {
            Some(age_ms) if age_ms < ACCESS_FRESH_MS => Self::Fresh,
            Some(age_ms) if age_ms < ACCESS_OUTAGE_MS => Self::ForOutage,
            Some(_) | None => Self::None,
        }
    }
}

/// When the registry last failed to answer this instance, in milliseconds since the Unix epoch; 0 if it never did.
#[derive(Debug, Default)]
pub struct AccessOutage(AtomicU64);

impl AccessOutage {
    /// Notes that the registry did not answer.
    pub(super) fn note(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }

    /// Whether the registry failed so recently that who holds a yes need not wait for it to fail again.
    pub(super) fn is_recent(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.0.load(Ordering::Relaxed)) < REGISTRY_PAUSE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_stands_a_minute_and_bridges_an_outage_for_a_quarter_of_an_hour() {
        for (now_ms, held) in [
            (1_000, HeldYes::Fresh),
            (60_999, HeldYes::Fresh),
            (61_000, HeldYes::ForOutage),
            (900_999, HeldYes::ForOutage),
            (901_000, HeldYes::None),
        ] {
            assert_eq!(HeldYes::of(Some(1_000), now_ms), held, "{now_ms}");
        }
        assert_eq!(HeldYes::of(None, 1_000), HeldYes::None, "without its row there is none");
    }

    #[test]
    fn a_failure_is_recent_for_a_moment() {
        let outage = AccessOutage::default();
        assert!(!outage.is_recent(1_775_000_000_000));
        outage.note(1_775_000_000_000);
        assert!(outage.is_recent(1_775_000_004_999));
        assert!(!outage.is_recent(1_775_000_005_000));
    }
}
