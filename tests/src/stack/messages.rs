//! Looking at the messages of a queue without receiving them, which only the local AWS lets one do.

use serde_json::Value;

use super::Stack;
use crate::connector::{HttpAnswer, NoAnswer, http_client};

/// A message as it lies on its queue.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    /// Its id.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// How often it was received.
    pub receives: u64,
    /// Whether nobody can receive it now: it is in somebody's hands, or for later.
    pub is_hidden: bool,
    /// Since when, or from when on, it can be received, in seconds since the Unix epoch.
    pub visible_at_s: u64,
}

impl Stack {
    /// All messages of one of the stack's queues.
    ///
    /// # Errors
    ///
    /// If the local AWS does not answer.
    pub async fn messages(&self, queue_url: &str) -> Result<Vec<QueueMessage>, NoAnswer> {
        let url = format!("{}/_ministack/sqs/messages?QueueUrl={queue_url}", self.aws_endpoint);
        let answer = HttpAnswer::read(http_client().get(url).send().await).await?;
        // { "messages": { account: { region: { queue URL: [ message ] } } } }
        let queues = members(&answer.json["messages"]).flat_map(members).flat_map(members);
        let messages = queues.filter_map(Value::as_array).flatten().filter_map(|message| {
            Some(QueueMessage {
                id: message["MessageId"].as_str()?.to_owned(),
                body: message["Body"].as_str()?.to_owned(),
                receives: message["ReceiveCount"].as_u64()?,
                is_hidden: message["IsVisible"] == false,
                visible_at_s: message["VisibleAt"].as_u64()?,
            })
        });
        Ok(messages.collect())
    }
}

fn members(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flat_map(serde_json::Map::values)
}
