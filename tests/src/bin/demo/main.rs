//! The demo: two agents, two receipts, a duplicate, a forgery and a revocation, each hop with its time.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

mod report;
mod story;
mod webhook;

use std::error::Error;
use std::process::ExitCode;

use self::report::Report;
use self::story::Story;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut report = Report::default();
    if let Err(problem) = tell(&mut report).await {
        report.check(&with_causes(problem.as_ref()), false);
    }
    report.finish()
}

async fn tell(report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut story = Story::begin().await?;
    story.delivered(report).await?;
    story.duplicate(report).await?;
    story.dead_lettered(report).await?;
    story.forgery(report).await?;
    story.balance(report).await?;
    story.revoked(report).await
}

fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
