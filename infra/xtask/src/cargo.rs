//! Cargo, told to build where `sam build` does.
//!
//! cargo-lambda names the target even when it is the host, which makes Cargo use another folder. With the same target
//! everywhere the AWS SDK is compiled once for the functions, the programs and the tests.

use std::process::Command;

use crate::failure::Failure;
use crate::processes::{self, Output};
use crate::run_directory::RunDirectory;
use crate::steps;
use crate::workspace::{self, Host};

pub(crate) fn command(host: &Host) -> Command {
    let mut cargo = workspace::command("cargo");
    cargo.env("CARGO_BUILD_TARGET", host.triple);
    cargo
}

/// Builds the programs that stand around the functions.
pub(crate) fn build_programs(host: &Host, run: &RunDirectory) -> Result<(), Failure> {
    steps::run("build the programs of the local stack", || {
        processes::run(
            command(host).args(["build", "--workspace", "--bins"]),
            &Output::Log(&run.file("cargo.log")),
        )
        .map_err(|failure| failure.with_remedy("make `cargo build --workspace` pass"))
    })
}
