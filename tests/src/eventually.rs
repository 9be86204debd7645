//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// Long enough for a slow machine: a test that works never gets near it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long something may show no progress before it counts as stuck.
pub const STUCK_AFTER: Duration = Duration::from_mins(1);

/// Between two looks of a wait: a local AWS that is asked for something has time for its work, too.
const PAUSE: Duration = Duration::from_millis(20);

/// A condition did not come true in time, or in the time since something last moved towards it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: not within {} s; last seen: {last}", limit.as_secs())]
pub struct NotInTime {
    what: String,
    limit: Duration,
    last: String,
}

/// Asks `probe` until it says `Ok`, for [`PATIENCE`] at most. Its `Err` says what it saw instead.
///
/// # Errors
///
/// [`NotInTime`] with what the probe saw last.
pub async fn wait_for<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> Result<T, NotInTime> {
    look_until(what, PATIENCE, PAUSE, false, probe).await
}

/// [`wait_for`] with another limit and another pause between two looks, for what each look costs somebody.
///
/// # Errors
///
/// [`NotInTime`] with what the probe saw last.
pub async fn wait_for_patiently<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    probe: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, NotInTime> {
    look_until(what, limit, pause, false, probe).await
}

/// [`wait_for`] for tests: panics with what was last seen.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    wait_for(what, probe).await.unwrap_or_else(|problem| panic!("{problem}"))
}

/// [`eventually`] for what may take long: as long as `probe` goes on seeing something else, however long that is, and
/// [`STUCK_AFTER`] once it sees always the same.
pub async fn eventually_progressing<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    look_until(what, STUCK_AFTER, PAUSE, true, probe).await.unwrap_or_else(|problem| panic!("{problem}"))
}

async fn look_until<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    progress_counts: bool,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, NotInTime> {
    let mut since = Instant::now();
    let mut before = None;
    loop {
        let last = match probe().await {
            Ok(value) => return Ok(value),
            Err(last) => last,
        };
        if progress_counts && before.as_ref() != Some(&last) {
            since = Instant::now();
        } else if since.elapsed() >= limit {
            return Err(NotInTime { what: what.to_owned(), limit, last });
        }
        before = Some(last);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks while `moves` says something new, and for `limit` afterwards; how often it has looked.
    async fn looks(moves: usize, limit: Duration, progress_counts: bool) -> usize {
        let mut looks = 0;
        let waited: Result<(), _> = look_until("a test", limit, PAUSE, progress_counts, async || {
            looks += 1;
            Err(looks.min(moves).to_string())
        })
        .await;
        assert!(waited.unwrap_err().to_string().ends_with(&moves.min(looks).to_string()));
        looks
    }

    #[tokio::test]
    async fn progress_is_waited_for_and_standstill_is_not() {
        let limit = PAUSE / 2;
        assert_eq!(looks(5, limit, true).await, 6, "five that differ, and one that is as the one before");
        // One, if the machine was busy during the first.
        assert!((1..=2).contains(&looks(5, limit, false).await), "the limit is on the whole");
    }
}
