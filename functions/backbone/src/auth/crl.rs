//! The registry's revocation list (contract 5.6).

use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

use super::issuer::Issuer;
use super::jws::{JwsError, UnverifiedJws};
use crate::did::AgentDid;
use crate::id::Id;

const REASON_CHARS_MAX: usize = 280;

/// The registry's answer is not a usable revocation list, and why. It never quotes the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry's revocation list is not usable: {0}")]
pub struct UnusableCrl(&'static str);

/// The reason of an entry whose agent has a new token: only the old token is revoked.
const REISSUED: &str = "reissued";

const CLAIMS: &str = "its claims are not those of a list";

/// A list whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crl {
    /// When the registry signed it, in seconds since the Unix epoch.
    pub(crate) issued_at_s: u64,
    /// What it revokes.
    pub(crate) entries: Vec<CrlEntry>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CrlEntry {
    /// The token that is revoked.
    pub(crate) jti: Id,
    /// Whose it is.
    pub(crate) agent: AgentDid,
    /// The registry's words, if it gave any.
    pub(crate) reason: Option<String>,
}

impl CrlEntry {
    /// Whether the agent is revoked and not only this token of it. A reason that is not known counts as one.
    pub(crate) fn revokes_agent(&self) -> bool {
        self.reason.as_deref() != Some(REISSUED)
    }
}

/// A list as received.
pub(crate) struct UnverifiedCrl(String);

#[derive(Deserialize)]
struct Answer {
    crl: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    jti: String,
    iat: u64,
    exp: u64,
    revocations: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    jti: Id,
    agent_did: AgentDid,
    reason: Option<String>,
    #[serde(rename = "revokedAt")]
    _revoked_at: u64,
}

impl UnverifiedCrl {
    /// Takes the token out of the registry's answer.
    pub(crate) fn parse(body: &str) -> Result<Self, UnusableCrl> {
        let answer: Answer = serde_json::from_str(body)
            .map_err(|_| UnusableCrl("the answer is not JSON with a token named crl"))?;
        Ok(Self(answer.crl))
    }

    /// Which of the registry's keys signed it, by its own account.
    pub(crate) fn kid(&self) -> Result<String, UnusableCrl> {
        Ok(self.envelope()?.kid().to_owned())
    }

    /// What the list says. `key` is the registry's of the name that is on the list, if there is one. A list that is over
    /// at `now_s` is refused.
    pub(crate) fn verify(
        &self,
        key: Option<VerifyingKey>,
        issuer: &Issuer,
        now_s: u64,
    ) -> Result<Crl, UnusableCrl> {
        let key = key.ok_or(UnusableCrl("it names a key that is none of the registry's active ones"))?;
        let claims: Claims = self.envelope()?.verify(&key).map_err(|error| match error {
            JwsError::Signature => UnusableCrl("its signature does not verify"),
            JwsError::Malformed | JwsError::Header | JwsError::Claims => UnusableCrl(CLAIMS),
        })?;
        let defects = [
            (claims.iss != issuer.origin(), "it is another issuer's than REGISTRY_URL names"),
            (claims.exp <= now_s, "it has expired, or our clock is ahead"),
            (claims.jti.is_empty() || claims.exp <= claims.iat || claims.revocations.is_empty(), CLAIMS),
            (
                !claims.revocations.iter().all(|entry| entry.is_valid(issuer.host())),
                "an entry is of another registry's agent, or has too long a reason",
            ),
        ];
        if let Some((_, why)) = defects.into_iter().find(|(is_there, _)| *is_there) {
            return Err(UnusableCrl(why));
        }
        let entry = |Entry { jti, agent_did: agent, reason, .. }| CrlEntry { jti, agent, reason };
        Ok(Crl { issued_at_s: claims.iat, entries: claims.revocations.into_iter().map(entry).collect() })
    }

    fn envelope(&self) -> Result<UnverifiedJws<'_>, UnusableCrl> {
        UnverifiedJws::parse(&self.0, "CRL").map_err(|_| UnusableCrl("it is no signed list"))
    }
}

impl Entry {
    fn is_valid(&self, host: &str) -> bool {
        let reason_fits =
            self.reason.as_ref().is_none_or(|reason| reason.chars().count() <= REASON_CHARS_MAX);
        self.agent_did.authority() == host && reason_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_list_is_told_apart() {
        let issuer = Issuer::parse("https://a.com").unwrap();
        let why = |body: &str| {
            let crl = UnverifiedCrl::parse(body)?;
            let _ = crl.kid()?;
            crl.verify(None, &issuer, 0)
        };
        // {"alg":"EdDSA","typ":"CRL","kid":"k"}
        let header = "eyJhbGciOiJFZERTQSIsInR5cCI6IkNSTCIsImtpZCI6ImsifQ";
        let signed = format!(r#"{{"crl":"{header}.e30.{}"}}"#, "A".repeat(86));
        for (body, part) in
            [("nonsense", "not JSON"), (r#"{"crl":"x"}"#, "no signed list"), (&signed, "names a key")]
        {
            let error = why(body).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
