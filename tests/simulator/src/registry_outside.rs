//! What `registry-events` asks and changes, over the simulated world.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::stores::{
    AccessAnswer, ConnectionPages, CrlSnapshot, EventQueue, EventSent, LiveAgents, Registry, Revoking,
    StoreError, TrustChanges,
};
use backbone::trust::PairSide;

use crate::invocation::Invocation;
use crate::operation::Operation;
use crate::sessions;

/// Agents on one page of the connections: few, so that there are several pages.
const PAGE: usize = 2;

impl EventQueue for Invocation {
    async fn send_events(
        &self,
        bodies: &[String],
        _correlation_id: &str,
    ) -> Result<Vec<EventSent>, StoreError> {
        let (bodies, who) = (bodies.to_vec(), self.name());
        self.call(Operation::Send, move |world| {
            let sent = vec![EventSent::Durable; bodies.len()];
            for body in bodies {
                world.note(|| format!("{who}: an event begins anew"));
                world.ledger.begun_anew.insert(body.clone());
                world.put_event(body);
            }
            Ok(sent)
        })
        .await
    }
}

impl TrustChanges for Invocation {
    async fn revoke_agent(&self, agent: &AgentDid, _reason: Option<&str>) -> Result<Revoking, StoreError> {
        let (agent, who) = (agent.clone(), self.name());
        self.call(Operation::RevokeAgent, move |world| {
            let now_ms = world.now_ms();
            world.note(|| format!("{who}: revoke {agent}"));
            let is_known = world.tables.revoked.contains_key(&agent);
            world.tables.revoked.entry(agent).or_insert(now_ms);
            Ok(if is_known { Revoking::Known } else { Revoking::New })
        })
        .await
    }

    async fn revoke_token(&self, jti: Id, _agent: &AgentDid) -> Result<(), StoreError> {
        self.call(Operation::RevokeToken, move |world| {
            world.tables.revoked_tokens.insert(jti);
            Ok(())
        })
        .await
    }

    async fn revoked_tokens(&self, jtis: &[Id]) -> Result<HashSet<Id>, StoreError> {
        let jtis = jtis.to_vec();
        self.call(Operation::RevokedRows, move |world| {
            Ok(jtis.into_iter().filter(|jti| world.tables.revoked_tokens.contains(jti)).collect())
        })
        .await
    }

    async fn revoked_agents(&self, agents: &[AgentDid]) -> Result<BTreeSet<AgentDid>, StoreError> {
        let agents = agents.to_vec();
        self.call(Operation::RevokedRows, move |world| {
            Ok(agents.into_iter().filter(|agent| world.tables.revoked.contains_key(agent)).collect())
        })
        .await
    }

    async fn keep_keys(&self, body: &str, at_ms: u64) -> Result<(), StoreError> {
        let body = body.to_owned();
        self.call(Operation::KeepRegistry, move |world| {
            world.tables.registry.keys = Some(body);
            world.tables.registry.keys_at_ms = at_ms;
            Ok(())
        })
        .await
    }

    async fn keep_crl_snapshot(&self, snapshot: &CrlSnapshot) -> Result<(), StoreError> {
        let snapshot = snapshot.clone();
        self.call(Operation::KeepRegistry, move |world| {
            world.tables.registry.crl_at_ms = Some(snapshot.fetched_at_ms);
            world.tables.registry.crl_hash = Some(snapshot.hash);
            Ok(())
        })
        .await
    }

    async fn keep_pair(&self, one: &PairSide, _other: &PairSide) -> Result<(), StoreError> {
        unreachable!("no simulated event pairs: {one:?}")
    }
}

impl Registry for Invocation {
    async fn fetch_keys(&self) -> Result<String, StoreError> {
        self.call(Operation::AskRegistry, move |world| Ok(world.registry.keys())).await
    }

    async fn fetch_crl(&self) -> Result<Option<String>, StoreError> {
        self.call(Operation::AskRegistry, move |world| {
            let now_ms = world.now_ms();
            Ok(world.registry.crl(now_ms))
        })
        .await
    }

    async fn check_access(
        &self,
        agent: &AgentDid,
        _ait_jti: Id,
        access_token: &str,
    ) -> Result<AccessAnswer, StoreError> {
        let (agent, token) = (agent.clone(), access_token.to_owned());
        self.call(Operation::CheckAccess, move |world| {
            let lives = token == sessions::token(world.registry.session(&agent));
            Ok(if lives { AccessAnswer::Accepted } else { AccessAnswer::Refused })
        })
        .await
    }
}

impl ConnectionPages for Invocation {
    async fn live_agents(&self, after: Option<&AgentDid>) -> Result<LiveAgents, StoreError> {
        let after = after.cloned();
        self.call(Operation::LiveAgents, move |world| {
            let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = world.tables.connections.range((begin, Bound::Unbounded));
            let page: Vec<_> = rows.take(PAGE).collect();
            let next = page.last().filter(|_| page.len() == PAGE).map(|(agent, _)| (*agent).clone());
            let live = page.into_iter().filter(|(_, row)| row.live.is_some());
            Ok(LiveAgents { agents: live.map(|(agent, _)| agent.clone()).collect(), next })
        })
        .await
    }
}
