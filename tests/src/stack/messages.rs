//! Looking at the messages of a queue without receiving them, which only the local AWS lets one do.

use serde_json::Value;

use super::Stack;
use crate::admin_api::AdminError;
use crate::connector::{HttpAnswer, http_client};

/// A message as it lies on its queue.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    /// Its id.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// How often it was received.
    pub receives: u64,
    /// When it was received first, in seconds since the Unix epoch.
    pub first_received_s: Option<u64>,
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
    /// [`AdminError`] if the local AWS does not answer, does not know the queue, or tells of a message anything else than
    /// expected: whoever waits for a message to go must not take that for its end.
    pub async fn messages(&self, queue_url: &str) -> Result<Vec<QueueMessage>, AdminError> {
        let url = format!("{}/_ministack/sqs/messages?QueueUrl={queue_url}", self.aws_endpoint);
        let answer = HttpAnswer::read(http_client().get(url).send().await).await?;
        let messages = (answer.status == 200).then(|| read(&answer.json, queue_url)).flatten();
        messages.ok_or_else(|| AdminError::Unexpected {
            call: format!("the messages of {queue_url}"),
            status: answer.status,
            body: answer.body,
        })
    }
}

/// `{ "messages": { account: { region: { queue URL: [ message ] } } } }`, with the account and the region that the URL
/// means. `None` if the queue is not there, or a message lacks something.
fn read(answer: &Value, queue_url: &str) -> Option<Vec<QueueMessage>> {
    let mut regions = members(&answer["messages"]).flat_map(members);
    let messages = regions.find_map(|queues| queues[queue_url].as_array())?;
    messages.iter().map(read_message).collect()
}

fn read_message(message: &Value) -> Option<QueueMessage> {
    let first_received = message.get("FirstReceiveTimestamp")?;
    let first_received_s = if first_received.is_null() { None } else { Some(first_received.as_u64()?) };
    Some(QueueMessage {
        id: message["MessageId"].as_str()?.to_owned(),
        body: message["Body"].as_str()?.to_owned(),
        receives: message["ReceiveCount"].as_u64()?,
        first_received_s,
        is_hidden: !message["IsVisible"].as_bool()?,
        visible_at_s: message["VisibleAt"].as_u64()?,
    })
}

fn members(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flat_map(serde_json::Map::values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "http://127.0.0.1:1/000000000000/a";

    fn answer(messages: &Value) -> Value {
        json!({ "messages": { "000000000000": { "us-east-1": { URL: messages } } } })
    }

    #[test]
    fn an_empty_queue_is_one_that_is_there() {
        assert_eq!(read(&answer(&json!([])), URL).map(|messages| messages.len()), Some(0));
        assert!(read(&answer(&json!([])), "http://127.0.0.1:1/000000000000/b").is_none());
        assert!(read(&json!({ "messages": {} }), URL).is_none());
        assert!(read(&json!({ "message": "it has failed" }), URL).is_none());
    }

    #[test]
    fn a_message_that_lacks_something_is_not_passed_over() {
        let whole = json!({
            "MessageId": "m", "Body": "b", "ReceiveCount": 0, "FirstReceiveTimestamp": null, "IsVisible": true,
            "VisibleAt": 7,
        });
        let messages = read(&answer(&json!([whole.clone()])), URL).expect("a message");
        assert_eq!((messages[0].visible_at_s, messages[0].is_hidden), (7, false));
        for name in whole.as_object().into_iter().flat_map(serde_json::Map::keys) {
            let mut less = whole.clone();
            less.as_object_mut().and_then(|fields| fields.remove(name));
            assert!(read(&answer(&json!([whole.clone(), less])), URL).is_none(), "{name}");
        }
    }
}
