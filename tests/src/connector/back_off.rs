//! How long a connector waits before it connects again (contract 8.2).

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// The pauses before one handshake after the other, until one succeeds: each twice as long as the one before it.
#[derive(Debug, Default)]
pub struct BackOff {
    last: Option<Duration>,
}

impl BackOff {
    /// The pause before the next handshake.
    pub fn pause(&mut self) -> Duration {
        let pause = self.last.map_or(FIRST, |last| (2 * last).min(LONGEST));
        self.last = Some(pause);
        pause
    }

    /// Begins anew: a handshake has succeeded.
    pub fn has_succeeded(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connector_comes_back_ever_later_and_a_cut_one_at_once() {
        let mut back_off = BackOff::default();
        let pauses: Vec<_> = (0..7).map(|_| back_off.pause().as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
        back_off.has_succeeded();
        assert_eq!(back_off.pause().as_millis(), 500);
    }
}
