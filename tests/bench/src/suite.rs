//! The budgets, one after the other: each is measured here and compared with what it may be.

mod main_path;
mod memory;
mod off_main_path;
mod programs;
mod starts;

use crate::Result;
use crate::events::Cast;
use crate::figures::{Figure, Kind, Unit, number};
use crate::function::Workshop;
use crate::loads::{BATCH, Loads};
use crate::measure::{LongRun, PerEvent, processor_time};
use crate::price::{Billed, Position, Prices, total};

/// What the others are compared with.
pub(crate) const HELLO: &str = "hello";
/// Agents who take turns where memory is measured: as many as there are events, so that each event is of a new one, and
/// what is remembered of each would grow.
const AGENTS: usize = memory::WARM_UP + memory::EVENTS;

/// All that was measured.
pub(crate) struct Measured {
    pub(crate) figures: Vec<Figure>,
    pub(crate) bills: Vec<Bill>,
}

/// What something costs, position by position.
pub(crate) struct Bill {
    pub(crate) of: &'static str,
    pub(crate) positions: Vec<Position>,
}

/// Measures everything that needs no stack. `functions` are all there are.
pub(crate) async fn run(workshop: &Workshop, functions: &[String]) -> Result<Measured> {
    let cast = Cast::of(AGENTS)?;
    let loads = Loads::new(&cast, 1);
    let mut figures = programs::sizes(workshop, functions)?;
    figures.extend(starts::times(workshop, &cast, functions).await?);
    if workshop.counts {
        figures.extend(starts::instructions(workshop, &cast, functions).await?);
        figures.extend(starts::first_calls(workshop, &cast, &loads).await?);
        figures.extend(main_path::refusals(workshop, &cast).await?);
    }
    let (main_path, more) = main_path::measure(workshop, &cast, &loads).await?;
    figures.extend(more);
    figures.extend(off_main_path::measure(workshop, &cast, &loads).await?);
    let (memory, more) = memory::measure(workshop, &cast).await?;
    figures.extend(more);

    let lone_message = Billed {
        per_event: main_path.lone_message,
        processor: processor_time(workshop, &cast, &loads.lone_message()).await?,
    };
    let connect = Billed {
        per_event: main_path.connect,
        processor: processor_time(workshop, &cast, &loads.connect()).await?,
    };
    let billed = |per_event: PerEvent, run: &LongRun| Billed { per_event, processor: run.processor };
    let receipt = billed(main_path.receipt, &memory.receipt);
    let consumer = billed(main_path.consumer, &memory.consumer);
    let heartbeat = billed(main_path.heartbeat, &memory.heartbeat);
    let authorizer = billed(main_path.handshake, &memory.handshake);
    let prices = Prices::read()?;
    let bills = vec![
        Bill {
            of: "a million receipts, in batches of 10",
            positions: prices.million_receipts(&receipt, &consumer, number(BATCH.try_into()?)),
        },
        Bill {
            of: "a million receipts, each in a batch of its own",
            positions: prices.million_receipts(&receipt, &lone_message, 1.0),
        },
        Bill {
            of: "an idle connection for a month",
            positions: prices.idle_connection(&heartbeat, &authorizer, &connect),
        },
    ];
    figures.extend(price_figures(&bills));
    Ok(Measured { figures, bills })
}

/// P11.
fn price_figures(bills: &[Bill]) -> Vec<Figure> {
    let ids = ["P11 receipts", "P11 lone receipts", "P11 idle"];
    let figures = ids.into_iter().zip(bills).map(|(id, bill)| {
        let figure = Figure::counted(id, bill.of, total(&bill.positions), Unit::Dollars);
        // The others have no budget.
        if id == "P11 receipts" {
            figure.of_kind(Kind::Bounded).within(5.1).aiming_at(4.6)
        } else {
            figure.of_kind(Kind::Read)
        }
    });
    figures.collect()
}
