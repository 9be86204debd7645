//! ULIDs, as frames and receipts carry them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::{ULID_LEN, Ulid};

/// A ULID: 26 characters of Crockford's base 32, the first of them 0 to 7.
///
/// Read in either case and always written in upper case, because one of the two connectors refuses lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Ulid);

impl Id {
    /// Reads a ULID in either case. `None` for anything else, including one that overflows 128 bits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The decoder shifts an overflow out silently, so the first character is checked here.
        let first = *text.as_bytes().first()?;
        (b'0'..=b'7').contains(&first).then(|| Ulid::from_string(text).ok().map(Self))?
    }

    /// A ULID whose time part is `time_ms` and whose random part is a hash of `parts`.
    ///
    /// The same parts give the same ULID in every process, which is what makes a repeated push recognisable.
    #[must_use]
    pub fn derive(time_ms: u64, parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let hash = hasher.finalize();
        let random = hash.iter().take(10).fold(0_u128, |random, byte| (random << 8) | u128::from(*byte));
        Self(Ulid::from_parts(time_ms, random))
    }

    /// 32 bits of the random part.
    #[must_use]
    pub(crate) fn random_u32(self) -> u32 {
        let [.., a, b, c, d] = self.0.to_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// Milliseconds since the Unix epoch, from the time part.
    #[must_use]
    pub const fn time_ms(self) -> u64 {
        self.0.timestamp_ms()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.array_to_str(&mut [0; ULID_LEN]))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.array_to_str(&mut [0; ULID_LEN]))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a ULID"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_case_is_read_and_upper_case_is_written() {
        let id = Id::parse("01kn33x0krm9q3mfs6rvpp6f7f").unwrap();
        assert_eq!(id.to_string(), "01KN33X0KRM9Q3MFS6RVPP6F7F");
        assert_eq!(Id::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn what_is_not_a_ulid_is_refused() {
        for text in [
            "",
            "01KN33X0KRM9Q3MFS6RVPP6F7",
            "01KN33X0KRM9Q3MFS6RVPP6F7FF",
            "81KN33X0KRM9Q3MFS6RVPP6F7F",
            "01KN33X0KRM9Q3MFS6RVPP6F7U",
            "01KN33X0KRM9Q3MFS6RVPP6F7\u{e9}",
        ] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }

    #[test]
    fn derived_ids_keep_the_time_and_depend_on_every_part() {
        let id = Id::derive(1_775_000_000_000, &["a", "bc"]);
        assert_eq!(id.time_ms(), 1_775_000_000_000);
        assert_eq!(id, Id::derive(1_775_000_000_000, &["a", "bc"]));
        assert_ne!(id, Id::derive(1_775_000_000_000, &["ab", "c"]));
    }
}
