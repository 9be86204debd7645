//! The operators' command line, run as operators run it.
//!
//! [`alone`] changes the stack by hand and gives everything back; it has the stack for itself (`.config/nextest.toml`).

mod alone;
mod answers;
mod dead_letter_faults;
mod dead_letters;
mod receipts;
mod rows;

use acceptance::stack::{Ended, Stack};
use serde_json::Value;

/// Runs a command with `--json`.
async fn ask(stack: &Stack, arguments: &[&str]) -> Ended {
    stack.command(&[arguments, &["--json"]].concat(), None).await.unwrap()
}

/// The names of a timeline's steps.
fn steps(shown: &Value) -> Vec<&str> {
    shown["timeline"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

/// Whether `expected` come in this order, whatever comes between them.
fn come_in_order(steps: &[&str], expected: &[&str]) -> bool {
    let mut steps = steps.iter();
    expected.iter().all(|name| steps.any(|step| step == name))
}
