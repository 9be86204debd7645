//! Where things are, and what kind of machine this is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The repository.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.ancestors().nth(2).expect("infra/xtask is two folders below the root").to_owned()
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root().join(path),
        None => root().join("target"),
    }
}

/// The machine we run on, named as its users name it.
pub(crate) struct Host {
    /// As rustc says, `x86_64-unknown-linux-gnu`.
    pub(crate) triple: &'static str,
    /// As Lambda says, `x86_64`.
    pub(crate) architecture: &'static str,
}

impl Host {
    /// # Errors
    ///
    /// If the local stack cannot run here: MiniStack executes the functions themselves, which are Linux programs.
    pub(crate) fn detect() -> Result<Self, Failure> {
        match (env::consts::OS, env::consts::ARCH) {
            ("linux", "x86_64") => Ok(Self { triple: "x86_64-unknown-linux-gnu", architecture: "x86_64" }),
            ("linux", "aarch64") => Ok(Self { triple: "aarch64-unknown-linux-gnu", architecture: "arm64" }),
            (os, processor) => Err(Failure::new(format!("the local stack does not run on {os} {processor}"))
                .with_remedy(
                    "use Linux on x86-64 or arm64, a container or a virtual machine of it included",
                )),
        }
    }

    /// Where Cargo puts the programs it builds for this machine.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        target().join(self.triple).join("debug").join(name)
    }

    /// Where Cargo puts those that it builds as they are released.
    pub(crate) fn released(&self) -> PathBuf {
        target().join(self.triple).join("release")
    }
}

/// A command that does not inherit what belongs to somebody else.
///
/// The user's `AWS_*` would lead the tools to another account. `CARGO_*` of the `cargo run` we are in would make build
/// scripts that watch them run again, and with them the AWS SDK.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if is_foreign(name) {
            command.env_remove(name);
        }
    }
    command
}

fn is_foreign(name: &str) -> bool {
    const OF_CARGO_RUN: [&str; 4] = ["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
    const FAMILIES: [&str; 4] = ["AWS_", "CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_"];
    OF_CARGO_RUN.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("template.yaml").is_file());
    }

    #[test]
    fn credentials_and_cargo_s_own_variables_do_not_pass() {
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
            assert!(is_foreign(name), "{name}");
        }
        for name in ["PATH", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "VECTORS"] {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
