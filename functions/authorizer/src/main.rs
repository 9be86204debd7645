//! The `authorizer` function. Wiring only.

use authorizer::handler::{AuthorizerAnswer, AuthorizerEvent, AuthorizerFailure, AuthorizerFunction};
use backbone::metrics::Tally;
use backbone_aws::settings::Settings;
use backbone_aws::{Aws, log};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

const SERVICE: &str = "authorizer";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = |name: &str| std::env::var(name).ok();
    log::start(SERVICE, &env);
    let aws = Aws::new(Settings::from_env(&env, &authorizer::SETTINGS)?)?;
    let function = AuthorizerFunction::from_settings(aws.settings())?;
    run(service_fn(|event| handle(&aws, &function, event))).await
}

async fn handle(
    aws: &Aws,
    function: &AuthorizerFunction,
    event: LambdaEvent<AuthorizerEvent>,
) -> Result<AuthorizerAnswer, AuthorizerFailure> {
    let LambdaEvent { payload, context } = event;
    let invocation = aws.invocation(&context.request_id, context.deadline);
    let tally = Tally::default();
    let answer = function.handle(&invocation, &payload, &context.request_id, &tally).await;
    aws.emit(SERVICE, &tally);
    answer
}
