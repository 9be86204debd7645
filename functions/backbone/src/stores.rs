//! What deciding needs from outside, as verbs of this domain.
//!
//! Each trait has two implementations, AWS and the simulator, and one contract test runs on both. An expected
//! outcome (a lost race, a closed socket) is a `#[must_use]` enum and not an error; an error means that the answer is
//! not known.

use std::collections::{HashMap, HashSet};
use std::future::Future;

use crate::connection::{ConnectionHistory, ConnectionRef, ConnectionRow};
use crate::did::AgentDid;
use crate::home::ProxyOrigin;
use crate::id::Id;
use crate::queue_message::QueueMessage;
use crate::reason_code::ReasonCode;
use crate::receipt::{Receipt, ReceiptKey, StoredReceipt};
use crate::trust::{Pair, PairHomes, RegistryRows, TrustAnswer, TrustQuestion};

/// Why the outside did not answer. The effect of a write that failed so is unknown: it may have happened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The call failed, or was not answered in time.
    #[error("{operation} failed")]
    Unavailable {
        /// The domain verb.
        operation: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No time is left in this invocation for another call.
    #[error("{operation} was not begun: the invocation's time is over")]
    OutOfTime {
        /// The domain verb.
        operation: &'static str,
    },
    /// A stored item cannot be read.
    #[error("{operation} found an item that cannot be read: {what}")]
    Corrupt {
        /// The domain verb.
        operation: &'static str,
        /// Which attribute.
        what: &'static str,
    },
}

/// Time, as one invocation sees it.
pub trait Clock {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
    /// Milliseconds until this invocation must have ended, the reserve for its answer already taken off.
    fn time_left_ms(&self) -> u64;
}

/// Who is trusted.
pub trait TrustStore {
    /// Answers a request's question, strongly consistent.
    fn trust(&self, question: &TrustQuestion)
    -> impl Future<Output = Result<TrustAnswer, StoreError>> + Send;
    /// Whether `agent` is revoked, strongly consistent.
    fn agent_revoked(&self, agent: &AgentDid) -> impl Future<Output = Result<bool, StoreError>> + Send;
    /// What is known of the registry.
    fn registry_rows(&self) -> impl Future<Output = Result<RegistryRows, StoreError>> + Send;
}

/// Whether a nonce is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a used nonce is a replay"]
pub enum NonceClaim {
    /// It was free, and is ours now.
    Claimed,
    /// Somebody used it before.
    Used,
}

/// What is remembered of requests for a short while.
pub trait NonceStore {
    /// Claims the nonce with this hash for `agent` until `expires_at_s`. Repeating the claim within one invocation
    /// succeeds: it is the same request.
    fn claim_nonce(
        &self,
        agent: &AgentDid,
        nonce_hash: &str,
        expires_at_s: u64,
    ) -> impl Future<Output = Result<NonceClaim, StoreError>> + Send;
    /// Remembers that the registry said yes to an access token.
    fn remember_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Forgets a yes of the registry: it has said no since.
    fn forget_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Adds to the agent's requests of a minute (counted from the Unix epoch) and returns their total.
    fn add_requests(
        &self,
        agent: &AgentDid,
        minute: u64,
        requests: u32,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;
}

/// The registry's word on an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused token must not get through"]
pub enum AccessAnswer {
    /// The session is alive and the token its own.
    Accepted,
    /// It is not.
    Refused,
}

/// The identity registry.
pub trait Registry {
    /// The body of its key set.
    fn fetch_keys(&self) -> impl Future<Output = Result<String, StoreError>> + Send;
    /// The body of its revocation list, `None` while it has none.
    fn fetch_crl(&self) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;
    /// Asks about an access token.
    fn check_access(
        &self,
        agent: &AgentDid,
        ait_jti: Id,
        access_token: &str,
    ) -> impl Future<Output = Result<AccessAnswer, StoreError>> + Send;
}

/// A queue whose messages are handled here. Each has a dead-letter queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceQueue {
    /// The receipts queue: only this stack writes to it.
    Receipts,
    /// The peer queue: other accounts write to it, and nothing that it says is taken on trust.
    Peers,
}

