//! Senders' connectors: they connect, live, leave and come back.

use backbone::connection::ConnectionRef;
use backbone::did::AgentDid;
use backbone::metrics::Tally;
use backbone::session::{connect, disconnect};

use crate::executor::Sim;
use crate::invocation::{Function, Invocation};
use crate::planted::Planted;
use crate::sessions::Dialler;
use crate::sockets::{SOCKET_LIFE_MS, SocketState};
use crate::world::{BEGIN_MS, World};

/// How long a socket counts as live without more evidence, in milliseconds: API Gateway's limit and five minutes.
const LEASE_MS: u64 = SOCKET_LIFE_MS + 5 * 60 * 1_000;

/// What a connector is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// It leaves in the calm: the second connector of an agent.
    pub(crate) is_second: bool,
    /// Longest life of a socket while the faults last, in milliseconds.
    pub(crate) life_ms: u64,
    /// Longest time offline, in milliseconds.
    pub(crate) away_ms: u64,
}

/// One socket of a script. Times are seconds since the run began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) from_s: u64,
    pub(crate) until_s: u64,
    /// Whether its end is.
    pub(crate) is_announced: bool,
}

/// Plays the sockets of a script.
pub(crate) async fn visit(sim: Sim, agent: AgentDid, visits: &'static [Visit]) {
    let mut dialler = Dialler::of(&sim, agent);
    for visit in visits {
        let pause_ms = (BEGIN_MS + visit.from_s * 1_000).saturating_sub(sim.now_ms());
        sim.sleep(pause_ms).await;
        let Some(connection) = open(&sim, &mut dialler).await else { continue };
        let id = connection.connection_id.clone();
        let until_ms = BEGIN_MS + visit.until_s * 1_000;
        sim.wait_until(until_ms, |world| world.sockets.is(&id, SocketState::Closed).then_some(())).await;
        sim.with(|world| world.end_socket(&id));
        if visit.is_announced {
            announce_end(&sim, connection);
        }
    }
}

/// Plays the sockets of a script, and comes back when the faults have stopped.
pub(crate) async fn visit_and_return(sim: Sim, agent: AgentDid, visits: &'static [Visit]) {
    visit(sim.clone(), agent.clone(), visits).await;
    let habits = Habits { is_second: false, life_ms: SOCKET_LIFE_MS, away_ms: SOCKET_LIFE_MS };
    live(sim, agent, habits).await;
}

/// One connector of one agent, for ever.
pub(crate) async fn live(sim: Sim, agent: AgentDid, habits: Habits) {
    let mut dialler = Dialler::of(&sim, agent);
    stay_away(&sim, habits).await;
    loop {
        if habits.is_second && sim.with(|world| world.calm) {
            return;
        }
        if let Some(connection) = open(&sim, &mut dialler).await {
            stay(&sim, &connection, habits).await;
            announce_end(&sim, connection);
            stay_away(&sim, habits).await;
        } else {
            let back_off_ms = sim.with(|world| world.rng.between(2_000, 15_000));
            sim.sleep(back_off_ms).await;
        }
    }
}

/// A handshake. The socket is open only when `$connect` has returned.
async fn open(sim: &Sim, dialler: &mut Dialler) -> Option<ConnectionRef> {
    let mut connection = dialler.dial(sim);
    if !dialler.is_let_in(sim, &mut connection).await {
        sim.with(|world| world.end_socket(&connection.connection_id));
        return None;
    }
    let bug = sim.with(|world| world.bug);
    let invocation = Invocation::begin(sim, Function::Connection);
    let tally = Tally::default();
    let outside = Planted { inner: &invocation, bug };
    let answer = invocation.run(&tally, connect(&outside, &connection, LEASE_MS, "handshake", &tally)).await;
    let is_open = matches!(answer, Some(Ok(())));
    if !is_open {
        sim.with(|world| {
            world.note(|| match &answer {
                Some(Err(refusal)) => format!("{} is refused: {refusal}", connection.connection_id),
                Some(Ok(())) | None => format!("{} gets no answer", connection.connection_id),
            });
            world.end_socket(&connection.connection_id);
        });
        return None;
    }
    let opening_ms = sim.with(|world| world.rng.between(0, 500));
    sim.sleep(opening_ms).await;
    sim.with(|world| {
        world.note(|| format!("{} is open", connection.connection_id));
        world.check_opening(&connection.agent, &connection.connection_id);
        world.sockets.set(&connection.connection_id, SocketState::Open);
    });
    Some(connection)
}

/// Stays until the socket is closed, or its time is over.
async fn stay(sim: &Sim, connection: &ConnectionRef, habits: Habits) {
    let longest_ms = sim.now_ms() + SOCKET_LIFE_MS;
    let planned_ms = sim.with(|world| world.now_ms() + world.rng.between(1_000, habits.life_ms));
    let id = connection.connection_id.clone();
    let ended = sim.wait_until(planned_ms, |world| end(world, &id, habits)).await;
    if ended.is_none() && sim.with(|world| world.calm) {
        sim.wait_until(longest_ms, |world| end(world, &id, habits)).await;
    }
    sim.with(|world| {
        world.note(|| format!("{id} ends"));
        world.end_socket(&id);
    });
}

fn end(world: &World, connection_id: &str, habits: Habits) -> Option<()> {
    let leaves = world.calm && habits.is_second;
    (leaves || world.sockets.is(connection_id, SocketState::Closed)).then_some(())
}

/// `$disconnect`, which may be late or not come at all.
fn announce_end(sim: &Sim, connection: ConnectionRef) {
    if sim.with(|world| world.chance(world.profile.silent_ends)) {
        return;
    }
    let task = {
        let sim = sim.clone();
        async move {
            let delay_ms = sim.with(|world| world.rng.between(5, 500));
            sim.sleep(delay_ms).await;
            let bug = sim.with(|world| world.bug);
            let invocation = Invocation::begin(&sim, Function::Connection);
            let outside = Planted { inner: &invocation, bug };
            let tally = Tally::default();
            let _ = invocation.run(&tally, disconnect(&outside, &connection)).await;
        }
    };
    sim.spawn(task);
}

/// Away until it has had enough of it; in the calm, only for a moment.
async fn stay_away(sim: &Sim, habits: Habits) {
    let until_ms = sim.with(|world| world.now_ms() + world.rng.between(500, habits.away_ms));
    sim.wait_until(until_ms, |world| world.calm.then_some(())).await;
    let moment_ms = sim.with(|world| world.rng.between(500, 3_000));
    sim.sleep(moment_ms).await;
}
