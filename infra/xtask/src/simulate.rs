//! `cargo xtask simulate`: the receipt path in virtual time, over any range of seeds.

use crate::failure::Failure;
use crate::processes::{self, Output};
use crate::workspace;

/// Hands `arguments` to the simulator: `--from S --seeds N`, and `--trace` to see a run that holds.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut simulator = workspace::command("cargo");
    simulator.args(["run", "--quiet", "--package", "simulator", "--bin", "simulate", "--"]).args(arguments);
    processes::run(&mut simulator, &Output::Shown)
}
