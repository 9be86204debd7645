//! The identity registry.

use std::future::Future;

use crate::did::AgentDid;
use crate::id::Id;
use crate::stores::StoreError;

/// The registry's word on an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused token must not get through"]
pub enum AccessAnswer {
    /// The session is alive and the token its own.
    Accepted,
    /// It is not.
    Refused,
}

/// The identity registry.
pub trait Registry {
    /// The body of its key set.
    fn fetch_keys(&self) -> impl Future<Output = Result<String, StoreError>> + Send;
    /// The body of its revocation list, `None` while it has none.
    fn fetch_crl(&self) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;
    /// Asks about an access token.
    fn check_access(
        &self,
        agent: &AgentDid,
        ait_jti: Id,
        access_token: &str,
    ) -> impl Future<Output = Result<AccessAnswer, StoreError>> + Send;
}
