//! The time and fresh identifiers, in the forms the wire wants.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;
use time::macros::format_description;
use ulid::Ulid;

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(elapsed.as_millis()).expect("milliseconds fit 64 bits for ages")
}

/// Seconds since the Unix epoch.
#[must_use]
pub fn now_s() -> u64 {
    now_ms() / 1000
}

/// Now as `2026-03-31T23:33:20.000Z`.
#[must_use]
pub fn now_iso() -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::now_utc().format(&format).expect("the format has only parts that a time has")
}

/// A fresh ULID, upper case.
#[must_use]
pub fn new_ulid() -> String {
    Ulid::from_parts(now_ms(), u128::from_be_bytes(random())).to_string()
}

/// A fresh nonce as connectors make it for a connect: 16 random bytes, base64url without padding.
#[must_use]
pub fn new_nonce() -> String {
    URL_SAFE_NO_PAD.encode(random::<16>())
}

/// Random bytes from the operating system.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}
