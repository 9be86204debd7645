//! `cargo xtask package`: the functions as AWS gets them, and whether they are small enough.

use std::fs;
use std::path::Path;

use crate::failure::Failure;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::{sam_build, steps, workspace};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Every function by its name in template.yaml, and what its program may weigh, in bytes. A cold start reads all of it.
const CEILINGS: [(&str, u64); 5] = [
    ("AuthorizerFunction", 6_500_000),
    ("ConnectionFunction", 6_500_000),
    ("ReceiptFunction", 6_000_000),
    ("ConsumerFunction", 6_500_000),
    ("RegistryEventsFunction", 6_500_000),
];

pub(crate) fn run() -> Result<(), Failure> {
    let run = RunDirectory::create("package")?;
    let tools = PythonTools::ensure(&run)?;
    tools.ensure_cross_linker(&run)?;
    steps::run("install Rust's library for arm64", || {
        let mut rustup = workspace::command("rustup");
        processes::run(rustup.args(["target", "add", TARGET]), &Output::Log(&run.file("rustup.log")))
            .map_err(|failure| failure.with_remedy("install Rust with rustup, or the target by other means"))
    })?;
    let built = sam_build::for_aws(&tools, &run)?;
    check_sizes(&built)
}

/// Prints every size before it says whether one is too much.
fn check_sizes(built: &Path) -> Result<(), Failure> {
    let mut too_large = Vec::new();
    for (function, ceiling) in CEILINGS {
        let program = built.join(function).join("bootstrap");
        let size = fs::metadata(&program)
            .map_err(|error| Failure::io(format!("cannot read {}", program.display()), &error))?
            .len();
        println!("      {function:<22} {} of {}", megabytes(size), megabytes(ceiling));
        if size > ceiling {
            too_large.push(function);
        }
    }
    if too_large.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("too large: {}", too_large.join(", "))).in_step("check the sizes").with_remedy(
        "`cargo bloat --release --crates` names the dependency; most often one came with default features",
    ))
}

/// Two decimals, rounded up, so that nothing over a ceiling looks as if it were on it.
fn megabytes(bytes: u64) -> String {
    let hundredths = bytes.div_ceil(10_000);
    format!("{}.{:02} MB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(megabytes(6_500_000), "6.50 MB");
        assert_eq!(megabytes(6_500_001), "6.51 MB");
        assert_eq!(megabytes(40_000), "0.04 MB");
    }
}
