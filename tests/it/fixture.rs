//! Agents to test with.

use acceptance::connector::{Connector, Receipt, Status};
use acceptance::eventually::eventually;
use acceptance::registry_client::RegistryClient;
use acceptance::stack::Stack;
use acceptance::stamp;
use serde_json::{Map, Value};

/// Two agents that trust each other, both at the front door: one that sends messages and hears of them, one that
/// receives messages and posts receipts.
pub(crate) struct Duo {
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
        let registry = RegistryClient::new(&stack.registry_url);
        let sender = registry.register("sender").await.unwrap();
        let recipient = registry.register("recipient").await.unwrap();
        Self {
            sender: Connector::new(sender, &stack.proxy_url).unwrap(),
            recipient: Connector::new(recipient, &stack.proxy_url).unwrap(),
            stack,
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

/// Waits for the dead letter with this body, and returns its attributes. It stays where it is.
pub(crate) async fn dead_letter(stack: &Stack, body: &str) -> Value {
    let sqs = stack.sqs();
    let letter = eventually("the dead letter", async || {
        let page = sqs
            .receive_message()
            .queue_url(&stack.outputs.receipts_dlq_url)
            .max_number_of_messages(10)
            .visibility_timeout(1)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|problem| format!("{problem:?}"))?;
        let seen = page.messages().len();
        let found =
            page.messages.unwrap_or_default().into_iter().find(|message| message.body() == Some(body));
        found.ok_or_else(|| format!("{seen} other dead letters"))
    })
    .await;
    let attributes = letter.message_attributes.unwrap_or_default().into_iter();
    let texts = attributes.map(|(name, value)| (name, value.string_value().unwrap().into()));
    Value::Object(texts.collect::<Map<_, _>>())
}
