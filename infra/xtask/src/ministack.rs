//! MiniStack, the local AWS.

use std::time::Duration;

use crate::failure::Failure;
use crate::processes::{self, Service};
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::{local_http, workspace};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// Whether the functions' roles are enforced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iam {
    /// Every call is checked against the role of its caller.
    Enforced,
    /// Everybody may do everything.
    Ignored,
}

/// Starts MiniStack and waits until it answers.
///
/// Its environment is made from nothing, because every function inherits it.
pub(crate) fn start(
    tools: &PythonTools,
    port: u16,
    iam: Iam,
    run: &RunDirectory,
) -> Result<Service, Failure> {
    let mut command = workspace::command(tools.program("ministack"));
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("PYTHONPATH", workspace::root().join("infra/local/python"))
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("GATEWAY_PORT", port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("IOT_MTLS_ENABLED", "0")
        .env("LAMBDA_EXECUTOR", "local")
        .env("LOG_LEVEL", "WARNING")
        .env("AUTH", if iam == Iam::Enforced { "true" } else { "false" })
        .env("TMPDIR", run.state("tmp")?)
        .env("STATE_DIR", run.state("state")?)
        .env("S3_DATA_DIR", run.state("s3")?);
    let service = processes::start("MiniStack", &mut command, &run.file("ministack.log"))?;
    service.wait_until(READY_WITHIN, || local_http::answers(port, "/_ministack/health"))?;
    Ok(service)
}
