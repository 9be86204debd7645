//! What a program prints of the checks that it makes.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to people")]

use std::process::ExitCode;

/// Counts checks, and remembers those that failed.
#[derive(Debug, Default)]
pub struct Report {
    checks: u32,
    failed: Vec<String>,
}

impl Report {
    /// Prints and counts one check.
    pub fn check(&mut self, what: &str, holds: bool) {
        self.checks += 1;
        println!("  {}  {what}", if holds { "ok    " } else { "FAILED" });
        if !holds {
            self.failed.push(what.to_owned());
        }
    }

    /// Prints the sum; success if every check held.
    #[must_use]
    pub fn finish(self) -> ExitCode {
        if self.failed.is_empty() {
            println!("\nAll {} checks hold.", self.checks);
            return ExitCode::SUCCESS;
        }
        eprintln!("\n{} of {} checks failed:", self.failed.len(), self.checks);
        for what in self.failed {
            eprintln!("  {what}");
        }
        ExitCode::FAILURE
    }
}
