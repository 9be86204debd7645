//! Sessions at the registry: who needs one to be let in, how one ends, and that nothing is left of it.

use backbone::auth::{AccessOutage, AccessQuestion, AuthRefusal, StaleBehavior, check_access};
use backbone::connection::ConnectionRef;
use backbone::delivery::QueuedMessage;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::limits::{ACCESS_OUTAGE_MS, AUTHORIZER_MS_MAX, CLOCKS_APART_MS, EVENT_TIME_EARLY_MS_MAX};
use backbone::metrics::Tally;
use backbone::stores::{AccessStore, Clock, RememberedYes, StoreError, TrustStore};
use backbone::trust::TrustQuestion;
use serde_json::Value;

use crate::executor::Sim;
use crate::invocation::{Function, Invocation};
use crate::ledger::Invariant;
use crate::operation::Operation;
use crate::planted::Planted;
use crate::sockets::SocketState;
use crate::world::{BEGIN_MS, World};

/// Of a thousand authorizers so many take about as long as they may.
const SLOW_AUTHORIZERS: u64 = 300;

/// The access token of an agent's session of this number, which is its own hash here.
pub(crate) fn token(session: u64) -> String {
    format!("session {session}")
}

/// Whoever dials in an agent's name.
pub(crate) struct Dialler {
    pub(crate) agent: AgentDid,
    session: u64,
    outage: AccessOutage,
}

impl Dialler {
    pub(crate) fn of(sim: &Sim, agent: AgentDid) -> Self {
        let session = sim.with(|world| world.registry.session(&agent));
        Self { agent, session, outage: AccessOutage::default() }
    }

    /// Begins a handshake.
    pub(crate) fn dial(&self, sim: &Sim) -> ConnectionRef {
        sim.with(|world| {
            let now_ms = world.now_ms();
            let connection = world.sockets.begin(&self.agent, self.session, now_ms);
            world.note(|| format!("{} dials in session {}", connection.connection_id, self.session));
            connection
        })
    }

    /// What the authorizer says, as far as that depends on the session. Who is refused for it begins another.
    pub(crate) async fn is_let_in(&mut self, sim: &Sim, connection: &mut ConnectionRef) -> bool {
        let (is_asked, bug) = sim.with(|world| (world.profile.session_ends, world.bug));
        if !is_asked {
            return true;
        }
        let invocation = Invocation::begin(sim, Function::Authorizer);
        let outside = Planted { inner: &invocation, bug };
        let tally = Tally::default();
        let authorizing = async {
            let answer = self.authorize(&outside, &tally).await;
            // The nonce and the rate, which are in the agent's own partition, take their time too.
            let left_ms = invocation.time_left_ms();
            let rest_ms = sim.with(|world| {
                if world.chance(SLOW_AUTHORIZERS) { world.rng.between(left_ms / 2, left_ms) } else { 0 }
            });
            sim.sleep(rest_ms).await;
            answer
        };
        let Some(answer) = invocation.run(&tally, authorizing).await else { return false };
        if let Err(refusal) = &answer {
            sim.with(|world| world.note(|| format!("{} is not let in: {refusal}", self.agent)));
            if matches!(refusal, AuthRefusal::AccessInvalid) {
                self.session = sim.with(|world| world.registry.session(&self.agent));
            }
        }
        let pause_ms = sim.with(|world| {
            if world.rng.chance(500) {
                let now_ms = world.now_ms();
                world.sockets.begin_later(connection, now_ms);
            }
            world.rng.between(1, 200)
        });
        sim.sleep(pause_ms).await;
        answer.is_ok()
    }

    async fn authorize(&self, outside: &Planted<'_>, tally: &Tally) -> Result<(), AuthRefusal> {
        let (token, ait_jti) = (token(self.session), Id::derive(BEGIN_MS, &["token", self.agent.as_str()]));
        let (agent, access_hash) = (self.agent.clone(), Some(token.clone()));
        let trust = outside.trust(&TrustQuestion { agent, ait_jti, pair: None, access_hash }).await?;
        let accepted_at_ms = trust.access_accepted_at_ms;
        let question =
            AccessQuestion { agent: &self.agent, ait_jti, token: &token, hash: &token, accepted_at_ms };
        check_access(outside, &self.outage, StaleBehavior::FailOpen, &question, tally).await
    }
}

impl AccessStore for Invocation {
    async fn remember_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
    ) -> Result<(), StoreError> {
        let (agent, who) = (agent.clone(), self.name());
        let yes = RememberedYes {
            access_hash: access_hash.to_owned(),
            accepted_at_ms,
            until_ms: (accepted_at_ms + ACCESS_OUTAGE_MS) / 1_000 * 1_000,
            is_taken_back: false,
        };
        self.call(Operation::RememberAccess, move |world| {
            world.note(|| format!("{who}: a yes to {}", yes.access_hash));
            world.tables.access.entry(agent).or_default().insert(yes.access_hash.clone(), yes);
            Ok(())
        })
        .await
    }

    async fn take_back_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
        until_ms: u64,
    ) -> Result<(), StoreError> {
        let (agent, who) = (agent.clone(), self.name());
        let access_hash = access_hash.to_owned();
        self.call(Operation::TakeBackAccess, move |world| {
            world.note(|| format!("{who}: the yes to {access_hash} is taken back"));
            world.let_in_by(&agent, accepted_at_ms, until_ms);
            let yes = RememberedYes { access_hash, accepted_at_ms, until_ms, is_taken_back: true };
            world.tables.access.entry(agent).or_default().insert(yes.access_hash.clone(), yes);
            Ok(())
        })
        .await
    }

    async fn remembered_access(&self, agent: &AgentDid) -> Result<Vec<RememberedYes>, StoreError> {
        let (agent, now_ms) = (agent.clone(), self.begun_ms);
        self.call(Operation::RememberedAccess, move |world| {
            let yeses: Vec<_> =
                world.tables.access.get(&agent).into_iter().flat_map(|of| of.values().cloned()).collect();
            for over in yeses.iter().filter(|yes| yes.is_taken_back || yes.until_ms <= now_ms) {
                world.let_in_by(&agent, over.accepted_at_ms, over.until_ms);
            }
            Ok(yeses)
        })
        .await
    }
}

