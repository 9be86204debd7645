//! Times as operators write and read them.

use backbone::timestamp::from_iso;

const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

/// A span of time or a point in it, before it is known what time it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// So many milliseconds ago.
    Ago(u64),
    /// Milliseconds since the Unix epoch.
    At(u64),
}

impl When {
    /// Reads `90s`, `15m`, `2h`, `7d`, or an ISO 8601 time such as `2026-03-31T23:33:20Z`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let wrong = "not a time: say 90s, 15m, 2h, 7d, or 2026-03-31T23:33:20Z";
        if let Some(at_ms) = from_iso(text) {
            return Ok(Self::At(at_ms));
        }
        let read = |(unit, seconds)| Some((text.strip_suffix(unit)?, seconds));
        let (count, seconds) = UNITS.into_iter().find_map(read).ok_or(wrong)?;
        let count: u64 = count.parse().map_err(|_| wrong)?;
        count.checked_mul(seconds * 1_000).map(Self::Ago).ok_or(wrong)
    }

    /// Milliseconds since the Unix epoch, if it is `now_ms` now.
    pub(crate) const fn before(self, now_ms: u64) -> u64 {
        match self {
            Self::Ago(ms) => now_ms.saturating_sub(ms),
            Self::At(at_ms) => at_ms,
        }
    }
}

/// A span as `3d 4h`, `2h 5m`, `4m 7s` or `7s`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        (_, _, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(When::parse("90s"), Ok(When::Ago(90_000)));
        assert_eq!(When::parse("7d"), Ok(When::Ago(604_800_000)));
        assert_eq!(When::parse("1970-01-01T00:00:01Z"), Ok(When::At(1_000)));
        for text in ["", "7", "d", "-1h", "1.5h", "ss", "7dd", "18446744073709551615d", "yesterday"] {
            assert!(When::parse(text).is_err(), "{text}");
        }
        assert_eq!(When::Ago(5).before(3), 0);
    }

    #[test]
    fn spans_are_written_with_two_units() {
        for (ms, text) in
            [(0, "0s"), (7_900, "7s"), (247_000, "4m 7s"), (7_500_000, "2h 5m"), (273_600_000, "3d 4h")]
        {
            assert_eq!(span(ms), text);
        }
    }
}
