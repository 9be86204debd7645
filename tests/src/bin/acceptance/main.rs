//! The end-to-end suite against a deployed stack, with ordinary AWS credentials.
//!
//! It makes its own agents and a pair, and removes them afterwards, whatever happens in between. `cargo xtask
//! acceptance` looks the stack's outputs up and starts it; docs/acceptance.md says what it settles.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]

mod checks;
mod deployment;
mod identities;
mod report;
mod rows;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use self::deployment::Deployment;
use self::identities::TemporaryRegistry;
use self::report::Report;
use self::rows::Rows;

/// Run the end-to-end suite against a deployed stack
#[derive(Parser)]
struct Arguments {
    /// The stack's outputs, as `sam list stack-outputs --output json` prints them
    #[arg(long)]
    outputs: PathBuf,
    /// The proxy's URL, where the stack has no front door of its own
    #[arg(long)]
    proxy_url: Option<String>,
    /// Also where the stack is production
    #[arg(long)]
    yes: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Box::pin(run(&Arguments::parse())).await {
        Ok(report) => report.finish(),
        Err(problem) => {
            eprintln!("{}", with_causes(problem.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Report, Box<dyn Error>> {
    let deployment = Deployment::read(&arguments.outputs, arguments.proxy_url.as_deref()).await?;
    if deployment.is_production() && !arguments.yes {
        return Err("this stack is production; say --yes to run against it all the same".into());
    }
    println!("{} at {}", deployment.environment, deployment.proxy_url);
    let registry = TemporaryRegistry::new(&deployment.registry_url)?;
    let [sender, recipient] = ["sender", "recipient"].map(|name| registry.issue(name));
    let rows = Rows::new(&deployment, &registry, [sender.clone(), recipient.clone()]);

    let mut report = Report::default();
    let outcome = tokio::select! {
        outcome = checked(&deployment, &rows, &mut report) => outcome,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err("interrupted".into())
        }
    };
    // Whatever came of it, and also what was made only in part.
    println!("\nremoving what was made");
    rows.remove().await?;
    outcome?;
    Ok(report)
}

async fn checked(
    deployment: &Deployment,
    rows: &Rows<'_>,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    println!("making two agents, and a pair of them");
    rows.make().await?;
    tokio::select! {
        outcome = checks::run(deployment, rows, report) => outcome,
        // Ends only by failing.
        failed = rows.keep_fresh() => failed.map_err(Into::into),
    }
}

fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
