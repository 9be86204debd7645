//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// Long enough for a slow machine: a test that works never gets near it.
pub const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(20);

/// A condition did not come true in time.
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
pub async fn wait_for<T>(
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, NotInTime> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= deadline => {
                return Err(NotInTime { what: what.to_owned(), limit: PATIENCE, last });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// [`wait_for`] for tests: panics with what was last seen.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    wait_for(what, probe).await.unwrap_or_else(|problem| panic!("{problem}"))
}
