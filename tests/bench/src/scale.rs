//! Whether a receipt costs the same, however many others there are.

use std::fmt::Write as _;

use crate::Result;
use crate::aws::Scene;
use crate::events::Cast;
use crate::figures::{Unit, number, show};
use crate::function::Workshop;
use crate::loads::BATCH;
use crate::measure::{Expected, Load, per_event};

/// One dependency: what grows, and what a receipt then costs.
pub(crate) struct Series {
    pub(crate) what: &'static str,
    pub(crate) points: Vec<Point>,
}

/// One measurement, per receipt.
pub(crate) struct Point {
    pub(crate) how_many: usize,
    pub(crate) instructions: f64,
    pub(crate) aws_calls: f64,
    pub(crate) bytes_sent: f64,
}

/// All dependencies.
pub(crate) async fn run(workshop: &Workshop) -> Result<Vec<Series>> {
    let cast = Cast::of(1_000)?;
    let agents: [usize; 4] = [1, 10, 100, 1_000];
    let mut posted = Vec::new();
    let mut pushed = Vec::new();
    for agents in agents {
        let event = |number: usize| cast.post(number % agents);
        let load = Load::new("receipt", &event, Expected::Status(202));
        posted.push(point(workshop, &cast, &load, agents, 1).await?);
        // Every batch is for other senders, until all have had one.
        let event = |number: usize| cast.batch(BATCH, number * BATCH % agents, BATCH.min(agents));
        let load = Load::new("consumer", &event, Expected::Batch);
        pushed.push(point(workshop, &cast, &load, agents, BATCH).await?);
    }
    let mut sizes = Vec::new();
    for size in [1, 2, 5, 10] {
        let event = |_| cast.batch(size, 0, size);
        let load = Load::new("consumer", &event, Expected::Batch);
        sizes.push(point(workshop, &cast, &load, size, size).await?);
    }
    let mut waiting = Vec::new();
    for held in [0, 100, 10_000, 100_000] {
        let event = |_| cast.batch(BATCH, 0, 1);
        let load = Load::new("consumer", &event, Expected::Batch).in_scene(Scene {
            away: true,
            held,
            ..Scene::default()
        });
        waiting.push(point(workshop, &cast, &load, held, BATCH).await?);
    }
    Ok(vec![
        Series { what: "posting, by agents that take turns", points: posted },
        Series { what: "pushing in batches of 10, by senders that take turns", points: pushed },
        Series { what: "pushing, by the size of the batch", points: sizes },
        Series { what: "keeping for a sender who is away, by receipts held already", points: waiting },
    ])
}

async fn point(
    workshop: &Workshop,
    cast: &Cast,
    load: &Load<'_>,
    how_many: usize,
    receipts_per_event: usize,
) -> Result<Point> {
    let measured = per_event(workshop, cast, load).await?;
    let receipts = number(receipts_per_event.try_into()?);
    Ok(Point {
        how_many,
        instructions: measured.instructions.ok_or("nothing was counted")? / receipts,
        aws_calls: measured.aws_calls() / receipts,
        bytes_sent: measured.sum(|calls| calls.bytes_sent) / receipts,
    })
}

/// The series as a table of Markdown.
pub(crate) fn table(series: &[Series]) -> String {
    let mut text = String::from(
        "| what grows | how many | instructions | AWS calls | bytes to AWS |\n|---|---|---|---|---|\n",
    );
    for Series { what, points } in series {
        for point in points {
            let instructions = show(point.instructions, Unit::Instructions);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| {what} | {} | {instructions} | {:.2} | {:.0} |",
                point.how_many, point.aws_calls, point.bytes_sent
            );
        }
    }
    text
}
