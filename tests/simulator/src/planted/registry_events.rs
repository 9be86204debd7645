//! Bugs of `registry-events`.

use std::collections::{BTreeSet, HashSet};

use backbone::connection::ConnectionRow;
use backbone::delivery::QueuedMessage;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::limits::ACCESS_OUTAGE_MS;
use backbone::stores::{
    AccessAnswer, AccessStore, ConnectionPages, ConnectionStore, CrlSnapshot, EventQueue, EventSent,
    LiveAgents, Registry, RememberedYes, Revoking, StoreError, TrustChanges, TrustStore,
};
use backbone::trust::{PairSide, RegistryRows, TrustAnswer, TrustQuestion};

use super::{Bug, Planted};
use crate::invocation::{Function, Invocation};
use crate::operation::Operation;
use crate::world::World;

/// How long a handler with [`Bug::ConnectionIsReadFirst`] takes from one thing to the other, in milliseconds.
const SLOW_MS: u64 = 2_000;

/// How long after its time a yes that was taken back stands again with [`Bug::YesComesBack`], in milliseconds.
const COMES_BACK_AFTER_MS: u64 = 60_000;

/// An event as the handler is told of it, which is not always as it is.
pub(crate) fn event_as_told(bug: Option<Bug>, event: &QueuedMessage) -> QueuedMessage {
    let mut told = event.clone();
    if bug == Some(Bug::EventTimeIsIgnored) {
        told.body = told.body.replace("timestampUtc", "unread");
    }
    told
}

impl EventQueue for Planted<'_> {
    async fn send_events(
        &self,
        bodies: &[String],
        correlation_id: &str,
    ) -> Result<Vec<EventSent>, StoreError> {
        self.inner.send_events(bodies, correlation_id).await
    }
}

impl TrustStore for Planted<'_> {
    async fn trust(&self, question: &TrustQuestion) -> Result<TrustAnswer, StoreError> {
        let mut answer = self.inner.trust(question).await?;
        if self.has(Bug::YesComesBack) && answer.access_accepted_at_ms.is_none() {
            answer.access_accepted_at_ms = self.inner.taken_back_long_ago(question);
        }
        Ok(answer)
    }

    async fn agent_revoked(&self, agent: &AgentDid) -> Result<bool, StoreError> {
        Ok(self.inner.agent_revoked(agent).await? && !self.has(Bug::ConnectIgnoresRevocation))
    }

    async fn registry_rows(&self) -> Result<RegistryRows, StoreError> {
        self.inner.registry_rows().await
    }
}

impl TrustChanges for Planted<'_> {
    async fn revoke_agent(&self, agent: &AgentDid, reason: Option<&str>) -> Result<Revoking, StoreError> {
        if self.has(Bug::RevocationIsNotWritten) {
            return Ok(Revoking::New);
        }
        if self.has(Bug::ConnectionIsReadFirst) {
            let row = self.inner.connection(agent).await?;
            self.inner.sim.with(|world| world.seen_before.insert(agent.clone(), row));
            self.inner.sim.sleep(SLOW_MS).await;
        }
        self.inner.revoke_agent(agent, reason).await
    }

    async fn revoke_token(&self, jti: Id, agent: &AgentDid) -> Result<(), StoreError> {
        self.inner.revoke_token(jti, agent).await
    }

    async fn revoked_tokens(&self, jtis: &[Id]) -> Result<HashSet<Id>, StoreError> {
        self.inner.revoked_tokens(jtis).await
    }

    async fn revoked_agents(&self, agents: &[AgentDid]) -> Result<BTreeSet<AgentDid>, StoreError> {
        self.inner.revoked_agents(agents).await
    }

    async fn keep_keys(&self, body: &str, at_ms: u64) -> Result<(), StoreError> {
        self.inner.keep_keys(body, at_ms).await
    }

    async fn keep_crl_snapshot(&self, snapshot: &CrlSnapshot) -> Result<(), StoreError> {
        self.inner.keep_crl_snapshot(snapshot).await
    }

    async fn keep_pair(&self, one: &PairSide, other: &PairSide) -> Result<(), StoreError> {
        self.inner.keep_pair(one, other).await
    }
}

