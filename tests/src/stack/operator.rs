//! What an operator does to the stack, done with the operators' own command line.

use std::path::PathBuf;
use std::process::Output;
use std::{env, io};

use tokio::process::Command;

use super::{SECRET, STACK_VARIABLE, Stack};

/// Names the `operator` binary, where it is not beside this one.
const OPERATOR_VARIABLE: &str = "OPERATOR_BIN";

/// The command line did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// It could not be started.
    #[error("operator cannot be started")]
    NotStarted(#[source] io::Error),
    /// It failed.
    #[error("operator {arguments}: {stderr}")]
    Failed {
        /// What it was told.
        arguments: String,
        /// What it said.
        stderr: String,
    },
}

impl Stack {
    /// Makes two agents a trusted pair.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub async fn pair(&self, one_did: &str, other_did: &str) -> Result<(), OperatorError> {
        self.operator(&["trust", "pair", one_did, other_did]).await.map(drop)
    }

    /// Makes two agents a trusted pair of which it is known at which proxies they are at home.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub async fn pair_at_homes(
        &self,
        (one_did, one_home): (&str, &str),
        (other_did, other_home): (&str, &str),
    ) -> Result<(), OperatorError> {
        let homes = ["--one-home", one_home, "--other-home", other_home];
        self.operator(&[&["trust", "pair", one_did, other_did][..], &homes].concat()).await.map(drop)
    }

    /// Marks an agent as revoked in this stack, without the registry.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub async fn revoke(&self, agent_did: &str) -> Result<(), OperatorError> {
        self.operator(&["trust", "revoke", agent_did]).await.map(drop)
    }

    /// Runs the operators' command line against this stack; its standard output.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub async fn operator(&self, arguments: &[&str]) -> Result<String, OperatorError> {
        let Output { status, stdout, stderr } = operator_command()
            .args(arguments)
            .env_remove(STACK_VARIABLE)
            .env("TRUST_TABLE", &self.outputs.trust_table)
            .env("AWS_ENDPOINT_URL", &self.aws_endpoint)
            .env("AWS_REGION", &self.region)
            .env("AWS_ACCESS_KEY_ID", &self.access_key)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .output()
            .await
            .map_err(OperatorError::NotStarted)?;
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
        Err(OperatorError::Failed { arguments: arguments.join(" "), stderr })
    }
}

/// The named binary, else the one built beside us, else whatever Cargo builds now.
pub(super) fn operator_command() -> Command {
    let named = env::var_os(OPERATOR_VARIABLE).map(PathBuf::from);
    if let Some(binary) = named.or_else(built_beside_us) {
        return Command::new(binary);
    }
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--quiet", "--package", "operator", "--"]);
    command
}

/// A binary is in the profile's directory, a test binary one below.
fn built_beside_us() -> Option<PathBuf> {
    let us = env::current_exe().ok()?;
    us.ancestors().skip(1).take(2).map(|directory| directory.join("operator")).find(|path| path.is_file())
}
