//! The `receipt` function. Wiring only.

use backbone::metrics::Tally;
use backbone_aws::http_api::{HttpEvent, HttpResponse};
use backbone_aws::settings::Settings;
use backbone_aws::{Aws, log};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use receipt::handler::ReceiptFunction;
use serde_json::value::RawValue;

const SERVICE: &str = "receipt";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = |name: &str| std::env::var(name).ok();
    log::start(SERVICE, &env);
    let aws = Aws::new(Settings::from_env(&env, &receipt::SETTINGS)?)?;
    let function = ReceiptFunction::from_settings(aws.settings())?;
    run(service_fn(|event| handle(&aws, &function, event))).await
}

async fn handle(
    aws: &Aws,
    function: &ReceiptFunction,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<HttpResponse, Error> {
    let LambdaEvent { payload, context } = event;
    // The runtime would note the path to every field, in case that one cannot be read: a third of the reading.
    let request: HttpEvent = serde_json::from_str(payload.get())?;
    let invocation =
        aws.invocation(&context.request_id, context.deadline).traced(context.xray_trace_id.as_deref());
    let tally = Tally::default();
    let answer = function.handle(&invocation, &request, &context.request_id, &tally).await;
    aws.emit(SERVICE, &tally);
    Ok(answer)
}
