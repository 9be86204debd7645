//! Receipts and mailboxes.

use std::collections::{HashMap, HashSet};
use std::future::Future;

use crate::connection::ConnectionRow;
use crate::did::AgentDid;
use crate::receipt::{Receipt, ReceiptKey, StoredReceipt};
use crate::stores::StoreError;
use crate::trust::{Pair, PairHomes};

/// What a batch needs to know before it decides, read at once.
#[derive(Clone, Debug, Default)]
pub struct DeliveryState {
    /// The rows of the agents that have one.
    pub connections: HashMap<AgentDid, ConnectionRow>,
    /// The receipts that are stored.
    pub receipts: HashMap<ReceiptKey, StoredReceipt>,
    /// Those of the agents that are revoked.
    pub revoked: HashSet<AgentDid>,
    /// The pairs that exist, and where their agents are at home.
    pub pairs: HashMap<Pair, PairHomes>,
}

/// What became of a receipt offered to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a stale receipt has not been recorded"]
pub enum Recorded {
    /// It is the stored one now.
    Stored,
    /// A later one is stored, or one of another recipient, and stays.
    Stale,
}

/// One item of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxItem {
    /// As it was put in.
    Readable(Waiting),
    /// Nobody can tell any more what it was.
    Unreadable(UnreadableItem),
}

/// An item of a mailbox that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableItem {
    /// Its name in the table.
    pub item: String,
    /// All its attributes, as text for a person.
    pub attributes: String,
}

/// A receipt that waits for its sender, with all that its frame needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The state to be told.
    pub receipt: Receipt,
    /// When it is given up, in seconds since the Unix epoch.
    pub expires_at_s: u64,
    /// The id that follows it through the system; `None` where whoever put it in knew none.
    pub correlation_id: Option<String>,
}

/// Receipts and mailboxes.
pub trait ReceiptStore {
    /// Reads all that a batch needs, strongly consistent: the receipts of `receipts`, the connection and the
    /// revocation of each of `agents`, and the pairs of `pairs`.
    fn read_for_delivery(
        &self,
        receipts: &[ReceiptKey],
        agents: &[AgentDid],
        pairs: &[Pair],
    ) -> impl Future<Output = Result<DeliveryState, StoreError>> + Send;
    /// Stores a state unless a later one is there, or one of another recipient, whenever that was said.
    fn record(&self, row: &StoredReceipt) -> impl Future<Output = Result<Recorded, StoreError>> + Send;
    /// Replaces what was read before, if that is still what is stored: the time at which the same was said again, or
    /// that it is to be pushed again. Done already counts as stored.
    fn replace(
        &self,
        seen: &StoredReceipt,
        row: &StoredReceipt,
    ) -> impl Future<Output = Result<Recorded, StoreError>> + Send;
    /// Puts a receipt into its sender's mailbox; the same one again changes nothing but how long it is kept. It stays
    /// under the correlation id that it came with, whoever puts it in again.
    fn keep_waiting(&self, waiting: &Waiting) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Takes a receipt out of its sender's mailbox; one that is not there changes nothing.
    fn stop_waiting(&self, receipt: &Receipt) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// The oldest items of an agent's mailbox, at most `limit`, oldest first, strongly consistent.
    fn waiting(
        &self,
        agent: &AgentDid,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<MailboxItem>, StoreError>> + Send;
    /// Takes an unreadable item out of an agent's mailbox.
    fn remove_unreadable(
        &self,
        agent: &AgentDid,
        item: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// One receipt, strongly consistent.
    fn find(
        &self,
        key: &ReceiptKey,
    ) -> impl Future<Output = Result<Option<StoredReceipt>, StoreError>> + Send;
}
