//! `sam deploy` to MiniStack, and what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::failure::Failure;
use crate::origin_secret::OriginSecret;
use crate::ports::Ports;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::workspace::{self, Host};

pub(crate) const REGION: &str = "us-east-1";
/// As in the `local` section of samconfig.toml.
pub(crate) const STACK_NAME: &str = "clawdentity-backbone-local";

/// The outputs of the deployed stack, by key.
pub(crate) struct Outputs(BTreeMap<String, String>);

impl Outputs {
    /// # Errors
    ///
    /// If template.yaml has no such output.
    pub(crate) fn get(&self, key: &str) -> Result<&str, Failure> {
        let value = self.0.get(key).map(String::as_str);
        value.ok_or_else(|| Failure::new(format!("the stack has no output {key}")))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// From what `sam list stack-outputs` prints: `[{"OutputKey", "OutputValue", …}]`.
    fn parse(listing: &[u8]) -> Option<Self> {
        let listing: Vec<Value> = serde_json::from_slice(listing).ok()?;
        let pair = |output: &Value| {
            Some((
                output.get("OutputKey")?.as_str()?.to_owned(),
                output.get("OutputValue")?.as_str()?.to_owned(),
            ))
        };
        listing.iter().map(pair).collect::<Option<_>>().map(Self)
    }
}

/// Deploys the built template.
pub(crate) fn deploy(
    tools: &PythonTools,
    host: &Host,
    ports: &Ports,
    origin_secret: &OriginSecret,
    template: &Path,
    run: &RunDirectory,
) -> Result<Outputs, Failure> {
    let mut sam = sam_at_ministack(tools, ports);
    sam.args(["deploy", "--config-env", "local", "--no-progressbar", "--config-file"])
        .arg(workspace::root().join("samconfig.toml"))
        .arg("--template-file")
        .arg(template)
        .args(["--parameter-overrides", "Environment=local", "Local=yes"])
        // One line per invocation at least: MiniStack waits 50 ms for one before it passes an answer on.
        .arg("LogLevel=debug")
        .arg(format!("Architecture={}", host.architecture))
        .arg(format!("RegistryUrl=http://127.0.0.1:{}", ports.registry))
        .arg(format!("AwsEndpointUrl=http://127.0.0.1:{}", ports.aws))
        // The limits of API Gateway that MiniStack does not have apply to the functions' calls as well.
        .arg(format!("ConnectionsOrigin=http://127.0.0.1:{}", ports.front_door))
        .arg(format!("OriginSecret={}", origin_secret.as_str()));
    processes::run(&mut sam, &Output::Log(&run.file("sam-deploy.log"))).map_err(|failure| {
        failure.with_remedy(
            "read the events in the log: the first CREATE_FAILED names the resource and the reason",
        )
    })?;
    outputs(tools, ports, run)
}

fn outputs(tools: &PythonTools, ports: &Ports, run: &RunDirectory) -> Result<Outputs, Failure> {
    let listing = run.file("outputs.json");
    let mut sam = sam_at_ministack(tools, ports);
    sam.args(["list", "stack-outputs", "--output", "json", "--stack-name", STACK_NAME, "--region", REGION]);
    let output = Output::Captured { stdout: &listing, log: &run.file("sam-deploy.log") };
    processes::run(&mut sam, &output)?;
    let text = fs::read(&listing).map_err(|error| Failure::io("cannot read outputs.json", &error))?;
    Outputs::parse(&text).ok_or_else(|| Failure::new("the stack's outputs do not parse").with_log(&listing))
}

/// SAM CLI that can reach MiniStack and nothing else.
fn sam_at_ministack(tools: &PythonTools, ports: &Ports) -> Command {
    let mut sam = tools.sam();
    sam.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", ports.aws))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1,localhost")
        .env("no_proxy", "127.0.0.1,localhost");
    sam
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_found_by_key() {
        let listing = br#"[{"OutputKey": "HttpApiUrl", "OutputValue": "http://h", "Description": ""}]"#;
        let outputs = Outputs::parse(listing).expect("outputs");
        assert_eq!(outputs.get("HttpApiUrl").expect("a value"), "http://h");
        assert!(outputs.get("Missing").is_err());
    }

    #[test]
    fn an_output_without_a_value_is_refused() {
        assert!(Outputs::parse(br#"[{"OutputKey": "HttpApiUrl"}]"#).is_none());
    }
}
