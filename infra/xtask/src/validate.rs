//! `cargo xtask validate`: the template alone.

use crate::failure::Failure;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::steps;

pub(crate) fn run() -> Result<(), Failure> {
    let run = RunDirectory::create("validate")?;
    let tools = PythonTools::ensure(&run)?;
    template(&tools, &run)
}

/// Checks template.yaml against what AWS accepts.
pub(crate) fn template(tools: &PythonTools, run: &RunDirectory) -> Result<(), Failure> {
    steps::run("check the template (sam validate --lint)", || {
        let mut sam = tools.sam();
        sam.args(["validate", "--lint", "--region", "us-east-1"]);
        processes::run(&mut sam, &Output::Log(&run.file("sam-validate.log")))
    })
}
