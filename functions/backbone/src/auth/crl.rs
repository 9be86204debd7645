//! The registry's revocation list (contract 5.6).

use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

use super::issuer::Issuer;
use super::jws::UnverifiedJws;
use crate::did::AgentDid;
use crate::id::Id;

const REASON_CHARS_MAX: usize = 280;

/// The registry's answer is not a usable revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry's revocation list is not usable")]
pub(crate) struct UnusableCrl;

/// The reason of an entry whose agent has a new token: only the old token is revoked.
const REISSUED: &str = "reissued";

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
        serde_json::from_str(body).map(|answer: Answer| Self(answer.crl)).map_err(|_| UnusableCrl)
    }

    /// Which of the registry's keys signed it, by its own account.
    pub(crate) fn kid(&self) -> Result<String, UnusableCrl> {
        Ok(self.envelope()?.kid().to_owned())
    }

    /// What the list says. One that is over at `now_s` is refused.
    pub(crate) fn verify(&self, key: &VerifyingKey, issuer: &Issuer, now_s: u64) -> Result<Crl, UnusableCrl> {
        let claims: Claims = self.envelope()?.verify(key).map_err(|_| UnusableCrl)?;
        let valid = claims.iss == issuer.origin()
            && !claims.jti.is_empty()
            && claims.exp > claims.iat
            && claims.exp > now_s
            && !claims.revocations.is_empty()
            && claims.revocations.iter().all(|entry| entry.is_valid(issuer.host()));
        if !valid {
            return Err(UnusableCrl);
        }
        let entry = |Entry { jti, agent_did: agent, reason, .. }| CrlEntry { jti, agent, reason };
        Ok(Crl { issued_at_s: claims.iat, entries: claims.revocations.into_iter().map(entry).collect() })
    }

    fn envelope(&self) -> Result<UnverifiedJws<'_>, UnusableCrl> {
        UnverifiedJws::parse(&self.0, "CRL").map_err(|_| UnusableCrl)
    }
}

impl Entry {
    fn is_valid(&self, host: &str) -> bool {
        let reason_fits =
            self.reason.as_ref().is_none_or(|reason| reason.chars().count() <= REASON_CHARS_MAX);
        self.agent_did.authority() == host && reason_fits
    }
}
