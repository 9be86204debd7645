//! The chain over an outside that answers at once: what is remembered, and what is asked again all the same.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::stores::{AccessAnswer, RememberedYes, StoreError};
use crate::trust::RegistryRows;

const START_S: u64 = 1_775_000_000;
const TOKEN_LIFE_S: u64 = 86_400;
const PATH: &str = "/v1/relay/connect";

struct World {
    now_s: AtomicU64,
    /// The seed of the registry's key: another key is another registry.
    registry_seed: AtomicU64,
    agent_revoked: AtomicBool,
    /// When the row of the session was written.
    session_at_ms: Mutex<Option<u64>>,
    /// How often the registry was asked about the session.
    registry_asked: AtomicU64,
}

fn key(seed: u64) -> SigningKey {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    SigningKey::from_bytes(&bytes)
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token signed by the registry with the key of `seed`, about an agent with the key 1.
fn token(seed: u64) -> String {
    let header = json!({ "alg": "EdDSA", "typ": "AIT", "kid": "k" });
    let claims = json!({
        "iss": "https://a.com", "sub": "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2",
        "ownerDid": "did:cdi:a.com:human:01KN0HGEG0Q39VK53Z32X8RWS1", "name": "a", "framework": "f",
        "cnf": { "jwk": { "kty": "OKP", "crv": "Ed25519", "x": encoded(key(1).verifying_key()) } },
        "iat": START_S, "nbf": START_S, "exp": START_S + TOKEN_LIFE_S, "jti": "01KN33X0KRM9Q3MFS6RVPP6F7F",
    });
    let input = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
    let signature = encoded(key(seed).sign(input.as_bytes()).to_bytes());
    format!("{input}.{signature}")
}

impl World {
    fn new() -> Self {
        Self {
            now_s: AtomicU64::new(START_S),
            registry_seed: AtomicU64::new(0),
            agent_revoked: AtomicBool::new(false),
            session_at_ms: Mutex::default(),
            registry_asked: AtomicU64::new(0),
        }
    }

    fn session(&self) -> MutexGuard<'_, Option<u64>> {
        self.session_at_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gatekeeper() -> Gatekeeper {
        Gatekeeper::new(Policy {
            issuer: Issuer::parse("https://a.com").unwrap(),
            stale: StaleBehavior::FailOpen,
            crl_age_ms_max: 900_000,
            requests_per_minute: 1_000,
        })
    }

    /// A connect with `token`, proven now unless it is spoilt.
    fn ask(&self, gatekeeper: &Gatekeeper, token: &str, timestamp: Option<&str>) -> Result<(), AuthRefusal> {
        let now = (self.now_ms() / 1_000).to_string();
        let timestamp = timestamp.unwrap_or(&now);
        let body_hash = sha256(&[b""]);
        let signed = format!("CLAW-PROOF-V1\nGET\n{PATH}\n{timestamp}\nn\n{body_hash}");
        let proof = encoded(key(1).sign(signed.as_bytes()).to_bytes());
        let request = SignedRequest {
            method: "GET",
            paths: &[PATH],
            authorization: Some(&format!("Claw {token}")),
            proof: ProofHeaders {
                timestamp: Some(timestamp),
                nonce: Some("n"),
                body_hash: Some(&body_hash),
                proof: Some(&proof),
            },
            access_token: Some("clw_agt_x"),
            body: b"",
        };
        let tally = Tally::default();
        let answer = gatekeeper.authenticate(self, &request, Purpose::Connect, &tally).now_or_never();
        answer.expect("nothing here waits").map(drop)
    }
}

impl Clock for World {
    fn now_ms(&self) -> u64 {
        self.now_s.load(Ordering::Relaxed) * 1_000
    }

    fn time_left_ms(&self) -> u64 {
        10_000
    }
}

impl TrustStore for World {
    async fn trust(&self, _: &TrustQuestion) -> Result<TrustAnswer, StoreError> {
        Ok(TrustAnswer {
            agent_revoked: self.agent_revoked.load(Ordering::Relaxed),
            access_accepted_at_ms: *self.session(),
            ..TrustAnswer::default()
        })
    }

    async fn agent_revoked(&self, _: &AgentDid) -> Result<bool, StoreError> {
        Ok(self.agent_revoked.load(Ordering::Relaxed))
    }

    async fn registry_rows(&self) -> Result<RegistryRows, StoreError> {
        let x = encoded(key(self.registry_seed.load(Ordering::Relaxed)).verifying_key());
        let entry = json!({ "kid": "k", "alg": "EdDSA", "crv": "Ed25519", "x": x, "status": "active" });
        let keys = json!({ "keys": [entry] }).to_string();
        Ok(RegistryRows {
            keys: Some(keys),
            keys_at_ms: self.now_ms(),
            crl_at_ms: Some(self.now_ms()),
            crl_hash: None,
        })
    }
}

impl NonceStore for World {
    async fn claim_nonce(&self, _: &AgentDid, _: &str, _: u64) -> Result<NonceClaim, StoreError> {
        Ok(NonceClaim::Claimed)
    }

    async fn add_requests(&self, _: &AgentDid, _: u64, requests: u32) -> Result<u32, StoreError> {
        Ok(requests)
    }
}

impl AccessStore for World {
    async fn remember_access(&self, _: &AgentDid, _: &str, now_ms: u64) -> Result<(), StoreError> {
        *self.session() = Some(now_ms);
        Ok(())
    }

    async fn take_back_access(&self, _: &AgentDid, _: &str, _: u64, _: u64) -> Result<(), StoreError> {
        *self.session() = None;
        Ok(())
    }

    async fn remembered_access(&self, _: &AgentDid) -> Result<Vec<RememberedYes>, StoreError> {
        unreachable!("a request reads its own yes with its trust")
    }
}

impl Registry for World {
    async fn fetch_keys(&self) -> Result<String, StoreError> {
        Ok(self.registry_rows().await?.keys.unwrap_or_default())
    }

    async fn fetch_crl(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn check_access(&self, _: &AgentDid, _: Id, _: &str) -> Result<AccessAnswer, StoreError> {
        self.registry_asked.fetch_add(1, Ordering::Relaxed);
        Ok(AccessAnswer::Accepted)
    }
}

#[test]
fn a_verified_token_is_refused_once_its_agent_is_revoked() {
    let (world, gatekeeper) = (World::new(), World::gatekeeper());
    assert!(world.ask(&gatekeeper, &token(0), None).is_ok());
    world.agent_revoked.store(true, Ordering::Relaxed);
    let refused = world.ask(&gatekeeper, &token(0), None);
    assert!(matches!(refused, Err(AuthRefusal::AgentRevoked)), "{refused:?}");
}

#[test]
fn a_verified_token_is_refused_once_its_time_is_over() {
    let (world, gatekeeper) = (World::new(), World::gatekeeper());
    assert!(world.ask(&gatekeeper, &token(0), None).is_ok());
    world.now_s.store(START_S + TOKEN_LIFE_S - 1, Ordering::Relaxed);
    assert!(world.ask(&gatekeeper, &token(0), None).is_ok());
    world.now_s.store(START_S + TOKEN_LIFE_S, Ordering::Relaxed);
    let refused = world.ask(&gatekeeper, &token(0), None);
    assert!(matches!(refused, Err(AuthRefusal::Ait(AitError::Time { .. }))), "{refused:?}");
}

#[test]
fn a_verified_token_is_refused_once_the_registry_has_another_key_of_that_name() {
    let (world, gatekeeper) = (World::new(), World::gatekeeper());
    assert!(world.ask(&gatekeeper, &token(0), None).is_ok());
    world.registry_seed.store(2, Ordering::Relaxed);
    // The keys are kept for a minute.
    world.now_s.store(START_S + 61, Ordering::Relaxed);
    let refused = world.ask(&gatekeeper, &token(0), None);
    assert!(matches!(refused, Err(AuthRefusal::Ait(AitError::Envelope(_)))), "{refused:?}");
    assert!(world.ask(&gatekeeper, &token(2), None).is_ok());
}

#[test]
fn a_token_that_differs_from_a_verified_one_is_verified() {
    let (world, gatekeeper) = (World::new(), World::gatekeeper());
    assert!(world.ask(&gatekeeper, &token(0), None).is_ok());
    let refused = world.ask(&gatekeeper, &token(3), None);
    assert!(matches!(refused, Err(AuthRefusal::Ait(AitError::Envelope(_)))), "{refused:?}");
}

#[test]
fn a_proof_without_usable_headers_is_refused_whoever_signed_the_token() {
    let (world, gatekeeper) = (World::new(), World::gatekeeper());
    for token in [token(0), token(3)] {
        let refused = world.ask(&gatekeeper, &token, Some("soon"));
        assert!(matches!(refused, Err(AuthRefusal::Proof(ProofError::Timestamp))), "{refused:?}");
    }
}

#[test]
fn a_session_whose_row_is_gone_is_asked_about_again_although_the_token_is_verified() {
    let (world, gatekeeper) = (World::new(), World::gatekeeper());
    for asked in [1, 1] {
        assert!(world.ask(&gatekeeper, &token(0), None).is_ok());
        assert_eq!(world.registry_asked.load(Ordering::Relaxed), asked);
    }
    *world.session() = None;
    assert!(world.ask(&gatekeeper, &token(0), None).is_ok());
    assert_eq!(world.registry_asked.load(Ordering::Relaxed), 2);
}

#[test]
fn only_the_claw_scheme_passes() {
    assert_eq!(bearer(Some(" Claw  a.b.c ")).unwrap(), "a.b.c");
    assert!(matches!(bearer(None), Err(AuthRefusal::MissingToken)));
    assert!(matches!(bearer(Some("  ")), Err(AuthRefusal::MissingToken)));
    for header in [
        "Bearer x",
        "claw x",
        "Claw",
        "Claw ",
        "Clawx",
        "Claw a b",
        "Claw a\u{b}b",
        "Claw a\u{2003}b",
        &format!("Claw {}", "x".repeat(9_000)),
    ] {
        assert!(matches!(bearer(Some(header)), Err(AuthRefusal::InvalidScheme)), "{header}");
    }
}
