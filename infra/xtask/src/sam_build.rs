//! `sam build`, for this machine and for AWS.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::steps;
use crate::workspace::{self, Host};

/// Any origin will do: building resolves the template's parameters but reads only `Architecture`.
const UNUSED_REGISTRY: &str = "RegistryUrl=http://registry.invalid";

/// Builds the functions for this machine and returns the built template.
///
/// Apart from `.aws-sam`, so that a `sam deploy` after a `cargo xtask demo` does not send this machine's debug build
/// to AWS.
pub(crate) fn local(tools: &PythonTools, host: &Host, run: &RunDirectory) -> Result<PathBuf, Failure> {
    let folder = workspace::target().join("local/build");
    steps::run("build the functions (sam build)", || {
        let mut sam = tools.sam();
        sam.args(["build", "--config-env", "local", "--build-dir"])
            .arg(&folder)
            .arg("--parameter-overrides")
            .args(["Environment=local", UNUSED_REGISTRY])
            .arg(format!("Architecture={}", host.architecture))
            .env("SAM_BUILD_MODE", "debug")
            .env("CARGO_LAMBDA_COMPILER", "cargo")
            .env("CARGO_LAMBDA_GLOBAL", workspace::root().join("infra/xtask/CargoLambda.toml"));
        processes::run(&mut sam, &Output::Log(&run.file("sam-build.log")))
            .map_err(|failure| failure.with_remedy("make `cargo build --workspace` pass"))
    })?;
    Ok(folder.join("template.yaml"))
}

/// Builds the functions as they are deployed to AWS, where `sam deploy` looks for them, and returns the folder.
pub(crate) fn for_aws(tools: &PythonTools, run: &RunDirectory) -> Result<PathBuf, Failure> {
    steps::run("build the functions for arm64 (sam build)", || {
        let mut sam = tools.sam();
        sam.args([
            "build",
            "--parameter-overrides",
            "Environment=prod",
            UNUSED_REGISTRY,
            "Architecture=arm64",
        ]);
        processes::run(&mut sam, &Output::Log(&run.file("sam-build.log")))
    })?;
    Ok(workspace::root().join(".aws-sam/build"))
}
