//! The auth chain: who is asking, in the contract's order with its codes (contract 5.9, design 6).

mod access;
mod access_memory;
mod ait;
mod ait_memory;
mod caller;
pub(crate) mod crl;
pub(crate) mod encoding;
mod issuer;
mod jws;
pub(crate) mod keys;
mod last_used;
mod proof;
mod rate;
mod refusal;
mod registry_memory;

use ed25519_dalek::VerifyingKey;
use futures_util::future::join;

pub use self::access::{AccessQuestion, check_access};
pub use self::access_memory::AccessOutage;
pub use self::ait::{Ait, AitError, Envelope, UnverifiedAit};
use self::ait_memory::{AitMemory, HeldAit};
pub use self::caller::{Authenticated, Proven};
pub use self::crl::UnusableCrl;
use self::encoding::sha256;
pub use self::issuer::Issuer;
pub use self::keys::UnusableKeySet;
pub use self::proof::{ProofError, ProofHeaders, UnverifiedProof, VerifiedProof};
use self::rate::RateMemory;
pub use self::refusal::AuthRefusal;
use self::registry_memory::RegistryMemory;
pub use self::registry_memory::{RegistryAges, RegistryUnknown};
use crate::did::AgentDid;
use crate::id::Id;
use crate::limits::{HEADER_BYTES_MAX, NONCE_LIFE_S};
use crate::metrics::Tally;
use crate::stores::{AccessStore, Clock, NonceClaim, NonceStore, Registry, TrustStore};
use crate::trust::{Pair, TrustAnswer, TrustQuestion};

/// What to do when the registry's revocation list cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleBehavior {
    /// Go on with what is known.
    FailOpen,
    /// Refuse everybody.
    FailClosed,
}

/// How a deployment authenticates.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The registry that vouches for agents.
    pub issuer: Issuer,
    /// What an outage of the registry means.
    pub stale: StaleBehavior,
    /// From which age on, in milliseconds, the revocation list counts as missing (contract: 900,000).
    pub crl_age_ms_max: u64,
    /// Requests per agent and minute.
    pub requests_per_minute: u32,
}

/// One request to be authenticated, as the client sent it.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path with its query, in each form in which the client may have signed it.
    pub paths: &'a [&'a str],
    /// `Authorization`
    pub authorization: Option<&'a str>,
    /// The proof's headers.
    pub proof: ProofHeaders<'a>,
    /// `X-Claw-Agent-Access`
    pub access_token: Option<&'a str>,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

impl<'a> SignedRequest<'a> {
    /// A request whose headers `header` finds by their names in lower case.
    pub fn read(
        method: &'a str,
        paths: &'a [&'a str],
        body: &'a [u8],
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        Self {
            method,
            paths,
            authorization: header("authorization"),
            proof: ProofHeaders {
                timestamp: header("x-claw-timestamp"),
                nonce: header("x-claw-nonce"),
                body_hash: header("x-claw-body-sha256"),
                proof: header("x-claw-proof"),
            },
            access_token: header("x-claw-agent-access"),
            body,
        }
    }
}

/// All that the chain needs from outside.
pub trait AuthOutside: TrustStore + NonceStore + AccessStore + Registry + Clock + Sync {}

impl<O: TrustStore + NonceStore + AccessStore + Registry + Clock + Sync> AuthOutside for O {}

/// What the request is for, as far as the chain must know.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// A socket: an agent without any pair may connect.
    Connect,
    /// A receipt or a look-up: the agent must have a pair.
    Receipt {
        /// The other agent that the body or the query names; whether the two are paired is read along.
        peer: Option<&'a AgentDid>,
    },
}

/// Authenticates requests; keeps in memory what one instance may keep between them.
#[derive(Debug)]
pub struct Gatekeeper {
    policy: Policy,
    registry: RegistryMemory,
    tokens: AitMemory,
    access_outage: AccessOutage,
    rates: RateMemory,
}

