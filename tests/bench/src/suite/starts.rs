//! P1 to P3: from the start of a process to its first event, and its first call.

use super::HELLO;
use crate::Result;
use crate::aws::{Aws, Scene};
use crate::events::Cast;
use crate::figures::{Figure, Kind, Unit};
use crate::function::Workshop;
use crate::loads::Loads;
use crate::measure::{Expected, Load, start_times, whole_process};

/// What a function's start may cost: instructions until its first event, and what would be good (budget P2).
const STARTS: [(&str, f64, f64); 5] = [
    ("authorizer", 1.4e6, 0.9e6),
    ("connection", 1.4e6, 0.9e6),
    ("consumer", 2.0e6, 1.4e6),
    ("receipt", 2.0e6, 1.2e6),
    ("registry-events", 1.4e6, 0.9e6),
];

fn with_hello(functions: &[String]) -> Vec<String> {
    [HELLO.to_owned()].into_iter().chain(functions.iter().cloned()).collect()
}

/// P1.
pub(super) async fn times(workshop: &Workshop, cast: &Cast, functions: &[String]) -> Result<Vec<Figure>> {
    let all = with_hello(functions);
    let times = start_times(workshop, cast, &all).await?;
    let what = "time until the first event, to hello";
    let figures = all.iter().zip(&times).map(|(name, time)| {
        let ratio = time.as_secs_f64() / times[0].as_secs_f64();
        let figure = Figure::counted(format!("P1 {name}"), what, ratio, Unit::Ratio).of_kind(Kind::Read);
        if name == "receipt" { figure.within(1.5).aiming_at(1.2) } else { figure }
    });
    Ok(figures.collect())
}

/// P2.
pub(super) async fn instructions(
    workshop: &Workshop,
    cast: &Cast,
    functions: &[String],
) -> Result<Vec<Figure>> {
    let aws = Aws::start(Scene::default(), &cast.keys, &workshop.scratch).await?;
    let no_event = |_| String::new();
    let mut figures = Vec::new();
    let mut hello = None;
    for name in with_hello(functions) {
        let load = Load::new(&name, &no_event, Expected::Batch);
        let process = whole_process(workshop, &load, &aws, 0).await?.has_called(&[])?;
        let what = "instructions until the first event";
        let Some(figure) = Figure::instructions(format!("P2 {name}"), what, process.instructions()) else {
            continue;
        };
        let Some(hello) = hello else {
            hello = Some(figure.value);
            figures.push(figure.of_kind(Kind::Read));
            continue;
        };
        let (_, ceiling, stretch) = STARTS
            .iter()
            .find(|(known, ..)| *known == name)
            .ok_or_else(|| format!("{name} has no budget for its start: give it one in starts.rs"))?;
        figures.push(figure.within(*ceiling).aiming_at(*stretch).beside_hello(hello));
    }
    Ok(figures)
}

/// P3: whole processes that begin with TLS.
pub(super) async fn first_calls(workshop: &Workshop, cast: &Cast, loads: &Loads<'_>) -> Result<Vec<Figure>> {
    let scene = Scene { over_tls: true, ..Scene::default() };
    let mut aws = Aws::start(scene, &cast.keys, &workshop.scratch).await?;
    // A closing is answered in the same way whatever becomes of its call.
    let one_call = whole_process(workshop, &loads.closing(), &aws, 1).await?;
    let one_call = one_call.has_called(&[("UpdateItem", 1)])?;
    let receipt = whole_process(workshop, &loads.receipt(), &aws, 1).await?;
    let consumer = whole_process(workshop, &loads.consumer(), &aws, 1).await?;
    // The stub is not Amazon's: the roots that are compiled in are read, and refuse it.
    aws.bundle = None;
    let refused = whole_process(workshop, &loads.closing(), &aws, 1).await?.has_called(&[])?;
    let of = |subject: &str, what, value| Figure::instructions(format!("P3 {subject}"), what, value);
    let figures = [
        of("first call", "a process with one HTTPS call", one_call.instructions())
            .map(|figure| figure.within(8e6).aiming_at(5e6)),
        of("stranger", "the same call, refused for its certificate", refused.instructions()),
        of("receipt", "a process with one receipt posted", receipt.instructions()),
        // How many connections it opens depends on how soon each is free again: runs of one program differ by 4.5 %.
        of("consumer", "a process with one batch of 10 pushed", consumer.instructions())
            .map(|figure| figure.of_kind(Kind::Bounded).within(60e6)),
    ];
    Ok(figures.into_iter().flatten().collect())
}
