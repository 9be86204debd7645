//! What deciding needs from outside, as verbs of this domain.
//!
//! Each trait has two implementations, AWS and the simulator, and one contract test runs on both. An expected
//! outcome (a lost race, a closed socket) is a `#[must_use]` enum and not an error; an error means that the answer is
//! not known.

mod access;
mod connections;
mod deliveries;
mod events;
mod gateway;
mod live_agents;
mod queue;
mod receipts;
mod registry;
mod trust;
mod trust_changes;

pub use self::access::{AccessStore, RememberedYes};
pub use self::connections::{Claimed, ConnectionStore};
pub use self::deliveries::{DeliveryPage, DeliveryStore, Kept, TurnNote};
pub use self::events::{EventQueue, EventSent};
pub use self::gateway::{Closed, Gateway, Push};
pub use self::live_agents::{ConnectionPages, LiveAgents};
pub use self::queue::{DeadLetter, DeadLetters, PeerQueues, ReceiptQueue, SourceQueue};
pub use self::receipts::{DeliveryState, MailboxItem, ReceiptStore, Recorded, UnreadableItem, Waiting};
pub use self::registry::{AccessAnswer, Registry};
pub use self::trust::{NonceClaim, NonceStore, TrustStore};
pub use self::trust_changes::{CrlSnapshot, Revoking, TrustChanges};

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
    /// The invocation's time was over before the call was done; it may not even have begun.
    #[error("{operation} was not done in what was left of the invocation's time")]
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
