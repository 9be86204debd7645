//! What the functions cost: instructions, calls, bytes, memory, time and money, against budgets and a baseline.
//!
//! `cargo xtask bench` builds the functions and calls this. Each function runs unchanged, as Lambda would run it, against
//! a Runtime API and an AWS on the loopback; callgrind counts its instructions. `docs/budgets.md` has the results.
#![expect(clippy::print_stdout, reason = "a command line tells people what it does")]

mod aws;
mod baseline;
mod callgrind;
mod events;
mod figures;
mod function;
mod loads;
mod lone_receipt;
mod measure;
mod plot;
mod price;
mod report;
mod runtime_api;
mod scale;
mod suite;
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;

use acceptance::stack::STACK_VARIABLE;
use clap::Parser;

use crate::function::Workshop;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures the functions.
#[derive(Parser)]
struct Arguments {
    /// The folder with their programs, as released.
    #[arg(long)]
    programs: PathBuf,
    /// Their names.
    #[arg(long, value_delimiter = ',')]
    functions: Vec<String>,
    /// Where intermediate files may go.
    #[arg(long)]
    scratch: PathBuf,
    /// Where to write all figures as JSON.
    #[arg(long)]
    json: PathBuf,
    /// Fail if a figure exceeds its ceiling, or its baseline by more than 5 %.
    #[arg(long)]
    gate: bool,
    /// Make the counted figures the baseline, and say what has moved.
    #[arg(long)]
    record: bool,
    /// Leave callgrind's profile of these events (receipt, refusal, consumer, handshake, heartbeat), and measure nothing.
    #[arg(long)]
    profile: Option<String>,
    /// Measure how the cost of a receipt depends on how many there are, and draw it.
    #[arg(long)]
    scale: bool,
}

impl Arguments {
    /// Whether it makes no sense without instructions.
    const fn needs_counts(&self) -> bool {
        self.gate || self.record || self.scale || self.profile.is_some()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let valgrind = callgrind::version();
    match &valgrind {
        Some(valgrind) => println!("instructions by callgrind of {valgrind}"),
        None if arguments.needs_counts() => {
            return Err("valgrind is missing: its callgrind counts the instructions".into());
        }
        None => println!("valgrind is missing: instructions are not counted"),
    }
    let before = baseline::read()?;
    if arguments.gate && before.is_empty() {
        return Err(format!(
            "there is no baseline for {}: record one on a commit that is as it should be, with --record",
            std::env::consts::ARCH
        )
        .into());
    }
    std::fs::create_dir_all(&arguments.scratch)?;
    let workshop =
        Workshop { programs: arguments.programs, scratch: arguments.scratch, counts: valgrind.is_some() };
    if let Some(events) = &arguments.profile {
        let profile = loads::profile(&workshop, events).await?;
        println!("callgrind_annotate {}", profile.display());
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.scale {
        let series = scale::run(&workshop).await?;
        print!("{}", scale::table(&series));
        plot::write(&series)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut measured = suite::run(&workshop, &arguments.functions).await?;
    if std::env::var_os(STACK_VARIABLE).is_some() {
        measured.figures.extend(lone_receipt::figures().await?);
    }
    print!("{}", report::text(&measured, &before));
    std::fs::write(&arguments.json, report::json(&measured)?)?;
    if arguments.record {
        baseline::write(&measured.figures)?;
        println!("\nthe baseline is recorded: commit it with the change that it is about");
        let moved = baseline::moved(&measured.figures, &before);
        if !moved.is_empty() {
            println!("moved by more than 1 %, each for a reason that the commit should give:");
            println!("  {}", moved.join("\n  "));
        }
    }
    if arguments.gate {
        let objections = baseline::objections(&measured.figures, &before);
        if !objections.is_empty() {
            println!("\nnot within the budgets:\n  {}", objections.join("\n  "));
            return Ok(ExitCode::FAILURE);
        }
        println!("\nall within the budgets");
    }
    Ok(ExitCode::SUCCESS)
}
