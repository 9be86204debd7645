//! Agent DIDs: who a token, a receipt or a socket belongs to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

const AUTHORITY_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
const ULID_CHARS: usize = 26;

/// `did:cdi:<authority>:agent:<ULID>`, valid for both connectors.
///
/// The two connectors' rules differ; this type holds what both accept (contract 4.1), so that a frame built from
/// it parses everywhere: an authority of at least two dot-separated labels in lower case, a ULID in upper case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentDid(Arc<str>);

impl AgentDid {
    /// Reads an agent DID. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (_, kind, ulid) = split(text)?;
        (kind == "agent" && is_upper_case_ulid(ulid)).then(|| Self(text.into()))
    }

    /// The DID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host that vouches for this agent.
    #[must_use]
    pub fn authority(&self) -> &str {
        split(&self.0).map_or("", |(authority, _, _)| authority)
    }
}

/// Whether `text` is a human's DID under `authority`.
#[must_use]
pub fn is_human_did(text: &str, authority: &str) -> bool {
    split(text)
        .is_some_and(|(found, kind, ulid)| found == authority && kind == "human" && is_upper_case_ulid(ulid))
}

/// Authority, kind and identifier of a `did:cdi`, the authority checked.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.strip_prefix("did:cdi:")?.split(':');
    let (authority, kind, ulid) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && is_authority(authority)).then_some((authority, kind, ulid))
}

fn is_authority(text: &str) -> bool {
    text.len() <= AUTHORITY_BYTES_MAX && text.contains('.') && text.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_upper_case_ulid(text: &str) -> bool {
    text.len() == ULID_CHARS
        && matches!(text.as_bytes().first(), Some(b'0'..=b'7'))
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z'))
}

impl fmt::Display for AgentDid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for AgentDid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for AgentDid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentDid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an agent DID"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ULID: &str = "01KN0HGEG0G5PGG168DAWPBYT2";

    #[test]
    fn an_agent_did_has_an_authority() {
        let did = AgentDid::parse(&format!("did:cdi:registry.clawdentity.com:agent:{ULID}")).unwrap();
        assert_eq!(did.authority(), "registry.clawdentity.com");
        assert!(AgentDid::parse(&format!("did:cdi:127.0.0.1:agent:{ULID}")).is_some());
    }

    #[test]
    fn what_one_connector_would_refuse_is_refused() {
        let long_label = "a".repeat(64);
        for authority in
            ["localhost", "Registry.com", "a..b", "-a.com", "a-.com", "", &format!("{long_label}.com")]
        {
            assert_eq!(AgentDid::parse(&format!("did:cdi:{authority}:agent:{ULID}")), None, "{authority}");
        }
        for text in [
            format!("did:cdi:a.com:human:{ULID}"),
            format!("did:cdi:a.com:agent:{}", ULID.to_lowercase()),
            format!("did:cdi:a.com:agent:8{}", &ULID[1..]),
            format!("did:cdi:a.com:agent:{ULID}:x"),
            format!("did:web:a.com:agent:{ULID}"),
        ] {
            assert_eq!(AgentDid::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn a_human_did_belongs_to_one_authority() {
        let did = format!("did:cdi:a.com:human:{ULID}");
        assert!(is_human_did(&did, "a.com"));
        assert!(!is_human_did(&did, "b.com"));
        assert!(!is_human_did(&did.replace("human", "agent"), "a.com"));
    }
}
