//! `cargo xtask test`: everything that must hold before a change is taken.

use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::ministack::Iam;
use crate::ports::Ports;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::stack::Stack;
use crate::workspace::{self, Host};
use crate::{cargo, steps, validate};

pub(crate) fn run() -> Result<(), Failure> {
    let host = Host::detect()?;
    let run = RunDirectory::create("test")?;
    steps::run("format", || {
        let mut fmt = workspace::command("cargo");
        processes::run(fmt.args(["fmt", "--all", "--check"]), &Output::Log(&run.file("fmt.log")))
            .map_err(|failure| failure.with_remedy("run `cargo fmt --all`"))
    })?;
    steps::run("lints", || {
        let mut clippy = cargo::command(&host);
        clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
        processes::run(&mut clippy, &Output::Log(&run.file("clippy.log")))
    })?;
    let tools = PythonTools::ensure(&run)?;
    validate::template(&tools, &run)?;
    let stack = Stack::bring_up(&tools, &host, Ports::free()?, Iam::Enforced, &run)?;
    steps::run_shown("tests, with IAM enforced", || {
        let tested =
            processes::run(test_runner(&host).env(Stack::VARIABLE, &stack.description), &Output::Shown);
        // A part of the stack that died explains failing tests better than they do.
        stack.check().and(tested).map_err(|failure| {
            failure.with_remedy(format!("the logs of every part are in {}", run.path().display()))
        })
    })
}

/// nextest if it is there, else what Cargo brings.
fn test_runner(host: &Host) -> Command {
    let mut runner = cargo::command(host);
    if has_nextest() {
        runner.args(["nextest", "run", "--workspace"]);
    } else {
        runner.args(["test", "--workspace", "--no-fail-fast"]);
    }
    runner
}

fn has_nextest() -> bool {
    workspace::command("cargo")
        .args(["nextest", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
