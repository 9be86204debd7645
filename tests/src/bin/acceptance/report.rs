//! What the run prints: each check, and what only a real account could settle.

use std::process::ExitCode;

/// The checks, and the questions that were answered on the way.
#[derive(Default)]
pub(crate) struct Report {
    checks: acceptance::report::Report,
    settled: Vec<String>,
}

/// A new part of the run.
pub(crate) fn part(name: &str) {
    println!("\n{name}");
}

impl Report {
    /// `seen` is what was there instead, if it does not hold.
    pub(crate) fn check(&mut self, what: &str, holds: bool, seen: &str) {
        if holds {
            self.checks.check(what, true);
        } else {
            self.checks.check(&format!("{what}: {seen}"), false);
        }
    }

    /// An answer to a question that the local stack cannot answer.
    pub(crate) fn settle(&mut self, question: &str, answer: &str) {
        self.settled.push(format!("{question}: {answer}"));
    }

    pub(crate) fn finish(self) -> ExitCode {
        part("Of what only a real account can settle, this run saw");
        for answer in &self.settled {
            println!("  {answer}");
        }
        self.checks.finish()
    }
}