impl Gatekeeper {
    /// A gatekeeper that remembers nothing yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            registry: RegistryMemory::default(),
            tokens: AitMemory::default(),
            access_outage: AccessOutage::default(),
            rates: RateMemory::default(),
        }
    }

    /// How old this instance's knowledge of the registry is at `now_ms`; asks nobody.
    #[must_use]
    pub fn registry_ages(&self, now_ms: u64) -> RegistryAges {
        self.registry.ages(now_ms)
    }

    /// Runs the chain. Steps are numbered as in contract 5.9; 1 and 18 are API Gateway's.
    ///
    /// # Errors
    ///
    /// The first refusal in the contract's order, but for what is refused early because it costs next to nothing: a proof
    /// without usable headers, before the token is looked into; and a form that cannot be a token, before the registry's
    /// keys are looked for.
    pub async fn authenticate<O: AuthOutside>(
        &self,
        outside: &O,
        request: &SignedRequest<'_>,
        purpose: Purpose<'_>,
        tally: &Tally,
    ) -> Result<Authenticated, AuthRefusal> {
        let proven = self.prove(outside, request, tally).await?;
        self.admit(outside, proven, purpose, tally).await
    }

    /// The first half of the chain, up to the proof: nothing of a request whose sender has proven nothing needs to be
    /// looked at.
    ///
    /// # Errors
    ///
    /// As [`authenticate`](Self::authenticate).
    pub async fn prove<'a, O>(
        &self,
        outside: &O,
        request: &SignedRequest<'a>,
        tally: &Tally,
    ) -> Result<Proven<'a>, AuthRefusal>
    where
        O: TrustStore + Registry + Clock,
    {
        let now_s = outside.now_ms() / 1_000;
        // 2 to 9: the token, and the headers of the proof.
        let (ait, proof) = self.identify(outside, request, now_s, tally).await?;
        // 10: the proof.
        let proof = proof.verify(ait.proof_key(), request.method, request.paths, request.body)?;
        Ok(Proven { ait, proof, access: request.access_token })
    }

    /// The second half of the chain: whether who has proven their identity may come in.
    ///
    /// # Errors
    ///
    /// As [`authenticate`](Self::authenticate).
    pub async fn admit<O: AuthOutside>(
        &self,
        outside: &O,
        proven: Proven<'_>,
        purpose: Purpose<'_>,
        tally: &Tally,
    ) -> Result<Authenticated, AuthRefusal> {
        let Proven { ait, proof, access } = proven;
        let now_s = outside.now_ms() / 1_000;
        // 11 to 14: nonce and trust, asked together and answered in order.
        let access = access.map(str::trim).filter(|token| is_usable(token));
        let access_hash = access.map(|token| access_hash(&ait, token));
        let pair = purpose.peer().map(|peer| Pair::of(ait.agent(), peer));
        let question = TrustQuestion {
            agent: ait.agent().clone(),
            ait_jti: ait.jti(),
            pair: pair.clone(),
            access_hash: access_hash.clone(),
        };
        let nonce_hash = proof.nonce_hash();
        let (nonce, trust) = join(
            outside.claim_nonce(ait.agent(), &nonce_hash, now_s + NONCE_LIFE_S),
            outside.trust(&question),
        )
        .await;
        match nonce? {
            NonceClaim::Claimed => {}
            NonceClaim::Used => return Err(AuthRefusal::Replay),
        }
        let trust = trust?;
        self.check_trust(outside, &ait, &trust, purpose, tally).await?;
        // 15 and 16: the session.
        let (Some(token), Some(hash)) = (access, access_hash) else {
            return Err(AuthRefusal::AccessRequired);
        };
        let question = AccessQuestion {
            agent: ait.agent(),
            ait_jti: ait.jti(),
            token,
            hash: &hash,
            accepted_at_ms: trust.access_accepted_at_ms,
        };
        check_access(outside, &self.access_outage, self.policy.stale, &question, tally).await?;
        // 17: the rate.
        let agent = ait.agent().clone();
        self.rates.count(outside, &agent, self.policy.requests_per_minute, tally).await.map_err(|over| {
            AuthRefusal::RateLimited { agent: agent.clone(), retry_after_s: over.retry_after_s }
        })?;
        Ok(Authenticated { agent, pair, homes: trust.pair })
    }

    /// Verifies the token, unless it is known to be genuine.
    async fn identify<'a, O>(
        &self,
        outside: &O,
        request: &SignedRequest<'a>,
        now_s: u64,
        tally: &Tally,
    ) -> Result<(Ait, UnverifiedProof<'a>), AuthRefusal>
    where
        O: TrustStore + Registry + Clock,
    {
        let text = bearer(request.authorization)?;
        let proof = UnverifiedProof::parse(request.proof, now_s)?;
        if let Some(HeldAit { ait, kid, key }) = self.tokens.held(text)
            && self.key(outside, &kid, tally).await? == Some(key)
        {
            ait.check_time(now_s)?;
            return Ok((ait, proof));
        }
        let token = UnverifiedAit::parse(text)?;
        let kid = token.kid().to_owned();
        let key = self.key(outside, &kid, tally).await?.ok_or(AitError::UnknownKey)?;
        let ait = token.verify(&key, &self.policy.issuer, now_s)?;
        self.tokens.keep(text, HeldAit { ait: ait.clone(), kid, key });
        Ok((ait, proof))
    }

    async fn key<O>(&self, outside: &O, kid: &str, tally: &Tally) -> Result<Option<VerifyingKey>, AuthRefusal>
    where
        O: TrustStore + Registry + Clock,
    {
        let key = self.registry.key(outside, kid, self.policy.stale, tally).await;
        key.map_err(AuthRefusal::RegistryUnknown)
    }

    async fn check_trust<O>(
        &self,
        outside: &O,
        ait: &Ait,
        trust: &TrustAnswer,
        purpose: Purpose<'_>,
        tally: &Tally,
    ) -> Result<(), AuthRefusal>
    where
        O: TrustStore + Registry + Clock,
    {
        if trust.agent_revoked {
            return Err(AuthRefusal::AgentRevoked);
        }
        let listed = self
            .registry
            .is_listed(outside, ait.jti(), &self.policy, tally)
            .await
            .map_err(AuthRefusal::RegistryUnknown)?;
        if trust.ait_revoked || listed {
            return Err(AuthRefusal::AitRevoked);
        }
        match purpose {
            Purpose::Receipt { .. } if !trust.known => Err(AuthRefusal::Unknown(ait.agent().clone())),
            Purpose::Receipt { .. } | Purpose::Connect => Ok(()),
        }
    }
}

