//! Agents that the real registry does not know: a signing key for the time of one run.
//!
//! The key exists in the memory of this process. Its public half is put beside the registry's keys in the stack, so the
//! functions check these agents' tokens exactly like anybody's.

use std::error::Error;

use acceptance::connector::Identity;
use acceptance::stamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use url::Url;

/// How long the tokens hold, in seconds: longer than any run.
const TOKEN_LIFE_S: u64 = 3_600;

pub(crate) struct TemporaryRegistry {
    origin: String,
    authority: String,
    key: SigningKey,
    /// The key's name, which is how it is found again to be removed.
    pub(crate) key_id: String,
}

impl TemporaryRegistry {
    /// Issues in the name of the registry at `origin`: the functions accept no other issuer.
    ///
    /// # Errors
    ///
    /// If that is not an origin.
    pub(crate) fn new(origin: &str) -> Result<Self, Box<dyn Error>> {
        let authority = Url::parse(origin)?.host_str().ok_or("the registry has no host")?.to_owned();
        Ok(Self {
            origin: origin.to_owned(),
            authority,
            key: SigningKey::from_bytes(&stamp::random()),
            key_id: format!("acceptance-{}", stamp::new_ulid()),
        })
    }

    /// The public key as the registry would publish it.
    pub(crate) fn published(&self) -> Value {
        let x = Identity::public_key_x(&self.key);
        json!({ "kid": self.key_id, "alg": "EdDSA", "crv": "Ed25519", "x": x, "status": "active" })
    }

    /// Where the registry publishes its keys.
    pub(crate) fn keys_url(&self) -> String {
        format!("{}/.well-known/claw-keys.json", self.origin)
    }

    /// A new agent with a passport.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        let agent_key = SigningKey::from_bytes(&stamp::random());
        let did = |kind: &str| format!("did:cdi:{}:{kind}:{}", self.authority, stamp::new_ulid());
        let (agent, jti, now_s) = (did("agent"), stamp::new_ulid(), stamp::now_s());
        let claims = json!({
            "iss": self.origin, "sub": agent, "ownerDid": did("human"), "name": format!("acceptance-{name}"),
            "framework": "acceptance", "jti": jti, "iat": now_s, "nbf": now_s, "exp": now_s + TOKEN_LIFE_S,
            "cnf": { "jwk": { "kty": "OKP", "crv": "Ed25519", "x": Identity::public_key_x(&agent_key) } },
        });
        let header = json!({ "alg": "EdDSA", "typ": "AIT", "kid": self.key_id });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()).to_bytes());
        let access_token = format!("clw_agt_{}", URL_SAFE_NO_PAD.encode(stamp::random::<32>()));
        Identity::new(agent, format!("{signed}.{signature}"), access_token, jti, agent_key)
    }
}
