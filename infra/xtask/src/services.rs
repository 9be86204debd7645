//! The parts of the stack that are ours: the registry stand-in and the front door.

use std::time::Duration;

use crate::deployment::{Outputs, Site};
use crate::failure::Failure;
use crate::local_http;
use crate::ports::Ports;
use crate::processes::{self, Service};
use crate::run_directory::RunDirectory;
use crate::workspace::{self, Host};

const READY_WITHIN: Duration = Duration::from_secs(10);

/// Starts the registry stand-in. It needs no stack; the functions need it.
pub(crate) fn start_registry(host: &Host, ports: &Ports, run: &RunDirectory) -> Result<Service, Failure> {
    let mut command = workspace::command(host.program("registry"));
    command
        .args(["--port", &ports.registry.to_string()])
        .args(["--proxy-url", &format!("http://127.0.0.1:{}", ports.front_door)]);
    let service = processes::start("the registry stand-in", &mut command, &run.file("registry.log"))?;
    service.wait_until(READY_WITHIN, || local_http::answers(ports.registry, "/dev/health"))?;
    Ok(service)
}

/// Starts the front door of a deployed stack.
pub(crate) fn start_front_door(
    host: &Host,
    site: Site,
    outputs: &Outputs,
    run: &RunDirectory,
) -> Result<Service, Failure> {
    let mut command = workspace::command(host.program("front-door"));
    command
        .args(["--listen", &format!("127.0.0.1:{}", site.front_door)])
        .args(["--http-api", outputs.get("HttpApiUrl")?])
        .args(["--websocket-api", outputs.get("WebSocketUrl")?]);
    let service =
        processes::start("the front door", &mut command, &run.file(&site.file("front-door", "log")))?;
    service.wait_until(READY_WITHIN, || local_http::listens(site.front_door))?;
    Ok(service)
}
