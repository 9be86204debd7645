//! The agent identity token: an agent's passport, signed by the registry (contract 5.3).

use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

use super::encoding::decode_array;
use super::issuer::Issuer;
use super::jws::{JwsError, UnverifiedJws};
use crate::did::{AgentDid, is_human_did};
use crate::id::Id;

const NAME_CHARS_MAX: usize = 64;
const FRAMEWORK_CHARS_MAX: usize = 32;
const DESCRIPTION_CHARS_MAX: usize = 280;

/// Why an agent identity token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AitError {
    /// Its envelope is wrong.
    #[error("agent identity token refused")]
    Envelope(#[source] Envelope),
    /// The registry has no active key of this name.
    #[error("agent identity token is signed by an unknown key")]
    UnknownKey,
    /// Another registry issued it.
    #[error("agent identity token is from another issuer")]
    Issuer,
    /// A claim breaks a rule.
    #[error("agent identity token has a wrong `{0}`")]
    Claim(&'static str),
    /// It is over, or has not begun.
    #[error("agent identity token is not valid at {now_s} (nbf {nbf}, exp {exp})")]
    Time {
        /// Our clock, in seconds since the Unix epoch.
        now_s: u64,
        /// Valid from.
        nbf: u64,
        /// Valid until, exclusive.
        exp: u64,
    },
}

/// What was wrong with a token's envelope; opaque but for its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Envelope(JwsError);

impl From<JwsError> for AitError {
    fn from(error: JwsError) -> Self {
        Self::Envelope(Envelope(error))
    }
}

/// A token as received.
#[derive(Debug)]
pub struct UnverifiedAit<'a>(UnverifiedJws<'a>);

/// A verified token. There is no way to make one but [`UnverifiedAit::verify`].
#[derive(Clone, Debug)]
pub struct Ait {
    agent: AgentDid,
    jti: Id,
    proof_key: [u8; 32],
    nbf: u64,
    exp: u64,
}

/// The claims. Strict: a claim that is not listed refuses the token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    sub: String,
    #[serde(rename = "ownerDid")]
    owner_did: String,
    name: String,
    framework: String,
    description: Option<String>,
    cnf: Confirmation,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    jwk: Jwk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
}

impl<'a> UnverifiedAit<'a> {
    /// Reads the envelope of a token.
    ///
    /// # Errors
    ///
    /// [`AitError::Envelope`] if it is not a JWS of type `AIT` signed with Ed25519.
    pub fn parse(token: &'a str) -> Result<Self, AitError> {
        Ok(Self(UnverifiedJws::parse(token, "AIT")?))
    }

    /// Which of the registry's keys it claims to be signed with.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.0.kid()
    }

    /// Checks signature and claims. `now_s` is our clock in seconds since the Unix epoch; there is no leeway.
    ///
    /// # Errors
    ///
    /// The first [`AitError`] met.
    pub fn verify(self, key: &VerifyingKey, issuer: &Issuer, now_s: u64) -> Result<Ait, AitError> {
        let claims: Claims = self.0.verify(key)?;
        if claims.iss != issuer.origin() {
            return Err(AitError::Issuer);
        }
        let ait = claims.check(issuer.host())?;
        ait.check_time(now_s)?;
        Ok(ait)
    }
}

impl Claims {
    fn check(self, host: &str) -> Result<Ait, AitError> {
        let agent = AgentDid::parse(&self.sub)
            .filter(|agent| agent.authority() == host)
            .ok_or(AitError::Claim("sub"))?;
        let proof_key = decode_array(&self.cnf.jwk.x).ok_or(AitError::Claim("cnf"))?;
        let jti = Id::parse(&self.jti).ok_or(AitError::Claim("jti"))?;
        let rules = [
            ("ownerDid", is_human_did(&self.owner_did, host)),
            ("name", is_name(&self.name)),
            ("framework", is_plain(&self.framework, 1, FRAMEWORK_CHARS_MAX)),
            ("description", self.description.is_none_or(|text| is_plain(&text, 0, DESCRIPTION_CHARS_MAX))),
            ("cnf", self.cnf.jwk.kty == "OKP" && self.cnf.jwk.crv == "Ed25519"),
            ("exp", self.exp > self.nbf && self.exp > self.iat),
        ];
        if let Some((claim, _)) = rules.iter().find(|(_, holds)| !holds) {
            return Err(AitError::Claim(claim));
        }
        Ok(Ait { agent, jti, proof_key, nbf: self.nbf, exp: self.exp })
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b' ' | b'-');
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_plain(text: &str, chars_min: usize, chars_max: usize) -> bool {
    (chars_min..=chars_max).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

impl Ait {
    /// Whom it identifies.
    #[must_use]
    pub const fn agent(&self) -> &AgentDid {
        &self.agent
    }

    /// Its own id, by which it can be revoked.
    #[must_use]
    pub const fn jti(&self) -> Id {
        self.jti
    }

    /// Some token, for tests that do not look into it.
    #[cfg(test)]
    pub(super) fn any() -> Self {
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").expect("it is one");
        let jti = Id::parse("01KN33X0KRM9Q3MFS6RVPP6F7F").expect("it is one");
        Self { agent, jti, proof_key: [0; 32], nbf: 0, exp: u64::MAX }
    }

    /// Refuses a token whose time has not come or is over. This is the part of a token that does not stay verified.
    pub(super) fn check_time(&self, now_s: u64) -> Result<(), AitError> {
        let Self { nbf, exp, .. } = *self;
        if exp <= now_s || nbf > now_s { Err(AitError::Time { now_s, nbf, exp }) } else { Ok(()) }
    }

    /// The public key that the agent signs its requests with; not yet known to be a point on the curve.
    pub(super) const fn proof_key(&self) -> &[u8; 32] {
        &self.proof_key
    }
}
