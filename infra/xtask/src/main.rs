//! `cargo xtask`: everything one does with the stack on one machine.
#![expect(clippy::print_stdout, reason = "a command line tells people what it does")]

mod acceptance;
mod bench;
mod cargo;
mod demo;
mod deployment;
mod docs;
mod failure;
mod local_http;
mod ministack;
mod origin_secret;
mod package;
mod ports;
mod processes;
mod python_tools;
mod run_directory;
mod sam_build;
mod services;
mod simulate;
mod stack;
mod steps;
mod test_suite;
mod up;
mod validate;
mod workspace;

use std::env;
use std::process::ExitCode;

use failure::Failure;

const USAGE: &str = "\
Usage: cargo xtask <command>

  demo      start the stack, show a receipt on its way, stop the stack
  test      format, lints, template, then every test on the stack with IAM enforced
            --long  the endurance tests with 10,000 receipts, 100 kills and 100,000 held (many minutes)
  simulate  --from S --seeds N: the receipt path in virtual time; shows the trace of a seed that fails, or is alone; --trace: of all
  bench     what the functions cost, as they are released, and a lone receipt on the stack; valgrind counts instructions
            --gate      fail above a ceiling, or 5 % above the recorded figures; without the stack
            --record    make these the recorded figures
            --scale     what a receipt costs, however many there are; draws docs/scale.svg
            --profile E leave callgrind's profile of one kind of events
  up        start the stack and keep it running until Ctrl-C
  acceptance --stack <name> [--proxy-url <url>] [--yes]
            the end-to-end suite against a deployed stack, with the AWS credentials of your environment or profile
  package   build the functions for AWS (arm64) and check their size
  validate  check template.yaml
  docs      write the pages that come from the template and the contracts
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let command: Box<dyn Fn() -> Result<(), Failure>> =
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["demo"] => Box::new(demo::run),
            ["test"] => Box::new(test_suite::run),
            ["test", "--long"] => Box::new(test_suite::run_long),
            ["simulate", ..] => Box::new(|| simulate::run(&arguments[1..])),
            ["bench", ..] => Box::new(|| bench::run(&arguments[1..])),
            ["up"] => Box::new(up::run),
            ["acceptance", "--stack", stack, ..] => {
                let stack = stack.to_owned();
                let rest = arguments[3..].to_vec();
                Box::new(move || acceptance::run(&stack, &rest))
            }
            ["package"] => Box::new(package::run),
            ["validate"] => Box::new(validate::run),
            ["docs"] => Box::new(docs::run),
            ["help" | "--help" | "-h"] => {
                print!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprint!("{USAGE}");
                return ExitCode::from(2);
            }
        };

    // Dropped on every way out of here, a panic included; a signal is handled beside it.
    let _children = processes::StopOnDrop;
    if let Err(failure) = processes::stop_on_signals().and_then(|()| command()) {
        processes::park_if_stopping();
        eprintln!("\n{failure}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
