//! Whether a session lives: what the registry says to its access token, or has said (contract 5.9, steps 15 and 16).

use std::fmt;

use super::access_memory::{AccessOutage, HeldYes};
use super::{AuthRefusal, StaleBehavior};
use crate::did::AgentDid;
use crate::error_chain::ErrorChain;
use crate::id::Id;
use crate::limits::ACCESS_TAKE_BACK_MS;
use crate::metrics::{Metric, Tally};
use crate::stores::{AccessAnswer, AccessStore, Clock, Registry};

/// An access token, and what is known of it.
#[derive(Clone, Copy)]
pub struct AccessQuestion<'a> {
    /// Whose it is.
    pub agent: &'a AgentDid,
    /// The id of the identity token that came with it.
    pub ait_jti: Id,
    /// The token itself.
    pub token: &'a str,
    /// Its hash, by which a yes is remembered.
    pub hash: &'a str,
    /// When the registry said yes to it, in milliseconds since the Unix epoch, if that stands.
    pub accepted_at_ms: Option<u64>,
}

/// The token is a secret.
impl fmt::Debug for AccessQuestion<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AccessQuestion")
            .field("agent", &self.agent)
            .field("accepted_at_ms", &self.accepted_at_ms)
            .finish_non_exhaustive()
    }
}

/// Asks the registry about an access token unless it said yes a short while ago and nobody has taken that back.
///
/// # Errors
///
/// An [`AuthRefusal`]: the registry's no, or no answer of it that an earlier yes could stand in for.
pub async fn check_access<O>(
    outside: &O,
    outage: &AccessOutage,
    stale: StaleBehavior,
    question: &AccessQuestion<'_>,
    tally: &Tally,
) -> Result<(), AuthRefusal>
where
    O: AccessStore + Registry + Clock,
{
    let AccessQuestion { agent, ait_jti, token, hash, accepted_at_ms } = *question;
    let now_ms = outside.now_ms();
    let held = HeldYes::of(accepted_at_ms, now_ms);
    if held == HeldYes::Fresh {
        return Ok(());
    }
    let may_bridge = held == HeldYes::ForOutage && stale == StaleBehavior::FailOpen;
    if may_bridge && outage.is_recent(now_ms) {
        tally.count(Metric::RegistryStale);
        return Ok(());
    }
    match outside.check_access(agent, ait_jti, token).await {
        Ok(AccessAnswer::Accepted) => {
            if let Err(error) = outside.remember_access(agent, hash, now_ms).await {
                // The row only spares the next request a question: without it that asks.
                tracing::warn!("a yes of the registry was not kept: {}", ErrorChain(&error));
            }
            Ok(())
        }
        Ok(AccessAnswer::Refused) => {
            if let Some(accepted_at_ms) = accepted_at_ms {
                // It must not bridge an outage that begins now.
                let until_ms = outside.now_ms().saturating_add(ACCESS_TAKE_BACK_MS);
                outside.take_back_access(agent, hash, accepted_at_ms, until_ms).await?;
            }
            Err(AuthRefusal::AccessInvalid)
        }
        Err(error) => {
            outage.note(now_ms);
            if !may_bridge {
                return Err(AuthRefusal::AccessUnknown(error));
            }
            tracing::warn!("an earlier yes stands in for the registry: {}", ErrorChain(&error));
            tally.count(Metric::RegistryStale);
            Ok(())
        }
    }
}
