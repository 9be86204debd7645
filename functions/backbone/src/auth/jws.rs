//! The signed envelope of the registry's tokens: compact JWS, Ed25519 only.
//!
//! Written here and not taken from a JWT library because it is one algorithm and a hundred lines, while the smallest
//! maintained library brings forty more crates into the audited tree, and because these tokens are stricter than JWT.

use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::encoding::{decode, decode_array};

/// A token as received: its form is right, its signature is not checked.
#[derive(Debug)]
pub(super) struct UnverifiedJws<'a> {
    kid: String,
    signing_input: &'a str,
    claims: &'a str,
    signature: [u8; 64],
}

/// Why a token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JwsError {
    #[error("token is not a compact JWS")]
    Malformed,
    #[error("token header is not the expected one")]
    Header,
    #[error("token signature does not verify")]
    Signature,
    #[error("token claims are not the expected ones")]
    Claims,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    /// Extensions that must be understood. We understand none.
    crit: Option<serde_json::Value>,
}

impl<'a> UnverifiedJws<'a> {
    /// Splits a token and reads its header. `typ` is compared exactly.
    pub(super) fn parse(token: &'a str, typ: &str) -> Result<Self, JwsError> {
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, claims) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
        let signature = decode_array(signature).ok_or(JwsError::Malformed)?;
        let header = decode(header).ok_or(JwsError::Malformed)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| JwsError::Header)?;
        let expected = header.alg == "EdDSA" && header.typ == typ && header.crit.is_none();
        if !expected || header.kid.is_empty() {
            return Err(JwsError::Header);
        }
        Ok(Self { kid: header.kid, signing_input, claims, signature })
    }

    /// Which of the registry's keys signed it, by its own account.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, if `key` signed them.
    ///
    /// The check is `verify_strict`: plain verification accepts small-order keys, under which one signature fits
    /// every message.
    pub(super) fn verify<T: DeserializeOwned>(self, key: &VerifyingKey) -> Result<T, JwsError> {
        key.verify_strict(self.signing_input.as_bytes(), &Signature::from_bytes(&self.signature))
            .map_err(|_| JwsError::Signature)?;
        let claims = decode(self.claims).ok_or(JwsError::Claims)?;
        serde_json::from_slice(&claims).map_err(|_| JwsError::Claims)
    }
}
