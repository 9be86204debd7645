//! The `consumer` function. Wiring only.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use backbone::metrics::Tally;
use backbone_aws::settings::Settings;
use backbone_aws::{Aws, log};
use consumer::handler::{self, ConsumerSettings};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

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
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    let LambdaEvent { payload, context } = event;
    let invocation =
        aws.invocation(&context.request_id, context.deadline).traced(context.xray_trace_id.as_deref());
    let tally = Tally::default();
    let answer = handler::handle(&invocation, settings, payload, &tally).await;
    aws.emit(SERVICE, &tally);
    Ok(answer)
}
