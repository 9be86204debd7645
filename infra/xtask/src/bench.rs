//! `cargo xtask bench`: what the functions cost, built as they are released.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::ministack::Iam;
use crate::ports::Ports;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::stack::{Peer, Stack};
use crate::steps;
use crate::workspace::{self, Host};

/// What the functions are compared with.
const HELLO: &str = "hello";

/// Builds all functions and hands `arguments` to the bench: `--gate`, `--record`, `--scale`, `--profile <events>`.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let host = Host::detect()?;
    check_valgrind(arguments)?;
    let run = RunDirectory::create("bench")?;
    let functions = functions()?;
    steps::run("build the functions as they are released", || {
        // Apart from the functions: it would be built with the features that they ask of its dependencies.
        for packages in [&functions[..], &[HELLO.to_owned()]] {
            let mut build = crate::cargo::command(&host);
            // The bench wants names to tell SHA-256 from the rest; it strips the programs itself to see their size.
            build.env("CARGO_PROFILE_RELEASE_STRIP", "none").env("RUSTFLAGS", flags(&host));
            build.args(["build", "--release"]);
            build.args(packages.iter().flat_map(|package| ["--package", package]));
            processes::run(&mut build, &Output::Log(&run.file("cargo-release.log")))?;
        }
        Ok(())
    })?;
    steps::run("build the bench", || {
        let mut build = crate::cargo::command(&host);
        // With the features that the whole workspace asks for, as the tests are: nothing is compiled twice.
        build.args(["build", "--workspace", "--bin", "bench"]);
        processes::run(&mut build, &Output::Log(&run.file("cargo.log")))
    })?;
    let stack = wants_a_stack(arguments).then(|| bring_up(&host, &run)).transpose()?;
    steps::run_shown("measure", || {
        let mut bench = workspace::command(host.program("bench"));
        bench.arg("--programs").arg(host.released());
        bench.arg("--functions").arg(functions.join(","));
        bench.arg("--scratch").arg(run.file("scratch")).arg("--json").arg(run.file("figures.json"));
        bench.envs(stack.as_ref().map(|stack| (Stack::VARIABLE, &stack.description)));
        let measured = processes::run(bench.args(arguments), &Output::Shown);
        if run.file("figures.json").exists() {
            println!("      all figures: {}", run.file("figures.json").display());
        }
        measured
    })
}

/// Says what is missing before five programs are linked. Sizes, memory, calls, times and the price need no valgrind.
fn check_valgrind(arguments: &[String]) -> Result<(), Failure> {
    let mut version = Command::new("valgrind");
    if version.arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    if let Some(argument) = needs_counts(arguments) {
        let reason = format!("{argument} needs valgrind, which counts the instructions");
        let remedy = "install valgrind; without it `cargo xtask bench` shows everything but instructions";
        return Err(Failure::new(reason).with_remedy(remedy));
    }
    println!("      valgrind is missing: instructions are not counted");
    Ok(())
}

/// The argument that makes no sense without instructions.
fn needs_counts(arguments: &[String]) -> Option<&str> {
    let needs = |argument: &&str| ["--gate", "--record", "--scale", "--profile"].contains(argument);
    arguments.iter().map(String::as_str).find(needs)
}

/// The gate judges what is counted, and leaves out the one figure that takes a stack: the time of a lone receipt (P12).
fn wants_a_stack(arguments: &[String]) -> bool {
    !arguments.iter().any(|argument| ["--gate", "--scale", "--profile"].contains(&argument.as_str()))
}

fn bring_up(host: &Host, run: &RunDirectory) -> Result<Stack, Failure> {
    let tools = PythonTools::ensure(run)?;
    Stack::bring_up(&tools, host, Ports::free()?, Iam::Ignored, Peer::None, run)
}

/// cargo-lambda names the oldest processor that Lambda has; so do we, or these would not be the programs that it ships.
fn flags(host: &Host) -> &'static str {
    if host.architecture == "arm64" { "-C target-cpu=neoverse-n1" } else { "-C target-cpu=haswell" }
}

/// Every package of `functions/` that is a program.
fn functions() -> Result<Vec<String>, Failure> {
    let folder = workspace::root().join("functions");
    let unreadable = |error| Failure::io(format!("cannot read {}", folder.display()), &error);
    let entries = fs::read_dir(&folder).map_err(unreadable)?;
    let paths: Vec<PathBuf> =
        entries.map(|entry| Ok(entry.map_err(unreadable)?.path())).collect::<Result<_, _>>()?;
    let programs = paths.iter().filter(|path| path.join("src/main.rs").is_file());
    let mut names: Vec<_> =
        programs.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_only_looks_needs_no_valgrind() {
        assert_eq!(needs_counts(&[]), None);
        let arguments = ["--profile", "receipt"].map(str::to_owned);
        assert_eq!(needs_counts(&arguments), Some("--profile"));
    }

    #[test]
    fn functions_are_programs_and_libraries_are_not() {
        let functions = functions().unwrap();
        assert!(functions.iter().any(|name| name == "receipt"), "{functions:?}");
        assert!(!functions.iter().any(|name| name == "backbone"), "{functions:?}");
    }
}
