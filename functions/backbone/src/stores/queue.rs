//! The receipts queue and its dead letters.

use std::future::Future;

use crate::queue_message::QueueMessage;
use crate::stores::StoreError;

/// The receipts queue.
pub trait ReceiptQueue {
    /// Sends a message, to be seen after `delay_s`. `Ok` means that it is durable.
    fn send(
        &self,
        message: &QueueMessage,
        correlation_id: &str,
        delay_s: u32,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Has a message that is being handled shown again after `after_s`, counted from now.
    fn show_again(
        &self,
        receipt_handle: &str,
        after_s: u32,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A message that can never be handled, with all that somebody needs who asks why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message as it was.
    pub body: String,
    /// Its version attribute: without it a message of another version would be misread after a redrive.
    pub version: Option<String>,
    /// A short name for the reason, to filter by.
    pub reason_code: &'static str,
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

/// The dead-letter queue.
pub trait DeadLetters {
    /// Keeps a dead letter. `Ok` means that it is durable.
    fn bury(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), StoreError>> + Send;
}
