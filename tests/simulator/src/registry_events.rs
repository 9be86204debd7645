//! `registry-events`: Lambda's poller of the events queue, and the schedule.

use backbone::auth::Issuer;
use backbone::delivery::{QueuedMessage, Verdict};
use backbone::did::AgentDid;
use backbone::events::{EventSettings, handle_events};
use backbone::metrics::{Metric, Tally};
use backbone::reconcile::RegistryWatch;
use backbone::registry_event::RegistryEvent;
use backbone::stores::SourceQueue;

use crate::event_source::{receive, wait_for_a_message};
use crate::executor::Sim;
use crate::invocation::{Function, Invocation};
use crate::ledger::Invariant;
use crate::planted::{self, Bug, Planted};
use crate::queue::Content;
use crate::registry::{ORIGIN, RegistryModel};
use crate::sockets::SocketState;
use crate::world::World;

const SETTINGS: EventSettings = EventSettings { retention_s: 604_800 };
/// How often the schedule has the registry asked, in milliseconds.
const RECONCILE_EVERY_MS: u64 = 300_000;
/// The same in the calm, where nothing is new: it takes most of the time of a run.
const RECONCILE_IN_CALM_EVERY_MS: u64 = 1_200_000;
/// Every handshake that was under way when an event was handled has ended so long after it, in milliseconds.
const HANDSHAKES_OVER_MS: u64 = 20_000;

fn watch() -> RegistryWatch {
    RegistryWatch::new(Issuer::parse(ORIGIN).expect("it is an origin"))
}

/// Polls the events queue for ever.
pub(crate) async fn poll(sim: Sim) {
    let watch = watch();
    loop {
        wait_for_a_message(&sim, SourceQueue::Events).await;
        let batch = sim.with(|world| receive(world, SourceQueue::Events));
        if !batch.is_empty() {
            handle(&sim, &watch, &batch).await;
        }
    }
}

async fn handle(sim: &Sim, watch: &RegistryWatch, batch: &[QueuedMessage]) {
    let bug = sim.with(|world| world.bug);
    sim.with(|world| note_session_ends(world, batch));
    let invocation = Invocation::begin(sim, Function::RegistryEvents);
    let outside = Planted { inner: &invocation, bug };
    let tally = Tally::default();
    let told: Vec<_> = batch.iter().map(|event| planted::event_as_told(bug, event)).collect();
    let handled = handle_events(&outside, watch, SETTINGS, &told, &tally);
    let Some(mut verdicts) = invocation.run(&tally, handled).await else { return };
    let has_failed = invocation.has_failed();
    // A socket that was only opening is a reason of its own to look again.
    let is_opening = tally.of(Metric::CutRetried) > 0;
    match bug {
        Some(Bug::FailedEventIsDeleted) if has_failed => verdicts.fill(Verdict::Done),
        Some(Bug::EventIsSeenOnce) if !has_failed && !is_opening => verdicts.fill(Verdict::Done),
        Some(_) | None => {}
    }
    sim.with(|world| {
        for (event, verdict) in batch.iter().zip(verdicts) {
            if verdict == Verdict::Done && !world.chance(world.profile.not_deleted) {
                delete(world, event);
            }
        }
        world.schedule.changed();
    });
}

fn note_session_ends(world: &mut World, batch: &[QueuedMessage]) {
    for event in batch {
        let parsed = RegistryEvent::parse(&event.body, "registry.test");
        if let Ok(RegistryEvent::SessionEnded { agent, at_ms }) = parsed {
            world.note_session_end(&agent, event, at_ms);
        }
    }
}

/// An event has left the queue for good: its agent's newest socket is closed, or will not open (a fence, not a flag).
fn delete(world: &mut World, event: &QueuedMessage) {
    let Some(deleted) = world.events.delete(&event.receipt_handle) else { return };
    let Content::Event(body) = deleted.content else { return };
    match RegistryEvent::parse(&body, "registry.test") {
        Ok(RegistryEvent::AgentRevoked(agent)) => {
            world.schedule.happen_in(HANDSHAKES_OVER_MS, move |world| check_cut(world, &agent));
        }
        // The one that was sent instead is to be looked at.
        Ok(RegistryEvent::SessionEnded { .. })
            if world.ledger.begun_anew.contains(&body) && is_kept(world, &body) => {}
        Ok(RegistryEvent::SessionEnded { agent, .. }) => {
            world.note_session_done(&agent, &body);
            world.schedule.happen_in(HANDSHAKES_OVER_MS, move |world| {
                world.check_session_ended(&agent, &body);
            });
        }
        Ok(_) => {}
        Err(_) => {
            if !world.events.dead.iter().any(|dead| dead.content.is_event(&body)) {
                world.violated(Invariant::NothingIsLost, format!("{} was dropped", deleted.id));
            }
        }
    }
}

