//! `operator`: looks into a running deployment, and changes what is an operator's to change.
//!
//! It calls AWS with the credentials and the Region in its environment (`AWS_REGION`, `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`); `aws configure export-credentials --format env` writes those of a
//! profile. It exits with 0 if what was asked for is so now, with 1 if that is not known, and with 2 if the question was
//! not understood.

mod trust;

use std::process::ExitCode;

use backbone::error_chain::ErrorChain;
use clap::{Parser, Subcommand};

/// Looks into a running deployment, and changes what is an operator's to change.
#[derive(Debug, Parser)]
#[command(name = "operator", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

/// What it is about.
#[derive(Debug, Subcommand)]
enum Subject {
    /// Who may speak to whom, and who may not speak at all.
    Trust(trust::Arguments),
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().subject {
        Subject::Trust(arguments) => trust::run(arguments).await,
    };
    match outcome {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", ErrorChain(&error));
            ExitCode::FAILURE
        }
    }
}
