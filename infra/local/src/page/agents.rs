//! Agents and their sockets.

use std::collections::BTreeMap;

use serde::Serialize;

use super::receipts::{Receipt, Stage};
use super::registry::RegisteredAgent;
use super::tables::Item;

/// An agent, wherever the stack has heard of it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Agent {
    pub(super) did: String,
    /// As registered; absent for an agent of another registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// By the registry or by this stack.
    pub(super) revoked: bool,
    /// The newest socket, unless it has been closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) socket: Option<Socket>,
    /// How many of the receipts that are for it wait in its mailbox.
    pub(super) waiting: usize,
    /// When the first of those was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waiting_since_ms: Option<u64>,
    /// When the stack last heard of it; 0 if it is only registered.
    pub(super) seen_at_ms: u64,
}

/// A socket that nobody has closed yet.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Socket {
    connection_id: String,
    connected_at_ms: u64,
    /// From then on nobody believes in it.
    lease_expires_at_ms: u64,
}

/// All agents: those with a socket first, then those for whom something waits, then those heard of last.
pub(super) fn gather(
    registered: Vec<RegisteredAgent>,
    connections: &[Item],
    revocations: &[Item],
    receipts: &[Receipt],
    now_ms: u64,
) -> Vec<Agent> {
    let mut agents = Agents::default();
    for RegisteredAgent { agent_did, name, active } in registered {
        let agent = agents.of(&agent_did);
        (agent.name, agent.revoked) = (Some(name), !active);
    }
    for row in connections {
        let Some(did) = row.text("agentDid") else { continue };
        let agent = agents.of(&did);
        let connected_at_ms = row.number("connectedAt").unwrap_or_default();
        agent.seen_at_ms = agent.seen_at_ms.max(connected_at_ms);
        let lease_expires_at_ms = row.number("leaseExpiresAt").unwrap_or_default();
        agent.socket = row
            .text("connectionId")
            .filter(|_| lease_expires_at_ms > now_ms)
            .map(|connection_id| Socket { connection_id, connected_at_ms, lease_expires_at_ms });
    }
    for key in revocations.iter().filter_map(|row| row.text("key")) {
        agents.of(key.trim_start_matches("agent#")).revoked = true;
    }
    for receipt in receipts {
        let accepted_at_ms = receipt.accepted_at_ms;
        let recipient = agents.of(&receipt.recipient);
        recipient.seen_at_ms = recipient.seen_at_ms.max(accepted_at_ms);
        let sender = agents.of(&receipt.sender);
        sender.seen_at_ms = sender.seen_at_ms.max(accepted_at_ms);
        if receipt.stage == Stage::Waiting {
            sender.waiting += 1;
            let since_ms = sender.waiting_since_ms.map_or(accepted_at_ms, |since| since.min(accepted_at_ms));
            sender.waiting_since_ms = Some(since_ms);
        }
    }
    let mut agents: Vec<_> = agents.0.into_values().collect();
    agents.sort_by_key(|agent| {
        (agent.socket.is_none(), agent.waiting == 0, std::cmp::Reverse(agent.seen_at_ms))
    });
    agents
}

#[derive(Default)]
struct Agents(BTreeMap<String, Agent>);

impl Agents {
    fn of(&mut self, did: &str) -> &mut Agent {
        let agent = self.0.entry(did.to_owned()).or_default();
        did.clone_into(&mut agent.did);
        agent
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue::{N, S};

    use super::*;

    fn row(did: &str, lease_expires_at_ms: u64) -> Item {
        Item::from([
            ("agentDid", S(did.to_owned())),
            ("connectionId", S("c=".to_owned())),
            ("connectedAt", N("5".to_owned())),
            ("leaseExpiresAt", N(lease_expires_at_ms.to_string())),
        ])
    }

    fn waiting(accepted_at_ms: u64) -> Receipt {
        let (sender, recipient) = ("away".to_owned(), "posts".to_owned());
        Receipt { sender, recipient, stage: Stage::Waiting, accepted_at_ms, ..Receipt::default() }
    }

    #[test]
    fn an_agent_is_put_together_from_everywhere() {
        let registered = RegisteredAgent { agent_did: "live".into(), name: "alice".into(), active: true };
        let revocation = Item::from([("key", S("agent#posts".to_owned()))]);
        let receipts = [waiting(9), waiting(7)];
        let rows = [row("live", 11), row("over", 10)];
        let agents = gather(vec![registered], &rows, &[revocation], &receipts, 10);
        let dids: Vec<_> = agents.iter().map(|agent| agent.did.as_str()).collect();
        assert_eq!(dids, ["live", "away", "posts", "over"]);
        assert!(agents[0].socket.is_some() && agents[0].name.as_deref() == Some("alice"));
        assert_eq!((agents[1].waiting, agents[1].waiting_since_ms), (2, Some(7)));
        assert!(agents[2].revoked && !agents[1].revoked);
        assert!(agents[3].socket.is_none(), "nobody believes in a socket whose lease is over");
    }
}
