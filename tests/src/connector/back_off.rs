//! How long a connector waits before it tries again (contract 8.2 and 8.3).

use std::time::Duration;

/// The pauses before one attempt after the other, until one succeeds: each twice as long as the one before it.
#[derive(Debug)]
pub struct BackOff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl BackOff {
    /// The pauses of a connector that has lost its socket.
    #[must_use]
    pub fn of_handshakes() -> Self {
        Self::between(Duration::from_millis(500), Duration::from_secs(15))
    }

    /// The pauses of a connector whose webhook does not answer 2xx.
    pub(super) fn of_webhooks() -> Self {
        Self::between(Duration::from_secs(1), Duration::from_mins(1))
    }

    fn between(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Waits as long as a connector does before its next attempt. Nothing that it could look at would tell it sooner.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.pause()).await;
    }

    /// Begins anew: an attempt has succeeded.
    pub fn has_succeeded(&mut self) {
        self.next = self.first;
    }

    fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (2 * pause).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connector_comes_back_ever_later_and_a_cut_one_at_once() {
        let mut back_off = BackOff::of_handshakes();
        let pauses: Vec<_> = (0..7).map(|_| back_off.pause().as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
        back_off.has_succeeded();
        assert_eq!(back_off.pause().as_millis(), 500);
    }

    #[test]
    fn a_webhook_is_asked_again_after_a_second_and_at_last_every_minute() {
        let mut back_off = BackOff::of_webhooks();
        let pauses: Vec<_> = (0..8).map(|_| back_off.pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
