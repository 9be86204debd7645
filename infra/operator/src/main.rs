//! The operators' command line. Wiring only; what it does is in the library.

use std::io::Write;
use std::process::ExitCode;

use backbone::error_chain::ErrorChain;
use clap::Parser;
use operator::Arguments;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "this is a command line")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wants_json = arguments.wants_json();
    match Box::pin(operator::run(arguments)).await {
        Ok(answer) => {
            let text = if wants_json { format!("{:#}", answer.json) } else { answer.text };
            // A reader that has seen enough, such as `head`, is no failure.
            let _ = writeln!(std::io::stdout(), "{text}");
            answer.exit.into()
        }
        Err(failure) => {
            eprintln!("{}", ErrorChain(&failure));
            failure.exit().into()
        }
    }
}
