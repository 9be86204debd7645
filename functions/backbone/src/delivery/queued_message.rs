//! A message, and what is kept of it when it can never be handled.

use crate::reason_code::ReasonCode;
use crate::stores::{DeadLetter, SourceQueue};

/// A message as the queue shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The queue that shows it.
    pub queue: SourceQueue,
    /// The queue's id of it; a redrive gives a new one.
    pub message_id: String,
    /// The handle by which it is shown again.
    pub receipt_handle: String,
    /// The text that was sent.
    pub body: String,
    /// Its version attribute.
    pub version: Option<String>,
    /// Its attribute that names the proxy it comes from, as that proxy wrote it.
    pub origin_proxy: Option<String>,
    /// Its correlation id attribute; the message's own id stands in where there is none.
    pub correlation_id: Option<String>,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// When the queue took it, in milliseconds since the Unix epoch; 0 if SQS does not say.
    pub sent_ms: u64,
    /// When it was received first, in milliseconds since the Unix epoch.
    pub first_seen_ms: u64,
}

impl QueuedMessage {
    pub(crate) fn correlation_id(&self) -> &str {
        self.correlation_id.as_deref().unwrap_or(&self.message_id)
    }

    /// What every line about this message says of it; an error's span, so that no level of logging leaves it out.
    pub(crate) fn span(&self) -> tracing::Span {
        tracing::error_span!("message", correlation.id = self.correlation_id(), message.id = self.message_id)
    }

    /// What is kept of a message, or of the receipt that it led to, when it can never be handled.
    pub(crate) fn dead_letter(&self, body: String, reason_code: ReasonCode, reason: String) -> DeadLetter {
        DeadLetter {
            queue: self.queue,
            body,
            version: self.version.clone(),
            origin_proxy: self.origin_proxy.clone(),
            reason_code,
            reason,
            receive_count: self.receive_count,
            original_message_id: self.message_id.clone(),
            first_seen_ms: self.first_seen_ms,
            correlation_id: self.correlation_id().to_owned(),
        }
    }
}
