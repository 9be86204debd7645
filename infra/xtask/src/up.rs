//! `cargo xtask up`: the stack, until Ctrl-C.

use std::thread;
use std::time::Duration;

use crate::deployment;
use crate::failure::Failure;
use crate::ministack::Iam;
use crate::ports::Ports;
use crate::python_tools::PythonTools;
use crate::run_directory::RunDirectory;
use crate::stack::{Peer, Stack};
use crate::workspace::Host;

const CHECK_EVERY: Duration = Duration::from_millis(500);

pub(crate) fn run() -> Result<(), Failure> {
    let host = Host::detect()?;
    let run = RunDirectory::create("up")?;
    let tools = PythonTools::ensure(&run)?;
    let stack = Stack::bring_up(&tools, &host, Ports::familiar()?, Iam::Ignored, Peer::None, &run)?;
    print!("{}", introduction(&stack, &host, &run)?);
    loop {
        stack.check().map_err(|failure| failure.in_step("keep the stack up"))?;
        thread::sleep(CHECK_EVERY);
    }
}

/// What one wants to paste into another terminal.
fn introduction(stack: &Stack, host: &Host, run: &RunDirectory) -> Result<String, Failure> {
    let Ports { aws, registry, front_door, peer_front_door: _, page } = stack.ports;
    let region = deployment::REGION;
    let http_api = stack.outputs.get("HttpApiUrl")?;
    let web_socket_api = stack.outputs.get("WebSocketUrl")?;
    let receipts_queue = stack.outputs.get("ReceiptsQueueUrl")?;
    let receipts_table = stack.outputs.get("ReceiptsTable")?;
    let receipt_function = stack.outputs.get("ReceiptFunction")?;
    let variable = Stack::VARIABLE;
    let description = stack.description.display();
    let connector = host.program("connector");
    let connector = connector.display();
    let logs = run.path().display();
    Ok(format!(
        r#"
The stack is up; Ctrl-C ends it.

  what it is doing    http://127.0.0.1:{page}
  for connectors      http://127.0.0.1:{front_door}
  registry stand-in   http://127.0.0.1:{registry}
  local AWS           http://127.0.0.1:{aws} ({region}, access key and secret "test")
  HTTP API            {http_api}
  WebSocket API       {web_socket_api}
  logs                {logs}

Is it there?
  curl -i http://127.0.0.1:{front_door}/health
What does a refusal look like?
  curl -i -d '{{}}' http://127.0.0.1:{front_door}/v1/relay/delivery-receipts
  websocat ws://127.0.0.1:{front_door}/v1/relay/connect
Be an agent (docs/local-tour.md goes on from here):
  {connector} listen --proxy http://127.0.0.1:{front_door} --registry http://127.0.0.1:{registry} --name alice --identity {logs}/alice.json
Look inside (AWS CLI version 2):
  export AWS_ENDPOINT_URL=http://127.0.0.1:{aws} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION={region}
  aws dynamodb scan --table-name {receipts_table}
  aws logs tail /aws/lambda/{receipt_function}
  curl 'http://127.0.0.1:{aws}/_ministack/sqs/messages?QueueUrl={receipts_queue}'
For the operator's command line, and for the tests:
  export {variable}={description}
"#
    ))
}
