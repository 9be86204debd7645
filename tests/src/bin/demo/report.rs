//! What the demo prints.

use std::process::ExitCode;
use std::time::Duration;

/// Counts checks, and remembers those that failed.
#[derive(Default)]
pub(crate) struct Report {
    checks: u32,
    failed: Vec<String>,
}

/// Something that happened on a receipt's way, so long after its POST.
pub(crate) struct Hop {
    pub(crate) after: Duration,
    pub(crate) what: String,
}

/// A new part of the story.
pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

/// Something worth knowing.
pub(crate) fn line(text: &str) {
    println!("  {text}");
}

/// Hops in the order they happened.
pub(crate) fn hops(mut hops: Vec<Hop>) {
    hops.sort_by_key(|hop| hop.after);
    for hop in hops {
        println!("  {:>5} ms  {}", hop.after.as_millis(), hop.what);
    }
}

impl Report {
    pub(crate) fn check(&mut self, what: &str, holds: bool) {
        self.checks += 1;
        println!("  {}  {what}", if holds { "ok    " } else { "FAILED" });
        if !holds {
            self.failed.push(what.to_owned());
        }
    }

    pub(crate) fn finish(self) -> ExitCode {
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
