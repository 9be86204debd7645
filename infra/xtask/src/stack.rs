//! The whole stack on this machine.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::{fs, thread};

use serde_json::{Map, Value, json};

use crate::deployment::{self, Outputs, Site, Workbench};
use crate::failure::Failure;
use crate::ministack::{self, Iam};
use crate::origin_secret::OriginSecret;
use crate::ports::Ports;
use crate::processes::Service;
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::workspace::Host;
use crate::{cargo, sam_build, services, steps};

/// Whether there is a second stack to exchange receipts with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// This one is alone.
    None,
    /// In another account of the same local AWS, with the same registry.
    Beside,
}

/// A running stack. Its processes end with the command.
pub(crate) struct Stack {
    pub(crate) ports: Ports,
    pub(crate) outputs: Outputs,
    /// The file that tells the stack's users where everything is; they find it through [`Stack::VARIABLE`].
    pub(crate) description: PathBuf,
    services: Vec<Service>,
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
        peer: Peer,
        run: &RunDirectory,
    ) -> Result<Self, Failure> {
        let template = sam_build::local(tools, host, run)?;
        cargo::build_programs(host, run)?;
        let (aws, registry) = steps::run("start MiniStack and the registry stand-in", || {
            Ok((ministack::start(tools, ports.aws, iam, run)?, services::start_registry(host, &ports, run)?))
        })?;
        let home = Site::home(&ports);
        let peer = (peer == Peer::Beside).then(|| Site::peer(&ports));
        let origin_secret = &OriginSecret::generate()?;
        let with = Workbench { tools, host, ports: &ports, origin_secret, template: &template, run };
        let (outputs, peer_outputs) =
            steps::run("deploy the stack (sam deploy)", || deploy_beside(with, home, peer))?;
        let mut parts = vec![aws, registry];
        let mut described = describe(with, home, &outputs, iam)?;
        steps::run("start the front door", || {
            parts.push(services::start_front_door(host, home, &outputs, origin_secret, run)?);
            if let Some((peer, outputs)) = peer.zip(peer_outputs) {
                parts.push(services::start_front_door(host, peer, &outputs, origin_secret, run)?);
                described["peer"] = describe(with, peer, &outputs, iam)?;
            }
            Ok(())
        })?;
        steps::run("reconcile with the registry", || {
            [Some(home), peer].into_iter().flatten().try_for_each(|site| deployment::reconcile(with, site))
        })?;

        let description = run.file("stack.json");
        fs::write(&description, described.to_string())
            .map_err(|error| Failure::io("cannot write stack.json", &error))?;
        parts.push(steps::run("start the web page", || {
            services::start_page(host, &ports, &description, run)
        })?);
        Ok(Self { ports, outputs, description, services: parts })
    }

    /// Fails if a part of the stack has ended.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.services.iter().try_for_each(Service::check)
    }
}

/// Deploys one stack, and its peer at the same time.
fn deploy_beside(
    with: Workbench<'_>,
    home: Site,
    peer: Option<Site>,
) -> Result<(Outputs, Option<Outputs>), Failure> {
    thread::scope(|scope| {
        let peers = peer.map(|peer| scope.spawn(move || deployment::deploy(with, peer, Some(home))));
        let outputs = deployment::deploy(with, home, peer)?;
        let peer_outputs = peers.map(|peers| peers.join().unwrap_or_else(|panic| resume_unwind(panic)));
        Ok((outputs, peer_outputs.transpose()?))
    })
}

fn describe(with: Workbench<'_>, site: Site, outputs: &Outputs, iam: Iam) -> Result<Value, Failure> {
    let Workbench { ports, origin_secret, .. } = with;
    let origin = |port: u16| format!("http://127.0.0.1:{port}");
    let all: Map<String, Value> = outputs.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    Ok(json!({
        "awsEndpoint": origin(ports.aws),
        "region": deployment::REGION,
        "stackName": site.stack_name,
        "accessKey": site.access_key,
        "iamEnforced": iam == Iam::Enforced,
        "proxyUrl": site.origin(),
        "registryUrl": origin(ports.registry),
        "pageUrl": origin(ports.page),
        "originSecret": origin_secret.as_str(),
        "httpApiUrl": outputs.get("HttpApiUrl")?,
        "internalService": { "id": deployment::INTERNAL_SERVICE.0, "secret": deployment::INTERNAL_SERVICE.1 },
        "webSocketUrl": outputs.get("WebSocketUrl")?,
        "outputs": all,
    }))
}
