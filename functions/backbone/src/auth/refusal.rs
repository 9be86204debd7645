//! Why somebody was not let in, and what they are told.

use super::{AitError, ProofError, RegistryUnknown};
use crate::did::AgentDid;
use crate::error_code::ErrorCode;
use crate::stores::StoreError;

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthRefusal {
    /// It came around the front door.
    #[error("request did not come through the front door")]
    Direct,
    /// No `Authorization` header.
    #[error("no authorization header")]
    MissingToken,
    /// Another scheme than `Claw`.
    #[error("authorization is not of the form `Claw <token>`")]
    InvalidScheme,
    /// The registry's keys or revocation list are not to be had.
    #[error("the registry's word is not to be had")]
    RegistryUnknown(#[source] RegistryUnknown),
    /// A store did not answer.
    #[error("a store did not answer")]
    Store(#[from] StoreError),
    /// The registry did not answer about the access token.
    #[error("the registry did not answer about the access token")]
    AccessUnknown(#[source] StoreError),
    /// The agent identity token does not hold.
    #[error(transparent)]
    Ait(#[from] AitError),
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The nonce was used before.
    #[error("nonce was used before")]
    Replay,
    /// The agent is revoked.
    #[error("agent is revoked")]
    AgentRevoked,
    /// The agent's token is revoked.
    #[error("agent identity token is revoked")]
    AitRevoked,
    /// The agent has no pair here.
    #[error("agent {0} has no pair on this proxy")]
    Unknown(AgentDid),
    /// No access token.
    #[error("no access token")]
    AccessRequired,
    /// The registry does not accept the access token.
    #[error("access token refused by the registry")]
    AccessInvalid,
    /// Too many requests.
    #[error("too many requests of agent {agent}")]
    RateLimited {
        /// Whose.
        agent: AgentDid,
        /// When to come back, in seconds.
        retry_after_s: u64,
    },
}

impl AuthRefusal {
    /// What the caller is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Direct => ErrorCode::DirectForbidden,
            Self::MissingToken => ErrorCode::AuthMissingToken,
            Self::InvalidScheme => ErrorCode::AuthInvalidScheme,
            Self::RegistryUnknown(_) | Self::Store(_) | Self::AccessUnknown(_) => {
                ErrorCode::AuthDependencyUnavailable
            }
            Self::Ait(_) => ErrorCode::AuthInvalidAit,
            Self::Proof(ProofError::Timestamp) => ErrorCode::AuthInvalidTimestamp,
            Self::Proof(ProofError::Nonce) => ErrorCode::AuthInvalidNonce,
            Self::Proof(ProofError::Skew { .. }) => ErrorCode::AuthTimestampSkew,
            Self::Proof(ProofError::Missing | ProofError::BodyHash | ProofError::Signature) => {
                ErrorCode::AuthInvalidProof
            }
            Self::Replay => ErrorCode::AuthReplay,
            Self::AgentRevoked | Self::AitRevoked => ErrorCode::AuthRevoked,
            Self::Unknown(_) => ErrorCode::AuthForbidden,
            Self::AccessRequired => ErrorCode::AgentAccessRequired,
            Self::AccessInvalid => ErrorCode::AgentAccessInvalid,
            Self::RateLimited { .. } => ErrorCode::RateLimitExceeded,
        }
    }
}
