//! Where one run keeps its logs and its state.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::Failure;
use crate::{processes, workspace};

/// `target/local/<command>-<epoch seconds>-<process id>`: two runs at once do not meet.
///
/// The logs stay. MiniStack's state does not: it holds a copy of every function.
pub(crate) struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    pub(crate) fn create(command: &str) -> Result<Self, Failure> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{command}-{}-{}", since_epoch.as_secs(), std::process::id());
        let path = workspace::target().join("local").join(name);
        create(&path)?;
        let run = Self { path };
        processes::remove_afterwards(&run.state_root());
        Ok(run)
    }

    /// A file of this run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new folder of this run for MiniStack's state.
    pub(crate) fn state(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.state_root().join(name);
        create(&path)?;
        Ok(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn state_root(&self) -> PathBuf {
        self.path.join("state")
    }
}

fn create(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| Failure::io(format!("cannot create {}", path.display()), &error))
}