/// Ends an agent's session at the registry, which tells of it; in the middle of a handshake, if there is to be one and one
/// comes soon.
pub(crate) async fn end(sim: Sim, agent: AgentDid, after_ms: u64, in_handshake: bool) {
    sim.sleep(after_ms).await;
    if in_handshake {
        let until_ms = sim.now_ms() + 120_000;
        sim.wait_until(until_ms, |world| world.sockets.is_opening(&agent).then_some(())).await;
    }
    let (event, delay_ms) = sim.with(|world| {
        world.note(|| format!("{agent} loses its session"));
        // The registry's clock may be behind, and far ahead.
        let said_ms = match world.rng.below(10) {
            0 => world.now_ms() - world.rng.between(0, EVENT_TIME_EARLY_MS_MAX / 2),
            1 => world.now_ms() + world.rng.between(0, 3_600_000),
            _ => world.now_ms(),
        };
        (world.registry.end_session(&agent, said_ms), world.rng.between(0, 1_000))
    });
    sim.sleep(delay_ms).await;
    sim.with(|world| world.put_event(event));
}

/// The session that an event has ended.
fn ended_session(event: &str) -> Option<u64> {
    let event: Value = serde_json::from_str(event).ok()?;
    event["data"]["metadata"]["session"].as_u64()
}

impl World {
    /// An authorizer that has begun by then may have read a yes; one to a session that has ended, if it is from before that.
    pub(crate) fn let_in_by(&mut self, agent: &AgentDid, accepted_at_ms: u64, until_ms: u64) {
        let ended_ms = self.ledger.session_ends.get(agent);
        if ended_ms.is_some_and(|ended_ms| accepted_at_ms < ended_ms + CLOCKS_APART_MS) {
            self.let_in_until(agent, until_ms);
        }
    }

    fn let_in_until(&mut self, agent: &AgentDid, until_ms: u64) {
        let latest_ms = self.ledger.let_in_until_ms.entry(agent.clone()).or_default();
        *latest_ms = until_ms.max(*latest_ms);
    }

    /// An event that ends a session of an agent was received. It says that the session has ended at `said_ms`.
    pub(crate) fn note_session_end(&mut self, agent: &AgentDid, event: &QueuedMessage, said_ms: Option<u64>) {
        let over_by_ms = said_ms.map_or(u64::MAX, |said_ms| said_ms + EVENT_TIME_EARLY_MS_MAX);
        let latest_ms = self.ledger.session_ends.entry(agent.clone()).or_default();
        *latest_ms = event.sent_ms.min(over_by_ms).max(*latest_ms);
        self.let_in_until(agent, event.first_seen_ms.min(over_by_ms));
    }

    /// Whether a socket may have been opened on a session that has ended, as far as that could be known.
    pub(crate) fn may_be_of_ended_session(&self, agent: &AgentDid, connection_id: &str) -> bool {
        let until_ms = self.ledger.let_in_until_ms.get(agent);
        let origin = self.sockets.origin(connection_id);
        origin
            .zip(until_ms)
            .is_some_and(|((_, connected_ms), until_ms)| connected_ms <= until_ms + AUTHORIZER_MS_MAX)
    }

    /// The event that ended a session has left its queue: no socket of that opens any more.
    pub(crate) fn note_session_done(&mut self, agent: &AgentDid, event: &str) {
        let Some(ended) = ended_session(event) else { return };
        let done = self.ledger.sessions_done.entry(agent.clone()).or_default();
        *done = ended.max(*done);
    }

    /// A socket opens.
    pub(crate) fn check_opening(&mut self, agent: &AgentDid, connection_id: &str) {
        let done = self.ledger.sessions_done.get(agent).copied();
        let origin = self
            .sockets
            .origin(connection_id)
            .filter(|_| self.sockets.is(connection_id, SocketState::Opening));
        if origin.zip(done).is_some_and(|((session, _), done)| session <= done) {
            let what = format!("{connection_id} opens although the event was handled");
            self.violated(Invariant::EndedIsCut, what);
        }
    }

    /// The event that ended a session left its queue some time ago: the agent's newest socket is of a later one.
    pub(crate) fn check_session_ended(&mut self, agent: &AgentDid, event: &str) {
        let newest = self.newest.get(agent).filter(|id| self.sockets.is(id, SocketState::Open));
        let Some((connection_id, ended)) = newest.cloned().zip(ended_session(event)) else { return };
        if self.sockets.origin(&connection_id).is_some_and(|(session, _)| session <= ended) {
            let what = format!("{connection_id} is open although the event was handled");
            self.violated(Invariant::EndedIsCut, what);
        }
    }

    /// In the calm every event was handled: nobody's newest socket is of a session that has ended.
    pub(crate) fn check_ended_sessions(&mut self) {
        let open = self.newest.iter().filter(|(_, id)| self.sockets.is(id, SocketState::Open));
        let is_old = |(agent, id): &(&AgentDid, &String)| {
            let origin = self.sockets.origin(id);
            origin.is_some_and(|(session, _)| session < self.registry.session(agent))
        };
        let old: Vec<String> = open.filter(is_old).map(|(_, id)| id.clone()).collect();
        for connection_id in old {
            self.violated(Invariant::EndedIsCut, format!("{connection_id} is still open"));
        }
    }
}
