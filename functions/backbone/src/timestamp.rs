//! Points in time on the wire: ISO 8601 in UTC with milliseconds and `Z`.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const ISO_MS: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The last millisecond of the year 9999, which is as far as four digits of a year reach.
const LAST_MS: u64 = 253_402_300_799_999;

/// Writes `epoch_ms` (milliseconds since the Unix epoch) as `2026-03-31T23:33:20.000Z`.
///
/// What lies behind the year 9999 is written as its last millisecond.
#[must_use]
pub fn to_iso(epoch_ms: u64) -> String {
    let nanos = i128::from(epoch_ms.min(LAST_MS)) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|at| at.format(ISO_MS).ok())
        .expect("a time before the year 10000 can be written")
}

/// Reads an ISO 8601 time with offset. `None` for anything else and for times before 1970.
#[must_use]
pub fn from_iso(text: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_back() {
        assert_eq!(to_iso(1_775_000_000_000), "2026-03-31T23:33:20.000Z");
        for ms in [0, 7, 1_775_000_000_123, LAST_MS] {
            assert_eq!(from_iso(&to_iso(ms)), Some(ms));
        }
        assert_eq!(to_iso(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn an_offset_is_taken_into_account_and_nonsense_is_refused() {
        assert_eq!(from_iso("2026-04-01T01:33:20.5+02:00"), Some(1_775_000_000_500));
        for text in ["", "yesterday", "2026-02-30T00:00:00Z", "2026-03-31T23:33:20", "1969-12-31T23:59:59Z"] {
            assert_eq!(from_iso(text), None, "{text}");
        }
    }
}
