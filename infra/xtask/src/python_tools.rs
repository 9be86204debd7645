//! The pinned Python tools: MiniStack, SAM CLI, cargo-lambda.
//!
//! They live in `infra/local/.venv`, are checked against the hashes in the requirements files, and are installed anew
//! only when those files change.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::processes::{self, Output};
use crate::run_directory::RunDirectory;
use crate::{steps, workspace};

const PYTHONS: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// A set of tools that is installed together.
#[derive(Clone, Copy)]
enum Requirements {
    /// What every command needs.
    Local,
    /// The linker for arm64, 100 MB that only `package` needs.
    Package,
}

impl Requirements {
    const fn file(self) -> &'static str {
        match self {
            Self::Local => "requirements.txt",
            Self::Package => "requirements-package.txt",
        }
    }

    const fn step(self) -> &'static str {
        match self {
            Self::Local => "install the pinned Python tools",
            Self::Package => "install the linker for arm64",
        }
    }
}

/// The virtual environment, with the tools in it.
pub(crate) struct PythonTools {
    environment: PathBuf,
}

impl PythonTools {
    /// Installs what is missing.
    ///
    /// # Errors
    ///
    /// If there is no Python 3.10, or a package cannot be had or differs from its hash.
    pub(crate) fn ensure(run: &RunDirectory) -> Result<Self, Failure> {
        let tools = Self { environment: folder().join(".venv") };
        if !works(&tools.program("python")) {
            steps::run("make a Python environment", || tools.create(&run.file("python.log")))?;
        }
        tools.install(Requirements::Local, run)?;
        Ok(tools)
    }

    /// Installs what `package` needs besides.
    pub(crate) fn ensure_cross_linker(&self, run: &RunDirectory) -> Result<(), Failure> {
        self.install(Requirements::Package, run)
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.environment.join("bin").join(name)
    }

    /// SAM CLI, with the tools on its path: it looks for `cargo-lambda` there.
    pub(crate) fn sam(&self) -> Command {
        let mut path = OsString::from(self.environment.join("bin"));
        if let Some(inherited) = env::var_os("PATH") {
            path.push(":");
            path.push(inherited);
        }
        let mut sam = workspace::command(self.program("sam"));
        sam.env("PATH", path).env("SAM_CLI_TELEMETRY", "0").env("PYTHONUNBUFFERED", "1");
        sam
    }

    fn create(&self, log: &Path) -> Result<(), Failure> {
        let python = find_python()?;
        let mut venv = workspace::command(python);
        venv.args(["-m", "venv", "--clear"]).arg(&self.environment);
        processes::run(&mut venv, &Output::Log(log)).map_err(|failure| {
            failure.with_remedy("install Python's venv module, on Debian `apt install python3-venv`")
        })
    }

    fn install(&self, requirements: Requirements, run: &RunDirectory) -> Result<(), Failure> {
        let file = folder().join(requirements.file());
        let stamp = self.environment.join(format!("installed-{}", requirements.file()));
        let wanted = fs::read(&file)
            .map_err(|error| Failure::io(format!("cannot read {}", file.display()), &error))?;
        if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        steps::run(requirements.step(), || {
            // The file is complete. Resolving it again would only add the linker, which cargo-lambda asks for.
            let mut pip = workspace::command(self.program("python"));
            pip.args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--require-hashes",
                "--no-deps",
            ])
            .arg("--requirement")
            .arg(&file);
            processes::run(&mut pip, &Output::Log(&run.file("pip.log"))).map_err(|failure| {
                failure.with_remedy("check that pip reaches its package index, then try again")
            })?;
            fs::write(&stamp, &wanted)
                .map_err(|error| Failure::io(format!("cannot write {}", stamp.display()), &error))
        })
    }
}

fn folder() -> PathBuf {
    workspace::root().join("infra/local")
}

fn find_python() -> Result<&'static str, Failure> {
    PYTHONS.into_iter().find(|python| works(Path::new(python))).ok_or_else(|| {
        Failure::new(format!("found no Python of 3.10 or later (tried {})", PYTHONS.join(", ")))
            .with_remedy("install one, on Debian `apt install python3 python3-venv`")
    })
}

fn works(python: &Path) -> bool {
    workspace::command(python)
        .args(["-c", "import sys; sys.exit(sys.version_info < (3, 10))"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
