//! `cargo xtask demo`: a receipt on its way, seen from outside.

use crate::failure::Failure;
use crate::ministack::Iam;
use crate::ports::Ports;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::stack::{Peer, Stack};
use crate::steps;
use crate::workspace::{self, Host};

pub(crate) fn run() -> Result<(), Failure> {
    let host = Host::detect()?;
    let run = RunDirectory::create("demo")?;
    let tools = PythonTools::ensure(&run)?;
    let stack = Stack::bring_up(&tools, &host, Ports::free()?, Iam::Ignored, Peer::None, &run)?;
    steps::run_shown("demonstrate", || {
        let mut demo = workspace::command(host.program("demo"));
        demo.env(Stack::VARIABLE, &stack.description);
        let shown = processes::run(&mut demo, &Output::Shown);
        stack.check().and(shown).map_err(|failure| {
            failure.with_remedy(format!("the logs of every part are in {}", run.path().display()))
        })
    })
}