impl AccessStore for Planted<'_> {
    async fn remember_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
    ) -> Result<(), StoreError> {
        self.inner.remember_access(agent, access_hash, accepted_at_ms).await
    }

    async fn take_back_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
        until_ms: u64,
    ) -> Result<(), StoreError> {
        if self.has(Bug::YesLeavesNothing) {
            let (agent, access_hash) = (agent.clone(), access_hash.to_owned());
            let forget = move |world: &mut World| {
                world.let_in_by(&agent, accepted_at_ms, until_ms);
                world.tables.access.entry(agent).or_default().remove(&access_hash);
                Ok(())
            };
            return self.inner.call(Operation::TakeBackAccess, forget).await;
        }
        // What the handler was told of a yes is not what its row says.
        let is_misread = self.has(Bug::NextSessionIsCutToo);
        let stored_ms = is_misread.then(|| self.inner.accepted_at_ms(agent, access_hash)).flatten();
        let accepted_at_ms = stored_ms.unwrap_or(accepted_at_ms);
        self.inner.take_back_access(agent, access_hash, accepted_at_ms, until_ms).await
    }

    async fn remembered_access(&self, agent: &AgentDid) -> Result<Vec<RememberedYes>, StoreError> {
        let mut yeses = self.inner.remembered_access(agent).await?;
        if self.has(Bug::NextSessionIsCutToo) {
            for yes in &mut yeses {
                yes.accepted_at_ms = 0;
            }
        }
        Ok(yeses)
    }
}

impl Invocation {
    /// The yes to an access token, if it was taken back some time ago and would be good for an outage.
    fn taken_back_long_ago(&self, question: &TrustQuestion) -> Option<u64> {
        self.sim.with(|world| {
            let now_ms = world.now_ms();
            let yes = world.tables.access.get(&question.agent)?.get(question.access_hash.as_ref()?)?;
            let is_long_ago = yes.is_taken_back && yes.until_ms + COMES_BACK_AFTER_MS < now_ms;
            let is_good = now_ms < yes.accepted_at_ms + ACCESS_OUTAGE_MS;
            (is_long_ago && is_good).then_some(yes.accepted_at_ms)
        })
    }

    /// When the registry said a yes, as its row says it.
    fn accepted_at_ms(&self, agent: &AgentDid, access_hash: &str) -> Option<u64> {
        self.sim.with(|world| Some(world.tables.access.get(agent)?.get(access_hash)?.accepted_at_ms))
    }
}

impl Registry for Planted<'_> {
    async fn fetch_keys(&self) -> Result<String, StoreError> {
        self.inner.fetch_keys().await
    }

    async fn fetch_crl(&self) -> Result<Option<String>, StoreError> {
        if self.has(Bug::ListIsIgnored) {
            return Ok(None);
        }
        self.inner.fetch_crl().await
    }

    async fn check_access(
        &self,
        agent: &AgentDid,
        ait_jti: Id,
        access_token: &str,
    ) -> Result<AccessAnswer, StoreError> {
        self.inner.check_access(agent, ait_jti, access_token).await
    }
}

impl ConnectionPages for Planted<'_> {
    async fn live_agents(&self, after: Option<&AgentDid>) -> Result<LiveAgents, StoreError> {
        self.inner.live_agents(after).await
    }
}

impl Planted<'_> {
    /// The row as it was before the revocation, where a bug looks then.
    pub(super) fn seen_before(&self, agent: &AgentDid) -> Option<ConnectionRow> {
        let is_read_first =
            self.has(Bug::ConnectionIsReadFirst) && self.inner.function == Function::RegistryEvents;
        is_read_first.then(|| self.inner.sim.with(|world| world.seen_before.remove(agent))).flatten()
    }
}
