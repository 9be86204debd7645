//! What callgrind writes, as far as it is read here.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::function::Instructions;

/// The name of SHA-256's block function in a program that has kept its names.
const SHA256: &str = "sha2::sha256::compress256";
/// How many instructions valgrind executes of it for one where the processor knows SHA, as every one of Lambda's arm64
/// does: where that comes from is in `infra/decisions/budgets-are-counted.md`.
const SHA256_IN_HARDWARE: u64 = 20;

/// The release of valgrind that counts, if there is one.
pub(crate) fn version() -> Option<String> {
    let answer = Command::new("valgrind").arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

/// Reads what a process has executed.
pub(crate) fn read(profile: &Path) -> Result<Instructions> {
    parse(&std::fs::read_to_string(profile)?)
}

/// A function begins with `fn=(number) name`, the name only the first time, in whatever line that is. Its costs follow,
/// one line per source line; a cost after `calls=` is the callee's.
fn parse(profile: &str) -> Result<Instructions> {
    let mut number_of_sha256 = None;
    let (mut in_sha256, mut is_callees) = (false, false);
    let mut sha256 = 0;
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (number, name) = name.split_once(')').ok_or("callgrind has changed its format")?;
            if name.trim_start() == SHA256 {
                number_of_sha256 = Some(number);
            }
            if line.starts_with("fn=") {
                in_sha256 = number_of_sha256 == Some(number);
            }
        } else if line.starts_with("calls=") {
            is_callees = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if in_sha256 && !is_callees {
                sha256 += line.split_whitespace().nth(1).ok_or("a line without costs")?.parse::<u64>()?;
            }
            is_callees = false;
        }
    }
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.ok_or("callgrind has written no total")?.trim().parse()?;
    Ok(Instructions { counted: total - sha256 + sha256 / SHA256_IN_HARDWARE, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_told_from_its_callees_and_callers() {
        let profile = "fl=(1) a\nfn=(1) main\n0 5\ncfn=(2) sha2::sha256::compress256\ncalls=2 0\n0 100\n1 7\n\n\
            fn=(2)\n0 60\n+3 20\ncfn=(3) memcpy\ncalls=1 0\n0 20\n\nfn=(3)\n0 20\n\ntotals: 112\n";
        let read = parse(profile).unwrap();
        assert_eq!((read.counted, read.sha256), (32 + 80 / 20, 80));
    }

    #[test]
    fn a_program_without_sha256_has_executed_none() {
        let read = parse("fn=(1) main\n0 5\n\ntotals: 5\n").unwrap();
        assert_eq!((read.counted, read.sha256), (5, 0));
        assert!(parse("fn=(1) main\n0 5\n").is_err());
    }
}
