//! The running local stack, as `cargo xtask` describes it to the tests.

mod command_line;
mod door;
mod messages;
mod operator;
mod private_table;
mod queue;

use std::path::Path;
use std::{env, fs, io};

use aws_credential_types::Credentials;
use aws_smithy_http_client::Builder as HttpClientBuilder;
use serde::Deserialize;

pub use self::command_line::{Description, Ended};
pub use self::door::DoorError;
pub use self::messages::QueueMessage;
pub use self::operator::OperatorError;
pub use self::private_table::{PrivateTable, TableKeys};
pub use self::queue::{Depth, Queue, text_attribute};

/// Names the file that describes the stack.
pub const STACK_VARIABLE: &str = "BACKBONE_STACK";

/// The secret of every access key of the local AWS.
const SECRET: &str = "test";

/// Where everything is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stack {
    /// The local AWS.
    pub aws_endpoint: String,
    /// Its region.
    pub region: String,
    /// The name it was deployed under.
    pub stack_name: String,
    /// What administers its account.
    pub access_key: String,
    /// Whether the local AWS enforces IAM policies.
    pub iam_enforced: bool,
    /// The front door: the one URL a connector is given.
    pub proxy_url: String,
    /// The registry stand-in.
    pub registry_url: String,
    /// The web page.
    pub page_url: String,
    /// What the front door proves itself with to the functions.
    pub origin_secret: String,
    /// The HTTP API without the front door.
    pub http_api_url: String,
    /// The WebSocket API's stage without the front door.
    pub web_socket_url: String,
    /// Who may post events.
    pub internal_service: InternalService,
    /// What the template puts out.
    pub outputs: Outputs,
    /// The stack in another account with which this one exchanges receipts, if there is one.
    pub peer: Option<Box<Stack>>,
}

/// The credentials of the service that may post events.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "both are what their names say")]
pub struct InternalService {
    pub id: String,
    pub secret: String,
}

/// The outputs of the template that tests use.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the template describes its outputs")]
pub struct Outputs {
    pub web_socket_api_id: String,
    pub web_socket_stage: String,
    pub connections_endpoint: String,
    pub receipts_queue_url: String,
    pub receipts_queue_arn: String,
    pub receipts_dlq_url: String,
    pub events_queue_url: String,
    pub events_dlq_url: String,
    pub peer_queue_url: String,
    pub peer_queue_arn: String,
    pub peer_dlq_url: String,
    pub connections_table: String,
    pub receipts_table: String,
    pub deliveries_table: String,
    pub trust_table: String,
    pub nonces_table: String,
    pub authorizer_function: String,
    pub connection_function: String,
    pub receipt_function: String,
    pub consumer_function: String,
    pub registry_events_function: String,
}

/// There is no usable description of a stack.
#[derive(Debug, thiserror::Error)]
pub enum NoStack {
    /// The variable is not set.
    #[error("{STACK_VARIABLE} is not set: start the stack with `cargo xtask test`, `demo` or `up`")]
    NotRunning,
    /// The file cannot be read.
    #[error("the file that {STACK_VARIABLE} names cannot be read")]
    Unreadable(#[source] io::Error),
    /// The file says something else than expected.
    #[error("the file that {STACK_VARIABLE} names does not describe a stack")]
    Malformed(#[source] serde_json::Error),
}

impl Stack {
    /// The stack that this process was started for.
    ///
    /// # Errors
    ///
    /// [`NoStack`].
    pub fn from_environment() -> Result<Self, NoStack> {
        let path = env::var_os(STACK_VARIABLE).ok_or(NoStack::NotRunning)?;
        Self::from_file(Path::new(&path))
    }

    /// The stack for a test: without one the test fails, it is not skipped.
    #[must_use]
    pub fn running() -> Self {
        Self::from_environment().unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn from_file(path: &Path) -> Result<Self, NoStack> {
        let text = fs::read(path).map_err(NoStack::Unreadable)?;
        serde_json::from_slice(&text).map_err(NoStack::Malformed)
    }

    /// A DynamoDB client with the administrator's rights.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new(self.region.clone()))
            .credentials_provider(self.credentials())
            .endpoint_url(&self.aws_endpoint)
            .http_client(HttpClientBuilder::new().build_http());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// An SQS client with the administrator's rights.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new(self.region.clone()))
            .credentials_provider(self.credentials())
            .endpoint_url(&self.aws_endpoint)
            .http_client(HttpClientBuilder::new().build_http());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// The same stack as another account sees it.
    #[must_use]
    pub fn seen_by(&self, access_key: &str) -> Self {
        Self { access_key: access_key.to_owned(), ..self.clone() }
    }

    /// The administrator of this stack's account.
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key, SECRET, None, None, "local stack")
    }

    /// The receipts queue.
    #[must_use]
    pub fn receipts_queue(&self) -> Queue {
        Queue::new(self.sqs(), &self.outputs.receipts_queue_url)
    }

    /// The events queue.
    #[must_use]
    pub fn events_queue(&self) -> Queue {
        Queue::new(self.sqs(), &self.outputs.events_queue_url)
    }

    /// Where receipts go that cannot be handled.
    #[must_use]
    pub fn receipts_dlq(&self) -> Queue {
        Queue::new(self.sqs(), &self.outputs.receipts_dlq_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let problem = Stack::from_file(Path::new("no such file")).unwrap_err();
        assert!(matches!(problem, NoStack::Unreadable(_)), "{problem}");
        assert!(NoStack::NotRunning.to_string().contains("cargo xtask test"));
    }
}
