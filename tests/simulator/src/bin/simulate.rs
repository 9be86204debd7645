//! Runs seeds and shows the first one that breaks an invariant.
#![expect(clippy::print_stdout, reason = "a command line speaks on standard output")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use simulator::{Bug, run_seed};

/// Simulate the receipt path.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds. One alone is shown with its trace.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// Show the trace of every run.
    #[arg(long)]
    trace: bool,
    /// Plant a bug, to see that it is found.
    #[arg(long)]
    bug: Option<Bug>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let traced = arguments.trace || arguments.seeds == 1;
    let mut excused = BTreeMap::new();
    let (mut accepted, mut announced, mut operations) = (0, 0, 0);
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        let mut report = run_seed(seed, arguments.bug, traced);
        if !report.violations.is_empty() && !traced {
            report = run_seed(seed, arguments.bug, true);
        }
        for line in &report.trace {
            println!("{line}");
        }
        accepted += report.accepted;
        announced += report.announced;
        operations += report.operations;
        for (why, times) in report.excused {
            *excused.entry(why).or_insert(0) += times;
        }
        if !report.violations.is_empty() {
            for violation in &report.violations {
                println!("{violation}");
            }
            println!("replay with: cargo run -p simulator --bin simulate -- --from {seed} --seeds 1");
            return ExitCode::FAILURE;
        }
    }
    println!(
        "{} seeds hold: {accepted} receipts accepted, {announced} system deliveries announced, {operations} operations, \
         excused: {excused:?}",
        arguments.seeds
    );
    ExitCode::SUCCESS
}
