//! The registry's public keys (contract 5.5).

use std::collections::HashMap;

use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

use super::encoding::decode_array;

/// The registry's active keys, by `kid`.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet(HashMap<String, VerifyingKey>);

/// The registry's answer is not a usable key set: an entry is invalid, or none is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry's key set is not usable: it cannot be read, or has no active key")]
pub struct UnusableKeySet;

#[derive(Deserialize)]
struct Answer {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kid: String,
    alg: String,
    crv: String,
    x: String,
    status: Status,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Active,
    Revoked,
}

impl KeySet {
    /// Reads the registry's answer. One invalid entry spoils the set, and a set without an active key is none.
    pub(crate) fn parse(body: &str) -> Result<Self, UnusableKeySet> {
        let answer: Answer = serde_json::from_str(body).map_err(|_| UnusableKeySet)?;
        let mut seen = HashMap::with_capacity(answer.keys.len());
        for entry in answer.keys {
            let x = decode_array(&entry.x).ok_or(UnusableKeySet)?;
            let key = VerifyingKey::from_bytes(&x).map_err(|_| UnusableKeySet)?;
            let valid = !entry.kid.is_empty() && entry.alg == "EdDSA" && entry.crv == "Ed25519";
            let active = (entry.status == Status::Active).then_some(key);
            if !valid || seen.insert(entry.kid, active).is_some() {
                return Err(UnusableKeySet);
            }
        }
        let active: HashMap<_, _> = seen.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        if active.is_empty() { Err(UnusableKeySet) } else { Ok(Self(active)) }
    }

    /// The active key of this name.
    pub(crate) fn get(&self, kid: &str) -> Option<VerifyingKey> {
        self.0.get(kid).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";

    fn entry(kid: &str, status: &str) -> String {
        format!(r#"{{"kid":"{kid}","alg":"EdDSA","crv":"Ed25519","x":"{X}","status":"{status}","more":1}}"#)
    }

    fn parse(entries: &[String]) -> Result<KeySet, UnusableKeySet> {
        KeySet::parse(&format!(r#"{{"keys":[{}]}}"#, entries.join(",")))
    }

    #[test]
    fn only_active_keys_are_used() {
        let keys = parse(&[entry("a", "active"), entry("b", "revoked")]).unwrap();
        assert!(keys.get("a").is_some());
        assert!(keys.get("b").is_none());
    }

    #[test]
    fn one_invalid_entry_spoils_the_set() {
        for entries in [
            vec![],
            vec![entry("a", "revoked")],
            vec![entry("a", "active"), entry("a", "revoked")],
            vec![entry("a", "active"), entry("b", "paused")],
            vec![entry("a", "active"), entry("b", "active").replace(X, "AAAA")],
            vec![entry("a", "active"), entry("b", "active").replace("EdDSA", "ES256")],
            vec![entry("a", "active"), r#"{"kid":"b"}"#.to_owned()],
        ] {
            assert!(parse(&entries).is_err(), "{entries:?}");
        }
    }
}
