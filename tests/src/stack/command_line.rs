//! The operators' command line, as an operator sees it: what it answers and how it ends.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde_json::Value;

use super::operator::operator_command;
use super::{STACK_VARIABLE, Stack};
use crate::stamp;

/// How a command has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it answered.
    pub stdout: String,
    /// What else it said.
    pub stderr: String,
}

impl Ended {
    /// The answer to a command with `--json`.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// A description of the stack that differs from the true one. Dropping it removes it.
pub struct Description(PathBuf);

impl Description {
    /// The running stack's description after `change`.
    ///
    /// # Errors
    ///
    /// If it cannot be read or written.
    pub fn changed(change: impl FnOnce(&mut Value)) -> io::Result<Self> {
        let true_one = env::var_os(STACK_VARIABLE).ok_or(io::ErrorKind::NotFound)?;
        let mut description = serde_json::from_slice(&fs::read(true_one)?)?;
        change(&mut description);
        let path = env::temp_dir().join(format!("stack-{}.json", stamp::new_ulid()));
        fs::write(&path, description.to_string())?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Stack {
    /// Runs the operators' command line on this stack, or on the one that `description` describes.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub async fn command(&self, arguments: &[&str], description: Option<&Description>) -> io::Result<Ended> {
        let mut command = operator_command();
        command.args(arguments).env_remove("TRUST_TABLE");
        if let Some(description) = description {
            command.env(STACK_VARIABLE, description.path());
        }
        let output = command.output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }
}