/// The receipts queue, and what is handled beside it.
pub trait ReceiptQueue {
    /// Sends a message to the receipts queue, to be seen after `delay_s`. `Ok` means that it is durable.
    fn send(
        &self,
        message: &QueueMessage,
        correlation_id: &str,
        delay_s: u32,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Has a message that is being handled shown again after `after_s`, counted from now.
    fn show_again(
        &self,
        queue: SourceQueue,
        receipt_handle: &str,
        after_s: u32,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A message that can never be handled, with all that somebody needs who asks why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The queue that it belongs back to, whose dead-letter queue keeps it.
    pub queue: SourceQueue,
    /// The message as it was.
    pub body: String,
    /// Its version attribute: without it a message of another version would be misread after a redrive.
    pub version: Option<String>,
    /// The proxy that it said it came from: without it nobody would believe it after a redrive.
    pub origin_proxy: Option<String>,
    /// The reason, to filter by.
    pub reason_code: ReasonCode,
    /// The reason for a person; never quotes the body.
    pub reason: String,
    /// How often the message had been received.
    pub receive_count: u32,
    /// The message's id in the queue it came from.
    pub original_message_id: String,
    /// When the queue first showed it, in milliseconds since the Unix epoch.
    pub first_seen_ms: u64,
    /// The id that follows a receipt through the system.
    pub correlation_id: String,
}

/// The peers' queues.
pub trait PeerQueues {
    /// Sends a receipt to the peer at which its sender is at home. `Ok` means that it is durable there.
    fn forward(
        &self,
        peer: &ProxyOrigin,
        receipt: &Receipt,
        correlation_id: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The dead-letter queues.
pub trait DeadLetters {
    /// Keeps a dead letter. `Ok` means that it is durable.
    fn bury(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), StoreError>> + Send;
}

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
    /// A later one is stored, and stays.
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
    /// Stores a state unless a later one is there.
    fn record(&self, row: &StoredReceipt) -> impl Future<Output = Result<Recorded, StoreError>> + Send;
    /// Puts a receipt into its sender's mailbox; the same one again changes nothing.
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

/// Whether a connection row was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "somebody else may have been first"]
pub enum Claimed {
    /// The row names the newcomer.
    Claimed,
    /// The row is not what it was when it was read.
    Changed,
}

/// Who is connected.
pub trait ConnectionStore {
    /// An agent's row, strongly consistent; the default row if there is none.
    fn connection(&self, agent: &AgentDid) -> impl Future<Output = Result<ConnectionRow, StoreError>> + Send;
    /// Makes `newcomer` the agent's connection, not drained yet, if the row still names the socket it named in `seen`.
    fn claim_connection(
        &self,
        newcomer: &ConnectionRef,
        lease_expires_at_ms: u64,
        history: &ConnectionHistory,
        seen: &ConnectionRow,
    ) -> impl Future<Output = Result<Claimed, StoreError>> + Send;
    /// Forgets a connection if it is still the agent's; a newer one stays.
    fn clear_connection(
        &self,
        agent: &AgentDid,
        connection_id: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Notes when the first drain of a connection began; changes nothing if it has been noted, or if the connection is
    /// no longer the agent's.
    fn note_drain(
        &self,
        connection: &ConnectionRef,
        at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Notes when a drain of a connection was announced; changes nothing if the connection is no longer the agent's.
    fn note_drain_announced(
        &self,
        connection: &ConnectionRef,
        at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Sets the agent's short lives to none; changes nothing if the connection is no longer the agent's.
    fn end_quarantine(
        &self,
        connection: &ConnectionRef,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// System deliveries that wait for their acknowledgement.
pub trait DeliveryStore {
    /// Forgets a delivery that its recipient has acknowledged; one that is not there changes nothing.
    fn acknowledge(
        &self,
        agent: &AgentDid,
        delivery: Id,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// API Gateway's word on a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a frame that was not taken must be kept"]
pub enum Push {
    /// Taken. Whether the client reads it is out of our hands.
    Taken,
    /// 410: there is no such connection, or not yet.
    Gone,
    /// 413: the frame is larger than API Gateway carries.
    TooLarge,
    /// 403: this function may not post to that connection.
    Forbidden,
}

/// API Gateway's word on a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a connection that is only opening has to be closed later"]
pub enum Closed {
    /// Closed.
    Closed,
    /// 410: there is no such connection, or not yet.
    Gone,
}

/// The sockets.
pub trait Gateway {
    /// Posts one frame to a connection. 429, 5xx and silence are errors.
    fn push(&self, connection_id: &str, frame: &str)
    -> impl Future<Output = Result<Push, StoreError>> + Send;
    /// Closes a connection.
    fn close(&self, connection_id: &str) -> impl Future<Output = Result<Closed, StoreError>> + Send;
}
