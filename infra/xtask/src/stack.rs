//! The whole stack on this machine.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::deployment::{self, Outputs};
use crate::failure::Failure;
use crate::ministack::{self, Iam};
use crate::origin_secret::OriginSecret;
use crate::ports::Ports;
use crate::processes::Service;
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::workspace::Host;
use crate::{cargo, sam_build, services, steps};

/// A running stack. Its processes end with the command.
pub(crate) struct Stack {
    pub(crate) ports: Ports,
    pub(crate) outputs: Outputs,
    /// The file that tells the stack's users where everything is; they find it through [`Stack::VARIABLE`].
    pub(crate) description: PathBuf,
    services: [Service; 3],
}

impl Stack {
    /// The variable with the path of [`Stack::description`].
    pub(crate) const VARIABLE: &str = "BACKBONE_STACK";

    /// Builds, starts and deploys everything.
    pub(crate) fn bring_up(
        tools: &PythonTools,
        host: &Host,
        ports: Ports,
        iam: Iam,
        run: &RunDirectory,
    ) -> Result<Self, Failure> {
        let template = sam_build::local(tools, host, run)?;
        cargo::build_programs(host, run)?;
        let (aws, registry) = steps::run("start MiniStack and the registry stand-in", || {
            Ok((ministack::start(tools, ports.aws, iam, run)?, services::start_registry(host, &ports, run)?))
        })?;
        let origin_secret = OriginSecret::generate()?;
        let outputs = steps::run("deploy the stack (sam deploy)", || {
            deployment::deploy(tools, host, &ports, &origin_secret, &template, run)
        })?;
        let front_door = steps::run("start the front door", || {
            services::start_front_door(host, &ports, &outputs, &origin_secret, run)
        })?;

        let description = run.file("stack.json");
        fs::write(&description, describe(&ports, &outputs, &origin_secret, iam)?.to_string())
            .map_err(|error| Failure::io("cannot write stack.json", &error))?;
        Ok(Self { ports, outputs, description, services: [aws, registry, front_door] })
    }

    /// Fails if a part of the stack has ended.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.services.iter().try_for_each(Service::check)
    }
}

fn describe(
    ports: &Ports,
    outputs: &Outputs,
    origin_secret: &OriginSecret,
    iam: Iam,
) -> Result<Value, Failure> {
    let origin = |port: u16| format!("http://127.0.0.1:{port}");
    let all: Map<String, Value> = outputs.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    Ok(json!({
        "awsEndpoint": origin(ports.aws),
        "region": deployment::REGION,
        "stackName": deployment::STACK_NAME,
        "iamEnforced": iam == Iam::Enforced,
        "proxyUrl": origin(ports.front_door),
        "registryUrl": origin(ports.registry),
        "originSecret": origin_secret.as_str(),
        "httpApiUrl": outputs.get("HttpApiUrl")?,
        "webSocketUrl": outputs.get("WebSocketUrl")?,
        "outputs": all,
    }))
}