impl<'a> Purpose<'a> {
    const fn peer(self) -> Option<&'a AgentDid> {
        match self {
            Self::Connect => None,
            Self::Receipt { peer } => peer,
        }
    }
}

/// The token of `Claw <token>`: the scheme in exactly this case, one token without white space.
fn bearer(header: Option<&str>) -> Result<&str, AuthRefusal> {
    let header = header.map(str::trim).filter(|text| !text.is_empty()).ok_or(AuthRefusal::MissingToken)?;
    let token = header
        .strip_prefix("Claw")
        .filter(|rest| rest.starts_with(char::is_whitespace))
        .map(str::trim)
        .filter(|token| is_usable(token))
        .ok_or(AuthRefusal::InvalidScheme)?;
    Ok(token)
}

fn is_usable(token: &str) -> bool {
    if token.is_empty() || token.len() > HEADER_BYTES_MAX {
        return false;
    }
    // Counted to the end, which the compiler does for many bytes at once. In ASCII all white space is up to the blank; what
    // else is there cannot be in a header.
    let blanks = token.bytes().filter(|byte| *byte <= b' ').count();
    blanks == 0 && (token.is_ascii() || !token.contains(char::is_whitespace))
}

fn access_hash(ait: &Ait, token: &str) -> String {
    let jti: Id = ait.jti();
    sha256(&[ait.agent().as_str().as_bytes(), b"|", jti.to_string().as_bytes(), b"|", token.as_bytes()])
}

#[cfg(test)]
mod tests;
