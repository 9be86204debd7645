//! The tables, with the conditions that DynamoDB checks for us. Every violation that shows in a write is found here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use backbone::connection::{ConnectionHistory, ConnectionRef, ConnectionRow, Live};
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::receipt::{Receipt, ReceiptKey, StoredReceipt};
use backbone::stores::{Claimed, DeliveryState, Recorded, RememberedYes, Waiting};
use backbone::trust::{Pair, PairHomes, RegistryRows};

use crate::planted::Bug;

/// Where an item of a mailbox is: its sort key is made of the time, the message and the state's frame.
type MailboxKey = (AgentDid, u64, Id, Id);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) connections: BTreeMap<AgentDid, ConnectionRow>,
    pub(crate) receipts: BTreeMap<ReceiptKey, StoredReceipt>,
    mailbox: BTreeMap<MailboxKey, Waiting>,
    /// What a planted bug leaves out of conditions and keys.
    bug: Option<Bug>,
    /// The pairs that exist, and where their agents are at home.
    pub(crate) pairs: HashMap<Pair, PairHomes>,
    /// When an agent was revoked.
    pub(crate) revoked: BTreeMap<AgentDid, u64>,
    pub(crate) revoked_tokens: BTreeSet<Id>,
    /// Every yes of the registry of which something is left.
    pub(crate) access: BTreeMap<AgentDid, BTreeMap<String, RememberedYes>>,
    pub(crate) registry: RegistryRows,
}

impl Tables {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self { bug, ..Self::default() }
    }

    pub(crate) fn read_for_delivery(
        &self,
        receipts: &[ReceiptKey],
        agents: &[AgentDid],
        pairs: &[Pair],
    ) -> DeliveryState {
        let mut state = DeliveryState::default();
        for agent in agents {
            if let Some(row) = self.connections.get(agent) {
                state.connections.insert(agent.clone(), row.clone());
            }
            if self.revoked.contains_key(agent) {
                state.revoked.insert(agent.clone());
            }
        }
        for key in receipts {
            if let Some(row) = self.receipts.get(key) {
                state.receipts.insert(key.clone(), row.clone());
            }
        }
        for pair in pairs {
            if let Some(homes) = self.pairs.get(pair) {
                state.pairs.insert(pair.clone(), homes.clone());
            }
        }
        state
    }

    /// The conditional write of a state.
    pub(crate) fn record(&mut self, row: &StoredReceipt) -> Recorded {
        let key = row.receipt.key();
        let is_refused = self.receipts.get(&key).is_some_and(|stored| {
            let same = row.receipt.order() == stored.receipt.order();
            let undoes_a_push = same && row.pushed_at_ms.is_none() && stored.pushed_at_ms.is_some();
            let is_anothers = row.receipt.recipient != stored.receipt.recipient
                && self.bug != Some(Bug::RecipientsAreNotCompared);
            row.receipt.order() < stored.receipt.order() || undoes_a_push || is_anothers
        });
        if is_refused && self.bug != Some(Bug::RecordIsUnconditional) {
            return Recorded::Stale;
        }
        self.receipts.insert(key, row.clone());
        Recorded::Stored
    }

    /// The conditional write of a state that replaces a certain one.
    pub(crate) fn replace(&mut self, seen: &StoredReceipt, row: &StoredReceipt) -> Recorded {
        let says = |one: &StoredReceipt| (one.receipt.order(), one.pushed_at_ms);
        match self.receipts.get_mut(&row.receipt.key()) {
            Some(stored)
                if says(stored) == says(row) || seen.pushed_at_ms.is_some() && says(stored) == says(seen) =>
            {
                stored.clone_from(row);
                Recorded::Stored
            }
            Some(_) | None => Recorded::Stale,
        }
    }

    /// Puts an item into a mailbox, under the id of the one that has its key, which it returns.
    pub(crate) fn keep_waiting(&mut self, waiting: &Waiting) -> Option<Waiting> {
        let key = self.mailbox_key(&waiting.receipt);
        let id = self.mailbox.get(&key).and_then(|replaced| replaced.correlation_id.clone());
        let correlation_id = id.or_else(|| waiting.correlation_id.clone());
        self.mailbox.insert(key, Waiting { correlation_id, ..waiting.clone() })
    }

    pub(crate) fn stop_waiting(&mut self, receipt: &Receipt) -> Option<Waiting> {
        self.mailbox.remove(&self.mailbox_key(receipt))
    }

    /// The oldest of an agent's mailbox.
    pub(crate) fn waiting(&self, agent: &AgentDid, limit: usize) -> Vec<Waiting> {
        self.mailbox_of(agent).take(limit).cloned().collect()
    }

    pub(crate) fn mailbox_of<'a>(&'a self, agent: &'a AgentDid) -> impl Iterator<Item = &'a Waiting> {
        let zero = Id::parse("00000000000000000000000000").expect("it is a ULID");
        let first = (agent.clone(), 0, zero, zero);
        self.mailbox.range(first..).take_while(|(key, _)| key.0 == *agent).map(|(_, waiting)| waiting)
    }

    pub(crate) fn row(&self, agent: &AgentDid) -> ConnectionRow {
        self.connections.get(agent).cloned().unwrap_or_default()
    }

    pub(crate) fn claim(
        &mut self,
        newcomer: &ConnectionRef,
        lease_expires_at_ms: u64,
        history: ConnectionHistory,
        seen: Option<&str>,
    ) -> Claimed {
        let row = self.connections.entry(newcomer.agent.clone()).or_default();
        let current = row.live.as_ref().map(|live| live.connection_id.as_str());
        if current == Some(newcomer.connection_id.as_str()) {
            // Our own write, repeated after its answer was lost.
            return Claimed::Claimed;
        }
        if current != seen {
            return Claimed::Changed;
        }
        let live = Live {
            connection_id: newcomer.connection_id.clone(),
            connected_at_ms: newcomer.connected_at_ms,
            lease_expires_at_ms,
        };
        *row = ConnectionRow { live: Some(live), history, ..ConnectionRow::default() };
        Claimed::Claimed
    }

    /// Forgets a connection and returns the one that was forgotten. Without `checked` it forgets whichever is there, as
    /// a planted bug does.
    pub(crate) fn clear(&mut self, agent: &AgentDid, connection_id: &str, checked: bool) -> Option<String> {
        let row = self.connections.get_mut(agent)?;
        let live = row.live.take_if(|live| !checked || live.connection_id == connection_id)?;
        Some(live.connection_id)
    }

    /// The row of the agent if it still names this connection.
    pub(crate) fn row_of(&mut self, connection: &ConnectionRef) -> Option<&mut ConnectionRow> {
        let row = self.connections.get_mut(&connection.agent)?;
        let is_current = row.live.as_ref().is_some_and(|live| live.connection_id == connection.connection_id);
        is_current.then_some(row)
    }

    fn mailbox_key(&self, receipt: &Receipt) -> MailboxKey {
        let is_short = self.bug == Some(Bug::MailboxKeysCollide);
        let state = if is_short { receipt.request_id } else { receipt.frame_id() };
        (receipt.sender.clone(), receipt.processed_at_ms, receipt.request_id, state)
    }
}
