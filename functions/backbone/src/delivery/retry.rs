//! When a record is shown again.

use super::QueuedMessage;
use crate::id::Id;
use crate::limits::{BACK_OFF_FIRST_S, BACK_OFF_S_MAX, RECEIVES_BEFORE_MAILBOX};

/// The back-off of a record: doubling with each receive, with full jitter, at least a second.
///
/// The jitter comes from a hash of the message and its receive count: records that failed together come back apart,
/// and a simulated run can be repeated.
pub(crate) fn wait_s(message: &QueuedMessage) -> u32 {
    let doublings = message.receive_count.saturating_sub(1).min(16);
    let longest = BACK_OFF_FIRST_S.saturating_mul(1 << doublings).min(BACK_OFF_S_MAX);
    let dice = Id::derive(0, &[&message.message_id, &message.receive_count.to_string()]).random_u32();
    1 + dice % longest
}

/// Whether the record must not go back to the queue any more: a few receives are left to the queue itself, for
/// invocations that die.
pub(super) const fn is_last_own_attempt(message: &QueuedMessage) -> bool {
    message.receive_count >= RECEIVES_BEFORE_MAILBOX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::SourceQueue;

    fn message(id: usize, receive_count: u32) -> QueuedMessage {
        QueuedMessage {
            queue: SourceQueue::Receipts,
            message_id: format!("m{id}"),
            receipt_handle: String::new(),
            body: String::new(),
            version: None,
            origin_proxy: None,
            correlation_id: None,
            receive_count,
            sent_ms: 0,
            first_seen_ms: 0,
        }
    }

    #[test]
    fn waits_double_and_are_spread_over_their_whole_range() {
        for (receive_count, longest) in [(1, 2), (2, 4), (5, 32), (9, 300), (100, 300)] {
            let waits: Vec<_> = (0..1_000).map(|id| wait_s(&message(id, receive_count))).collect();
            let (shortest, longest_seen) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!((1..=1 + longest / 50).contains(shortest), "{shortest}");
            assert!((longest - longest / 50..=longest).contains(longest_seen), "{longest_seen}");
        }
    }

    #[test]
    fn the_seventh_receive_is_the_last_of_our_own() {
        assert!(!is_last_own_attempt(&message(0, 6)));
        assert!(is_last_own_attempt(&message(0, 7)));
    }
}
