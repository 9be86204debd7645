//! The `connection` function. Wiring only.

use backbone::metrics::Tally;
use backbone_aws::settings::Settings;
use backbone_aws::{Aws, log};
use connection::handler::{ConnectionFunction, RouteAnswer};
use connection::socket_event::SocketEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

const SERVICE: &str = "connection";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = |name: &str| std::env::var(name).ok();
    log::start(SERVICE, &env);
    let aws = Aws::new(Settings::from_env(&env, &connection::SETTINGS)?)?;
    let function = ConnectionFunction::from_settings(aws.settings())?;
    run(service_fn(|event| handle(&aws, &function, event))).await
}

async fn handle(
    aws: &Aws,
    function: &ConnectionFunction,
    event: LambdaEvent<SocketEvent>,
) -> Result<RouteAnswer, Error> {
    let LambdaEvent { payload, context } = event;
    let invocation =
        aws.invocation(&context.request_id, context.deadline).traced(context.xray_trace_id.as_deref());
    let tally = Tally::default();
    let answer = function.handle(&invocation, &payload, &tally).await;
    aws.emit(SERVICE, &tally);
    Ok(answer)
}
