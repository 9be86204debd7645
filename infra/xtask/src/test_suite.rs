//! `cargo xtask test`: everything that must hold before a change is taken.

use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::ministack::Iam;
use crate::ports::Ports;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::stack::{Peer, Stack};
use crate::workspace::{self, Host};
use crate::{cargo, steps, validate};

/// How much the endurance tests are asked. The tests are the same ones.
#[derive(Clone, Copy)]
enum Scale {
    /// What a developer waits for.
    Short,
    /// What the project promises.
    Long,
}

impl Scale {
    /// The variable that tells the tests, and its value for [`Scale::Long`].
    const VARIABLE: &str = "BACKBONE_ENDURANCE";
    const LONG: &str = "long";
}

pub(crate) fn run() -> Result<(), Failure> {
    run_at(Scale::Short)
}

pub(crate) fn run_long() -> Result<(), Failure> {
    run_at(Scale::Long)
}

fn run_at(scale: Scale) -> Result<(), Failure> {
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
    let stack = Stack::bring_up(&tools, &host, Ports::free()?, Iam::Enforced, Peer::Beside, &run)?;
    steps::run_shown("tests, with IAM enforced", || {
        // Those after one that fails run all the same.
        let tested = runs()
            .iter()
            .map(|arguments| {
                let mut runner = test_runner(&host, scale);
                processes::run(
                    runner.args(*arguments).env(Stack::VARIABLE, &stack.description),
                    &Output::Shown,
                )
            })
            .fold(Ok(()), Result::and);
        // A part of the stack that died explains failing tests better than they do.
        stack.check().and(tested).map_err(|failure| {
            failure.with_remedy(format!("the logs of every part are in {}", run.path().display()))
        })
    })
}

/// nextest if it is there.
const NEXTEST: [&[&str]; 1] = [&["nextest", "run", "--workspace"]];

/// Else what Cargo brings. It does not know which of the tests that share the stack have to have it alone, and which one
/// comes last because it reads what all others have made the functions write (`.config/nextest.toml`): so there all run
/// one after the other, which takes much longer.
const CARGO_TEST: [&[&str]; 3] = [
    &["test", "--no-fail-fast", "--workspace", "--exclude", "acceptance"],
    &["test", "--no-fail-fast", "--package", "acceptance", "--", "--test-threads=1", "--skip", "logs::"],
    &["test", "--no-fail-fast", "--package", "acceptance", "--", "--test-threads=1", "logs::"],
];

/// The arguments of Cargo with which all tests run.
fn runs() -> &'static [&'static [&'static str]] {
    if has_nextest() { &NEXTEST } else { &CARGO_TEST }
}

fn test_runner(host: &Host, scale: Scale) -> Command {
    let mut runner = cargo::command(host);
    match scale {
        Scale::Short => runner.env_remove(Scale::VARIABLE),
        // The profile of nextest has the same name, and patience.
        Scale::Long => runner.env(Scale::VARIABLE, Scale::LONG).env("NEXTEST_PROFILE", Scale::LONG),
    };
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
