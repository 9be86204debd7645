//! The events queue.

use std::future::Future;

use crate::stores::StoreError;

/// What became of an event that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an event that was not taken is nowhere"]
pub enum EventSent {
    /// The queue has it.
    Durable,
    /// The queue has refused it.
    Refused,
}

/// The events queue, as somebody who adds to it sees it.
pub trait EventQueue {
    /// Sends events, at most ten, and says of each in its order what became of it. An error means that it is known of
    /// none.
    fn send_events(
        &self,
        bodies: &[String],
        correlation_id: &str,
    ) -> impl Future<Output = Result<Vec<EventSent>, StoreError>> + Send;
}
