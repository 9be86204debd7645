//! Who a connector speaks for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

/// An agent: its DID, its two tokens and the key behind its passport.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// `did:cdi:<authority>:agent:<ULID>`.
    pub agent_did: String,
    /// The passport, a JWT signed by the registry.
    pub ait: String,
    /// `clw_agt_…`.
    pub access_token: String,
    /// The passport's identifier.
    pub jti: String,
    /// The 32 bytes of the secret key, base64url without padding in a file.
    #[serde(with = "secret_key")]
    key: SigningKey,
}

impl Identity {
    /// Puts an identity together.
    #[must_use]
    pub fn new(agent_did: String, ait: String, access_token: String, jti: String, key: SigningKey) -> Self {
        Self { agent_did, ait, access_token, jti, key }
    }

    /// A public key as a passport holds it: base64url without padding.
    #[must_use]
    pub fn public_key_x(key: &SigningKey) -> String {
        URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())
    }

    /// The secret key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The proof of a canonical string: its signature, base64url without padding.
    #[must_use]
    pub fn prove(&self, canonical: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(canonical.as_bytes()).to_bytes())
    }
}

mod secret_key {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::SigningKey;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(key: &SigningKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(key.as_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SigningKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| D::Error::custom("key: not base64url"))?;
        let bytes = bytes.try_into().map_err(|_| D::Error::custom("key: not 32 bytes"))?;
        Ok(SigningKey::from_bytes(&bytes))
    }
}
