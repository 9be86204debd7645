//! The queues, and what is on them, seen without receiving anything.

use std::collections::BTreeMap;

use backbone_aws::{Aws, Invocation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::Problem;
use super::registry::get_json;
use super::stack::{QueuePair, StackDescription};

const QUEUES: &str = "the local SQS";
/// The longest that one request of the page may take, in milliseconds: half a queue may have to be looked through.
const REQUEST_LIMIT_MS: u64 = 60_000;

/// The queues of a stack.
pub(super) struct Queues {
    aws: Aws,
    pub(super) pairs: Vec<QueuePair>,
    http: reqwest::Client,
    peek_url: String,
}

/// How many messages a queue holds. Exact on the local SQS.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueueDepth {
    /// `receipts`, `events` and so on.
    pub(super) name: String,
    /// Ready to be received.
    pub(super) visible: u64,
    /// Received and not yet deleted.
    pub(super) in_flight: u64,
    /// Not ready yet.
    pub(super) delayed: u64,
}

/// A message as MiniStack shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    #[serde(rename = "MessageId")]
    pub(super) id: String,
    pub(super) body: String,
    /// Seconds since the Unix epoch.
    sent_timestamp: u64,
    pub(super) receive_count: u64,
    pub(super) is_visible: bool,
    #[serde(rename = "MessageAttributes")]
    attributes: BTreeMap<String, Value>,
}

impl Message {
    /// A text attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?["StringValue"].as_str()
    }

    pub(super) fn sent_at_ms(&self) -> u64 {
        self.sent_timestamp * 1_000
    }
}

impl Queues {
    pub(super) fn of(stack: &StackDescription) -> Self {
        Self {
            aws: stack.aws(),
            pairs: stack.queues(),
            http: super::registry::http_client(),
            peek_url: format!("{}/_ministack/sqs/messages", stack.aws_endpoint),
        }
    }

    pub(super) async fn depth(&self, pair: &QueuePair) -> Result<QueueDepth, Problem> {
        let depth = self.sqs().queue_depth(&pair.url).await.map_err(Problem::unavailable(QUEUES))?;
        let backbone_aws::QueueDepth { visible, in_flight, delayed } = depth;
        Ok(QueueDepth { name: pair.name.clone(), visible, in_flight, delayed })
    }

    /// The local SQS, for the time of one request.
    pub(super) fn sqs(&self) -> Invocation<'_> {
        self.aws.invocation("page", self.aws.now_ms().saturating_add(REQUEST_LIMIT_MS))
    }

    /// Every message of a queue, and none of them touched: MiniStack can show what SQS cannot.
    pub(super) async fn messages(&self, url: &str) -> Result<Vec<Message>, Problem> {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("QueueUrl", url).finish();
        let shown: Value = get_json(&self.http, &format!("{}?{query}", self.peek_url), QUEUES).await?;
        // By account, region and URL, of which there is one each.
        let accounts = shown["messages"].as_object().into_iter().flat_map(|accounts| accounts.values());
        let regions = accounts.filter_map(Value::as_object).flat_map(|regions| regions.values());
        let queues = regions.filter_map(Value::as_object).flat_map(|queues| queues.values());
        queues
            .filter_map(Value::as_array)
            .flatten()
            .map(|message| Message::deserialize(message).map_err(Problem::unavailable(QUEUES)))
            .collect()
    }
}
