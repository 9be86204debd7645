//! The message by which a system delivery lives.

use crate::system_delivery::DeliveryKey;

/// One turn of a system delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryTurn {
    /// Which one.
    pub key: DeliveryKey,
    /// Which turn of its row this is; `None` for a first one.
    pub due: Option<TurnTimes>,
}

/// The times by which a message knows its row, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnTimes {
    /// When the row was to be looked at next, by the note that followed this message.
    pub at_ms: u64,
    /// When the row was to be looked at before that note: what it says if the note failed.
    pub before_ms: u64,
}

impl DeliveryTurn {
    /// The first turn of a delivery, or a new one whatever turns there were before.
    #[must_use]
    pub const fn first(key: DeliveryKey) -> Self {
        Self { key, due: None }
    }

    /// Whether a row that is to be looked at at `next_at_ms` waits for this message. If it does not, another message has
    /// taken its place, unless that was lost: of two that were sent at the same time the one whose note was taken goes on.
    #[must_use]
    pub fn is_awaited(&self, next_at_ms: u64) -> bool {
        self.due.is_none_or(|due| [due.at_ms, due.before_ms].contains(&next_at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::AgentDid;
    use crate::id::Id;

    #[test]
    fn of_two_messages_sent_at_once_the_row_waits_for_one() {
        let recipient = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        let first = DeliveryTurn::first(DeliveryKey { recipient, delivery_id: Id::derive(1, &["x"]) });
        let sent_at = |at_ms| DeliveryTurn { due: Some(TurnTimes { at_ms, before_ms: 10 }), ..first.clone() };
        let (winner, loser) = (sent_at(55_000), sent_at(55_040));
        assert!(winner.is_awaited(55_000) && !loser.is_awaited(55_000));
        // Neither note was taken: both know the row, and the next notes decide.
        assert!(winner.is_awaited(10) && loser.is_awaited(10));
        assert!(first.is_awaited(10) && first.is_awaited(55_000));
    }
}
