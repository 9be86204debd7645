//! The `registry-events` function. Wiring only.

use backbone::metrics::Tally;
use backbone_aws::settings::Settings;
use backbone_aws::{Aws, log};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use registry_events::handler::RegistryEventsFunction;
use registry_events::trigger::Trigger;
use serde_json::Value;

const SERVICE: &str = "registry-events";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = |name: &str| std::env::var(name).ok();
    log::start(SERVICE, &env);
    let aws = Aws::new(Settings::from_env(&env, &registry_events::SETTINGS)?)?;
    let function = RegistryEventsFunction::from_settings(aws.settings())?;
    run(service_fn(|event| handle(&aws, &function, event))).await
}

async fn handle(
    aws: &Aws,
    function: &RegistryEventsFunction,
    event: LambdaEvent<Trigger>,
) -> Result<Value, Error> {
    let LambdaEvent { payload, context } = event;
    let invocation =
        aws.invocation(&context.request_id, context.deadline).traced(context.xray_trace_id.as_deref());
    let tally = Tally::default();
    let answer = function.handle(&invocation, payload, &context.request_id, &tally).await;
    aws.emit(SERVICE, &tally);
    Ok(answer?)
}
