//! Why a command ended, in the words of the one who has to do something about it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// How much of a log is worth showing.
const LOG_LINES_SHOWN: usize = 25;

/// What went wrong, what was written about it, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    step: Option<String>,
    reason: String,
    log: Option<PathBuf>,
    remedy: Option<String>,
}

impl Failure {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { step: None, reason: reason.into(), log: None, remedy: None }
    }

    /// A failed system call while doing `what`.
    pub(crate) fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(format!("{what}: {error}"))
    }

    /// The file whose end says more.
    pub(crate) fn with_log(self, log: &Path) -> Self {
        Self { log: Some(log.to_owned()), ..self }
    }

    /// What to do about it. The first remedy, given closest to the fault, stays.
    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        let remedy = self.remedy.unwrap_or_else(|| remedy.into());
        Self { remedy: Some(remedy), ..self }
    }

    /// The step it happened in. The innermost stays.
    pub(crate) fn in_step(self, step: &str) -> Self {
        let step = self.step.unwrap_or_else(|| step.to_owned());
        Self { step: Some(step), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            writeln!(f, "failed: {step}")?;
        }
        writeln!(f, "   why: {}", self.reason)?;
        if let Some(log) = &self.log {
            let text = fs::read(log).unwrap_or_default();
            let tail = last_lines(&String::from_utf8_lossy(&text));
            writeln!(f, "   log: {}\n{tail}", log.display())?;
        }
        if let Some(remedy) = &self.remedy {
            writeln!(f, "  then: {remedy}")?;
        }
        Ok(())
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LOG_LINES_SHOWN);
    lines[skipped..].iter().map(|line| format!("        | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_step_and_the_first_remedy_stay() {
        let failure =
            Failure::new("no").with_remedy("near").in_step("inner").with_remedy("far").in_step("outer");
        let shown = failure.to_string();
        assert!(shown.contains("failed: inner"), "{shown}");
        assert!(shown.contains("then: near"), "{shown}");
    }

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        let lines: Vec<String> = (0..100).map(|line| format!("line {line}.")).collect();
        let shown = last_lines(&lines.join("\n\n"));
        assert!(!shown.contains("line 74."), "{shown}");
        assert!(shown.contains("line 75.") && shown.contains("line 99."), "{shown}");
    }
}