/// Whether an event is on its queue or among the dead letters.
fn is_kept(world: &World, body: &str) -> bool {
    let mut kept = world.events.contents().chain(world.events.dead.iter().map(|dead| &dead.content));
    kept.any(|content| content.is_event(body))
}

fn check_cut(world: &mut World, agent: &AgentDid) {
    let newest = world.newest.get(agent).cloned();
    if let Some(connection_id) = newest.filter(|id| world.sockets.is(id, SocketState::Open)) {
        let what = format!("{connection_id} is open although the event was handled");
        world.violated(Invariant::RevokedIsCut, what);
    }
}

/// The schedule, for ever. A failed round is followed by the next.
pub(crate) async fn reconcile(sim: Sim) {
    let watch = watch();
    loop {
        let is_calm = sim.with(|world| world.calm);
        sim.sleep(if is_calm { RECONCILE_IN_CALM_EVERY_MS } else { RECONCILE_EVERY_MS }).await;
        let bug = sim.with(|world| world.bug);
        let invocation = Invocation::begin(&sim, Function::RegistryEvents);
        let outside = Planted { inner: &invocation, bug };
        let tally = Tally::default();
        let _ = invocation.run(&tally, watch.reconcile(&outside, &tally)).await;
    }
}

/// Revokes an agent at the registry, which tells of it unless the event is lost.
pub(crate) async fn revoke(sim: Sim, agent: AgentDid, after_ms: u64, is_told: bool) {
    sim.sleep(after_ms).await;
    if sim.with(|world| world.rng.chance(500)) {
        // In the middle of a handshake, if there is one soon.
        let until_ms = sim.now_ms() + 120_000;
        sim.wait_until(until_ms, |world| world.sockets.is_opening(&agent).then_some(())).await;
    }
    sim.with(|world| {
        let now_ms = world.now_ms();
        world.note(|| {
            format!("{agent} is revoked, and {}", if is_told { "we are told" } else { "nobody hears" })
        });
        world.registry.revoked.insert(agent.clone(), now_ms);
        if is_told {
            world.put_event(RegistryModel::revoked_event(&agent));
        }
    });
}

/// At the end: an agent that is revoked at the registry has no socket, and its revocation is in the table.
pub(crate) fn check_revoked(world: &mut World) {
    let agents: Vec<AgentDid> = world.registry.revoked.keys().cloned().collect();
    for agent in agents {
        let open: Vec<String> = world.sockets.open_of(&agent).map(str::to_owned).collect();
        for connection_id in open {
            world.violated(Invariant::RevokedIsCut, format!("{connection_id} is still open"));
        }
        if !world.tables.revoked.contains_key(&agent) {
            world.violated(Invariant::RevokedIsCut, format!("nobody here has heard that {agent} is revoked"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::executor::Executor;
    use crate::faults::{Fate, Profile};
    use crate::rng::Rng;
    use crate::world::{BEGIN_MS, Forced};

    /// A round that begins when its invocation is `begun_ms` old, in which the registry does not answer the first question:
    /// whether it was a failure, and what it has counted.
    fn round(begun_ms: u64) -> (bool, [u64; 2]) {
        let mut world = World::new(Rng::new(1), Profile::clean(), None, false);
        world.forced = Some(Forced { number: 1, fate: Fate::HangsBefore });
        let sim = Sim::new(world);
        let ended = Arc::new(Mutex::new(None));
        let (task, note) = (sim.clone(), Arc::clone(&ended));
        sim.spawn(async move {
            let invocation = Invocation::begin(&task, Function::RegistryEvents);
            task.sleep(begun_ms).await;
            let (watch, tally) = (watch(), Tally::default());
            let failed = watch.reconcile(&invocation, &tally).await.is_err();
            let counted = [Metric::ReconcileFailed, Metric::ReconcileCutShort].map(|metric| tally.of(metric));
            *note.lock().unwrap() = Some((failed, counted));
        });
        Executor::new(sim).run_until(BEGIN_MS + 120_000);
        let ended = ended.lock().unwrap().take();
        ended.expect("a round ends with its invocation")
    }

    #[test]
    fn a_round_whose_time_ends_during_a_call_is_cut_short_and_has_not_failed() {
        let (failed, [failures, cut_short]) = round(55_000);
        assert!(!failed && failures == 0 && cut_short == 3, "{failed} {failures} {cut_short}");
        assert_eq!(round(0), (true, [1, 0]), "with time left it is the registry's failure");
    }
}
