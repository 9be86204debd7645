//! `sam deploy` to MiniStack, and what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::origin_secret::OriginSecret;
use crate::ports::Ports;
use crate::processes::{self, Output};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::workspace::{self, Host};

pub(crate) const REGION: &str = "us-east-1";

/// One stack in the local AWS, which has room for many accounts.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    pub(crate) stack_name: &'static str,
    /// Whoever has it administers the account. One of twelve digits is the number of the account.
    pub(crate) access_key: &'static str,
    account: &'static str,
    /// Where its front door listens.
    pub(crate) front_door: u16,
    /// Tells its files from another stack's.
    suffix: &'static str,
}

impl Site {
    /// The stack that everything here is about.
    pub(crate) const fn home(ports: &Ports) -> Self {
        Self {
            // As in the `local` section of samconfig.toml.
            stack_name: "clawdentity-backbone-local",
            access_key: "test",
            account: "000000000000",
            front_door: ports.front_door,
            suffix: "",
        }
    }

    /// One in another account.
    pub(crate) const fn peer(ports: &Ports) -> Self {
        Self {
            stack_name: "clawdentity-backbone-peer",
            access_key: "222222222222",
            account: "222222222222",
            front_door: ports.peer_front_door,
            suffix: "-peer",
        }
    }

    /// Its origin for connectors and for other proxies.
    pub(crate) fn origin(self) -> String {
        format!("http://127.0.0.1:{}", self.front_door)
    }

    /// The name of one of its files.
    pub(crate) fn file(self, name: &str, extension: &str) -> String {
        format!("{name}{}.{extension}", self.suffix)
    }

    /// What its stack is to know of a `peer` in this AWS.
    fn parameters(self, peer: Option<Self>) -> Vec<String> {
        let mut parameters = vec![format!("ProxyOrigin={}", self.origin())];
        if let Some(peer) = peer {
            let account = peer.account;
            parameters.extend([
                format!("PeerOrigins={}", peer.origin()),
                format!("PeerQueueArns=arn:aws:sqs:{REGION}:{account}:clawdentity-peer-receipts-local"),
                format!("PeerAccounts={account}"),
            ]);
        }
        parameters
    }
}

/// Who may post events to the local stack, and with what secret.
pub(crate) const INTERNAL_SERVICE: (&str, &str) = ("registry", "no secret on one machine");
/// SHA-256 of that secret.
const INTERNAL_SERVICE_SECRET_SHA256: &str =
    "568dc0604f47cb686b0733577b2d4c78cca8946a6cbe405c9dc14a2e6fa8e540";

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

/// The parts that a deployment is made with.
#[derive(Clone, Copy)]
pub(crate) struct Workbench<'a> {
    pub(crate) tools: &'a PythonTools,
    pub(crate) host: &'a Host,
    pub(crate) ports: &'a Ports,
    pub(crate) origin_secret: &'a OriginSecret,
    /// The built one.
    pub(crate) template: &'a Path,
    pub(crate) run: &'a RunDirectory,
}

/// Deploys the built template at `site`, and has it exchange receipts with a `peer`.
pub(crate) fn deploy(with: Workbench<'_>, site: Site, peer: Option<Site>) -> Result<Outputs, Failure> {
    let Workbench { host, ports, origin_secret, template, run, .. } = with;
    let mut sam = sam_at_ministack(with, site);
    let log = run.file(&site.file("sam-deploy", "log"));
    sam.args(["deploy", "--config-env", "local", "--no-progressbar", "--stack-name", site.stack_name])
        .arg("--config-file")
        .arg(workspace::root().join("samconfig.toml"))
        .arg("--template-file")
        .arg(template)
        .args(["--parameter-overrides", "Environment=local", "Local=yes"])
        // One line per invocation at least: MiniStack waits 50 ms for one before it passes an answer on.
        .arg("LogLevel=debug")
        .arg(format!("Architecture={}", host.architecture))
        .arg(format!("RegistryUrl=http://127.0.0.1:{}", ports.registry))
        .arg(format!("InternalServiceId={}", INTERNAL_SERVICE.0))
        .arg(format!("InternalServiceSecretSha256={INTERNAL_SERVICE_SECRET_SHA256}"))
        .arg(format!("AwsEndpointUrl=http://127.0.0.1:{}", ports.aws))
        // The limits of API Gateway that MiniStack does not have apply to the functions' calls as well.
        .arg(format!("ConnectionsOrigin={}", site.origin()))
        .arg(format!("OriginSecret={}", origin_secret.as_str()))
        .args(site.parameters(peer));
    processes::run(&mut sam, &Output::Log(&log)).map_err(|failure| {
        failure.with_remedy(
            "read the events in the log: the first CREATE_FAILED names the resource and the reason",
        )
    })?;
    let listing = run.file(&site.file("outputs", "json"));
    let mut sam = sam_at_ministack(with, site);
    sam.args(["list", "stack-outputs", "--output", "json", "--region", REGION])
        .args(["--stack-name", site.stack_name]);
    processes::run(&mut sam, &Output::Captured { stdout: &listing, log: &log })?;
    let text = fs::read(&listing).map_err(|error| Failure::io("cannot read outputs.json", &error))?;
    Outputs::parse(&text).ok_or_else(|| Failure::new("the stack's outputs do not parse").with_log(&listing))
}

/// Has a stack take over the registry's keys and revocation list. On AWS a rule has it do so after every deployment.
pub(crate) fn reconcile(with: Workbench<'_>, site: Site) -> Result<(), Failure> {
    let event = json!({ "source": "xtask", "detail-type": "Deployed", "detail": {} }).to_string();
    let mut sam = sam_at_ministack(with, site);
    sam.args(["remote", "invoke", "RegistryEventsFunction", "--stack-name", site.stack_name])
        .args(["--region", REGION, "--event", &event]);
    processes::run(&mut sam, &Output::Log(&with.run.file(&site.file("reconcile", "log"))))
}

/// SAM CLI that can reach MiniStack and nothing else.
fn sam_at_ministack(with: Workbench<'_>, site: Site) -> Command {
    let mut sam = with.tools.sam();
    sam.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", with.ports.aws))
        .env("AWS_ACCESS_KEY_ID", site.access_key)
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
