//! P10: what a cold start has to read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use super::HELLO;
use crate::Result;
use crate::figures::{Figure, Unit, number};
use crate::function::Workshop;

/// `sizes.json`: what every program weighed on both processors, in megabytes, when it was last packaged.
#[derive(Deserialize)]
struct Sizes {
    programs: BTreeMap<String, Sized>,
}

#[derive(Deserialize)]
struct Sized {
    arm64: f64,
    #[serde(rename = "x86-64")]
    x86_64: f64,
}

pub(super) fn sizes(workshop: &Workshop, functions: &[String]) -> Result<Vec<Figure>> {
    let size = |name: &str| -> Result<f64> { Ok(number(stripped(workshop, name)?.metadata()?.len())) };
    let hello = size(HELLO)?;
    let mut figures = Vec::new();
    for name in functions {
        // The budget is that of what is shipped by default, arm64; `cargo xtask package` holds those programs to it.
        let (ceiling, stretch) = if name == "receipt" { (6.0e6, 4.5e6) } else { (6.5e6, 5.0e6) };
        let (what, larger) = if cfg!(target_arch = "aarch64") {
            ("size of the program", 1.0)
        } else {
            ("size of the program for x86-64", larger_for_x86_64(name)?)
        };
        let figure = Figure::counted(format!("P10 {name}"), what, size(name)?, Unit::Bytes);
        figures.push(figure.within(ceiling * larger).aiming_at(stretch * larger).beside_hello(hello));
    }
    Ok(figures)
}

/// How many times as large the program is for x86-64: an estimate as old as `sizes.json`.
fn larger_for_x86_64(name: &str) -> Result<f64> {
    let sizes: Sizes = serde_json::from_str(include_str!("../../sizes.json"))?;
    let sized = sizes.programs.get(name).ok_or_else(|| format!("sizes.json does not know {name}"))?;
    Ok(sized.x86_64 / sized.arm64)
}

/// A program without its names, as it is shipped; callgrind wants them.
fn stripped(workshop: &Workshop, name: &str) -> Result<PathBuf> {
    let shipped = workshop.scratch.join(name);
    let status = Command::new("strip").arg("-o").arg(&shipped).arg(workshop.programs.join(name)).status()?;
    if status.success() { Ok(shipped) } else { Err(format!("strip ended with {status}").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_for_x86_64_is_somewhat_larger() {
        for name in ["authorizer", "connection", "consumer", "receipt", "registry-events"] {
            let larger = larger_for_x86_64(name).unwrap();
            assert!((1.0..1.3).contains(&larger), "{name}: {larger}");
        }
        assert!(larger_for_x86_64("nobody").is_err());
    }
}
