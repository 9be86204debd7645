//! `cargo xtask acceptance`: the end-to-end suite against a deployed stack.

use std::env;
use std::ffi::OsString;

use crate::failure::Failure;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::workspace::{self, Host};
use crate::{cargo, steps};

/// Looks the stack's outputs up and runs the suite on them. Credentials, Region and endpoint are the caller's own, from
/// the environment or the profile.
pub(crate) fn run(stack: &str, suite_arguments: &[String]) -> Result<(), Failure> {
    let host = Host::detect()?;
    let run = RunDirectory::create("acceptance")?;
    let tools = PythonTools::ensure(&run)?;
    cargo::build_programs(&host, &run)?;
    let outputs = run.file("outputs.json");
    steps::run("look up the stack's outputs", || {
        let mut sam = tools.sam();
        sam.envs(callers_aws());
        sam.args(["list", "stack-outputs", "--output", "json", "--stack-name", stack]);
        // Else SAM takes the Region of samconfig.toml before the caller's.
        if let Some(region) = env::var_os("AWS_REGION").or_else(|| env::var_os("AWS_DEFAULT_REGION")) {
            sam.arg("--region").arg(region);
        }
        let output = Output::Captured { stdout: &outputs, log: &run.file("sam.log") };
        processes::run(&mut sam, &output).map_err(|failure| {
            failure.with_remedy(
                "set AWS_PROFILE or AWS_ACCESS_KEY_ID, and AWS_REGION, for the account of the stack",
            )
        })
    })?;
    steps::run_shown("end-to-end suite", || {
        let mut suite = workspace::command(host.program("acceptance"));
        suite.envs(callers_aws());
        suite.arg("--outputs").arg(&outputs).args(suite_arguments);
        processes::run(&mut suite, &Output::Shown)
    })
}

/// The one place where the caller's credentials are meant to be used.
fn callers_aws() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("AWS_")))
}
