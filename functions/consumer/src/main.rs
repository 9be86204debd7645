//! The `consumer` function. Wiring only.

use backbone::metrics::Tally;
use backbone_aws::settings::Settings;
use backbone_aws::sqs_event::BatchResponse;
use backbone_aws::{Aws, log};
use consumer::handler::{self, ConsumerSettings};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;

const SERVICE: &str = "consumer";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = |name: &str| std::env::var(name).ok();
    log::start(SERVICE, &env);
    let aws = Aws::new(Settings::from_env(&env, &consumer::SETTINGS)?)?;
    let settings = ConsumerSettings::from_settings(aws.settings())?;
    run(service_fn(|event| handle(&aws, &settings, event))).await
}

async fn handle(
    aws: &Aws,
    settings: &ConsumerSettings,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<BatchResponse, Error> {
    let LambdaEvent { payload, context } = event;
    // The runtime would note the path to every field, in case that one cannot be read: a third of the reading.
    let batch = serde_json::from_str(payload.get())?;
    let invocation =
        aws.invocation(&context.request_id, context.deadline).traced(context.xray_trace_id.as_deref());
    let tally = Tally::default();
    let answer = handler::handle(&invocation, settings, batch, &tally).await;
    aws.emit(SERVICE, &tally);
    Ok(answer)
}
