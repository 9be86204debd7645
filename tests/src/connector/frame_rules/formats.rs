//! The formats of single fields, as each connector checks them.

use std::net::Ipv4Addr;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::Status;

const ULID_CHARS: usize = 26;
const AUTHORITY_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;
const FRACTION_DIGITS_MAX: usize = 9;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Ulid,
    Timestamp,
    AgentDid,
    GroupId,
    Status,
    Flag,
    /// Text that only the TypeScript rules want non-blank.
    Text,
    /// Text that both want non-blank.
    NonBlankText,
    /// A URL to the TypeScript rules, any text to the Rust ones.
    Url,
    Anything,
}

impl Format {
    pub(super) fn typescript_accepts(self, value: &Value) -> bool {
        match self {
            Self::Anything => true,
            Self::Flag => value.is_boolean(),
            Self::Status => is_status(value),
            Self::Ulid => is_text(value, is_upper_case_ulid),
            Self::Timestamp => is_text(value, is_timestamp),
            Self::AgentDid => is_text(value, |text| is_agent_did(text, is_dotted_name, is_upper_case_ulid)),
            Self::GroupId => is_text(value, |text| is_group_id(text, is_upper_case_ulid)),
            Self::Text | Self::NonBlankText => is_text(value, is_not_blank),
            Self::Url => is_text(value, |text| Url::parse(text).is_ok()),
        }
    }

    pub(super) fn rust_accepts(self, value: &Value) -> bool {
        match self {
            Self::Anything => true,
            Self::Flag => value.is_boolean(),
            Self::Status => is_status(value),
            Self::Ulid => is_text(value, is_ulid),
            Self::Timestamp | Self::NonBlankText => is_text(value, is_not_blank),
            Self::AgentDid => is_text(value, |text| is_agent_did(text, is_host, is_ulid)),
            Self::GroupId => is_text(value, |text| is_group_id(text, is_ulid)),
            Self::Text | Self::Url => value.is_string(),
        }
    }
}

fn is_text(value: &Value, rule: impl Fn(&str) -> bool) -> bool {
    value.as_str().is_some_and(rule)
}

fn is_not_blank(text: &str) -> bool {
    !text.trim().is_empty()
}

fn is_status(value: &Value) -> bool {
    serde_json::from_value::<Status>(value.clone()).is_ok()
}

/// 26 characters of Crockford's base 32, which has no I, L, O and U.
fn is_upper_case_ulid(text: &str) -> bool {
    let is_digit = |byte: u8| {
        byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !matches!(byte, b'I' | b'L' | b'O' | b'U'))
    };
    text.len() == ULID_CHARS && text.bytes().all(is_digit)
}

fn is_ulid(text: &str) -> bool {
    is_upper_case_ulid(&text.to_ascii_uppercase())
}

fn is_group_id(text: &str, is_ulid: impl Fn(&str) -> bool) -> bool {
    text.strip_prefix("grp_").is_some_and(is_ulid)
}

fn is_agent_did(text: &str, is_authority: impl Fn(&str) -> bool, is_ulid: impl Fn(&str) -> bool) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts[..], ["did", "cdi", authority, "agent", id] if is_authority(authority) && is_ulid(id))
}

fn is_dotted_name(authority: &str) -> bool {
    authority.len() <= AUTHORITY_CHARS_MAX && authority.contains('.') && authority.split('.').all(is_label)
}

fn is_host(authority: &str) -> bool {
    let has_short_labels = authority.split('.').all(|label| label.len() <= LABEL_CHARS_MAX);
    authority == "localhost"
        || authority.parse::<Ipv4Addr>().is_ok()
        || (is_dotted_name(authority) && has_short_labels)
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_inner)
}

/// `YYYY-MM-DDThh:mm:ss`, perhaps a fraction of 1 to 9 digits, then `Z` or an offset; and a date that exists.
fn is_timestamp(text: &str) -> bool {
    let fraction = text.split_once('.').map(|(_, rest)| rest.find(|c: char| !c.is_ascii_digit()));
    let fraction_fits = match fraction {
        None => true,
        Some(digits) => digits.is_some_and(|digits| (1..=FRACTION_DIGITS_MAX).contains(&digits)),
    };
    // The parser also takes a lower-case or other separator, which the rule does not.
    fraction_fits
        && text.as_bytes().get(10) == Some(&b'T')
        && !text.ends_with('z')
        && OffsetDateTime::parse(text, &Rfc3339).is_ok()
}
