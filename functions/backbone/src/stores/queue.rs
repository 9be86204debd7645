//! The queues and their dead letters.

use std::future::Future;

use crate::home::ProxyOrigin;
use crate::queue_message::QueueMessage;
use crate::reason_code::ReasonCode;
use crate::receipt::Receipt;
use crate::stores::StoreError;

/// A queue whose messages are handled here. Each has a dead-letter queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceQueue {
    /// The receipts queue: only this stack writes to it.
    Receipts,
    /// The peer queue: other accounts write to it, and nothing that it says is taken on trust.
    Peers,
    /// The events queue: the registry writes to it, and whoever may post events.
    Events,
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
