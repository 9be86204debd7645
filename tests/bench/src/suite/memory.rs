//! P4: memory at the start, and what becomes of it.

use crate::Result;
use crate::events::Cast;
use crate::figures::{Figure, Kind, Unit, number};
use crate::function::Workshop;
use crate::loads::Loads;
use crate::measure::{LongRun, long_run};

use super::AGENTS;

/// Events before memory is looked at, and those over which it may not grow.
pub(super) const WARM_UP: usize = 1_000;
pub(super) const EVENTS: usize = 10_000;

/// The long runs, which have measured time, too.
pub(super) struct Memory {
    pub(super) receipt: LongRun,
    pub(super) consumer: LongRun,
    pub(super) heartbeat: LongRun,
    pub(super) handshake: LongRun,
}

/// The events are of all agents in turn: what is remembered of each would grow.
pub(super) async fn measure(workshop: &Workshop, cast: &Cast) -> Result<(Memory, Vec<Figure>)> {
    let loads = Loads::new(cast, AGENTS);
    let memory = Memory {
        receipt: long_run(workshop, cast, &loads.receipt(), WARM_UP, EVENTS).await?,
        consumer: long_run(workshop, cast, &loads.consumer(), WARM_UP, EVENTS).await?,
        heartbeat: long_run(workshop, cast, &loads.heartbeat(), WARM_UP, EVENTS).await?,
        handshake: long_run(workshop, cast, &loads.handshake(), WARM_UP, EVENTS).await?,
    };
    let revocation = long_run(workshop, cast, &loads.revocation(), WARM_UP, EVENTS).await?;
    let figures = [
        ("receipt", &memory.receipt),
        ("consumer", &memory.consumer),
        ("connection", &memory.heartbeat),
        ("authorizer", &memory.handshake),
        ("registry-events", &revocation),
    ];
    let figures = figures.into_iter().flat_map(|(name, run)| memory_figures(name, run)).collect();
    Ok((memory, figures))
}

fn memory_figures(name: &str, run: &LongRun) -> [Figure; 3] {
    let kilobytes = |id, what, value| Figure::counted(id, what, number(value), Unit::Kilobytes);
    let ms = run.elapsed.as_secs_f64() * 1e3;
    [
        kilobytes(format!("P4 {name}"), "memory at the first event", run.at_start_kb)
            .of_kind(Kind::Bounded)
            .within(6_500.0)
            .aiming_at(5_000.0),
        kilobytes(format!("P4 {name} growth"), "over 10,000 events of 11,000 agents", run.growth_kb)
            .of_kind(Kind::Bounded)
            .within(256.0)
            .aiming_at(0.0),
        Figure::counted(
            format!("time {name}"),
            "from event to answer, AWS at no distance",
            ms,
            Unit::Milliseconds,
        )
        .of_kind(Kind::Read),
    ]
}
