//! Agents to test with.

use acceptance::connector::{Connector, Receipt, Status};
use acceptance::registry_client::RegistryClient;
use acceptance::stack::Stack;
use acceptance::stamp;

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
