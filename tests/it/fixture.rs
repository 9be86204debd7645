//! Agents to test with, and what is left of messages that nobody understands.

mod told;

use acceptance::connector::{Connector, Receipt, SignedRequest, Status};
use acceptance::eventually::eventually;
use acceptance::registry_client::RegistryClient;
use acceptance::stack::Stack;
use acceptance::stamp;
use aws_sdk_sqs::types::Message;
use serde_json::{Value, json};

pub(crate) use self::told::Told;

/// Two agents, each at its proxy's front door: one that sends messages and hears of them, one that
/// receives messages and posts receipts.
pub(crate) struct Duo {
    /// The sender's.
    pub(crate) stack: Stack,
    pub(crate) sender: Connector,
    pub(crate) recipient: Connector,
}

impl Duo {
    /// Two new agents on the running stack, paired.
    pub(crate) async fn paired() -> Self {
        let duo = Self::strangers().await;
        duo.stack.pair(duo.sender.did(), duo.recipient.did()).await.unwrap();
        duo
    }

    /// Two new agents on the running stack that have never met.
    pub(crate) async fn strangers() -> Self {
        let stack = Stack::running();
        Self::apart(&stack, &stack).await
    }

    /// Two new agents of which the sender is at home at `sender_home` and the recipient at `recipient_home`. Nobody has
    /// paired them.
    pub(crate) async fn apart(sender_home: &Stack, recipient_home: &Stack) -> Self {
        let registry = RegistryClient::new(&sender_home.registry_url);
        let sender = registry.register("sender").await.unwrap();
        let recipient = registry.register("recipient").await.unwrap();
        Self {
            sender: Connector::new(sender, &sender_home.proxy_url).unwrap(),
            recipient: Connector::new(recipient, &recipient_home.proxy_url).unwrap(),
            stack: sender_home.clone(),
        }
    }

    /// A receipt about a new message from the sender to the recipient.
    pub(crate) fn receipt(&self, status: Status, reason: Option<&str>) -> Receipt {
        Receipt {
            request_id: stamp::new_ulid(),
            sender_agent_did: self.sender.did().to_owned(),
            recipient_agent_did: self.recipient.did().to_owned(),
            status,
            reason: reason.map(str::to_owned),
        }
    }
}

/// Waits for the dead letter whose body contains `part`. It stays where it is.
pub(crate) async fn dead_letter(stack: &Stack, queue_url: &str, part: &str) -> Message {
    let sqs = stack.sqs();
    eventually("the dead letter", async || {
        let page = sqs
            .receive_message()
            .queue_url(queue_url)
            .max_number_of_messages(10)
            .visibility_timeout(1)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|problem| format!("{problem:?}"))?;
        let seen = page.messages().len();
        let found = page
            .messages
            .unwrap_or_default()
            .into_iter()
            .find(|message| message.body().is_some_and(|body| body.contains(part)));
        found.ok_or_else(|| format!("{seen} other dead letters"))
    })
    .await
}

/// An attribute of a dead letter.
pub(crate) fn text(letter: &Message, name: &str) -> String {
    letter.message_attributes().unwrap()[name].string_value().unwrap().to_owned()
}

/// A request as API Gateway hands it to a function.
pub(crate) fn http_event(request: &SignedRequest) -> Value {
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
    json!({
        "rawPath": path, "rawQueryString": query, "headers": header_object(request),
        "body": String::from_utf8(request.body.clone()).unwrap(),
        "requestContext": { "http": { "method": request.method.as_str() } },
    })
}

/// The headers as API Gateway hands them over.
pub(crate) fn header_object(request: &SignedRequest) -> Value {
    request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect()
}

/// The socket that the agent's row names.
pub(crate) async fn connection_id(stack: &Stack, agent_did: &str) -> Option<String> {
    let row = stack
        .dynamodb()
        .get_item()
        .table_name(&stack.outputs.connections_table)
        .key("agentDid", aws_sdk_dynamodb::types::AttributeValue::S(agent_did.to_owned()))
        .consistent_read(true)
        .send()
        .await
        .unwrap();
    row.item?.get("connectionId")?.as_s().ok().cloned()
}
