//! The two kinds of JWT a registry signs: the passport of an agent (AIT) and the revocation list (CRL).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Serialize;
use serde_json::json;

/// The key's name in token headers and in the published key set.
pub(super) const KEY_ID: &str = "stand-in-key-1";

/// How long a revocation list may be used, in seconds from its issue.
const CRL_LIFE_S: u64 = 390;

/// An agent's passport. Readers accept exactly these claims and no other.
#[derive(Serialize)]
pub(super) struct AitClaims<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: &'a str,
    #[serde(rename = "ownerDid")]
    pub(super) owner_did: &'a str,
    pub(super) name: &'a str,
    pub(super) framework: &'a str,
    pub(super) cnf: Confirmation<'a>,
    /// Seconds since the Unix epoch, like the next two.
    pub(super) iat: u64,
    pub(super) nbf: u64,
    pub(super) exp: u64,
    pub(super) jti: &'a str,
}

/// The key that the holder of a passport proves to have.
#[derive(Serialize)]
pub(super) struct Confirmation<'a> {
    pub(super) jwk: AgentKey<'a>,
}

#[derive(Serialize)]
pub(super) struct AgentKey<'a> {
    kty: &'static str,
    crv: &'static str,
    x: &'a str,
}

impl<'a> AgentKey<'a> {
    /// `x` is the public key, base64url without padding.
    pub(super) fn ed25519(x: &'a str) -> Self {
        Self { kty: "OKP", crv: "Ed25519", x }
    }
}

/// One line of the revocation list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revocation {
    pub(super) jti: String,
    pub(super) agent_did: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    /// Seconds since the Unix epoch.
    pub(super) revoked_at: u64,
}

/// Signs a passport.
pub(super) fn sign_ait(key: &SigningKey, claims: &AitClaims<'_>) -> String {
    sign(key, "AIT", claims)
}

/// Signs a revocation list issued at `now_s`.
pub(super) fn sign_crl(
    key: &SigningKey,
    issuer: &str,
    jti: &str,
    now_s: u64,
    revocations: &[Revocation],
) -> String {
    let claims = json!({
        "iss": issuer, "jti": jti, "iat": now_s, "exp": now_s + CRL_LIFE_S, "revocations": revocations,
    });
    sign(key, "CRL", &claims)
}

fn sign(key: &SigningKey, kind: &str, claims: &impl Serialize) -> String {
    let header = json!({"alg": "EdDSA", "typ": kind, "kid": KEY_ID});
    let claims = serde_json::to_vec(claims).expect("claims are plain data");
    let signing_input =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(signing_input.as_bytes());
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}
