//! What the backbone itself has to tell an agent: deliveries that are kept and repeated until they are acknowledged.
//!
//! A delivery's id is derived from the event behind it and is also its frame's id, so an event that comes twice makes
//! one delivery, and every repetition of a push carries the same id.

mod event;

use serde::Serialize;
use serde_json::Value;

pub use self::event::{GroupMemberJoined, GroupRole, PairAccepted, ResponderProfile};

use crate::did::AgentDid;
use crate::id::Id;
use crate::limits::{DELIVERY_ATTEMPTS_MAX, DELIVERY_REPEAT_FIRST_S, DELIVERY_REPEAT_S_MAX};

/// What a delivery comes from, as its frame says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliverySource {
    /// A `pair.accepted` event.
    PairAccepted,
    /// A `group.member.joined` event.
    GroupMemberJoined,
}

impl DeliverySource {
    /// The source's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PairAccepted => "proxy.events.queue.pair_accepted",
            Self::GroupMemberJoined => "proxy.events.queue.group_member_joined",
        }
    }

    /// Reads a name. `None` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::PairAccepted, Self::GroupMemberJoined].into_iter().find(|source| source.as_str() == text)
    }
}

impl Serialize for DeliverySource {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Which delivery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// Who is told.
    pub recipient: AgentDid,
    /// The delivery's id, which is its frame's too.
    pub delivery_id: Id,
}

/// One thing that an agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemDelivery {
    /// Its own id and its frame's.
    pub delivery_id: Id,
    /// Who is told.
    pub recipient: AgentDid,
    /// Who it is about.
    pub from: AgentDid,
    /// What it comes from.
    pub source: DeliverySource,
    /// What is told.
    pub payload: Value,
    /// The time of the event behind it, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

impl SystemDelivery {
    /// Which delivery it is.
    #[must_use]
    pub fn key(&self) -> DeliveryKey {
        DeliveryKey { recipient: self.recipient.clone(), delivery_id: self.delivery_id }
    }
}

/// A delivery that waits for its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelivery {
    /// What is to be told.
    pub delivery: SystemDelivery,
    /// How often API Gateway has taken its frame.
    pub attempts: u32,
    /// The connection that was pushed to last.
    pub pushed_to: Option<String>,
    /// When it is looked at again, in milliseconds since the Unix epoch; 0 before its first turn.
    pub next_at_ms: u64,
    /// When it is given up, in seconds since the Unix epoch.
    pub expires_at_s: u64,
}

/// What is to be done with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing before [`StoredDelivery::next_at_ms`].
    Later,
    /// Push it.
    Push,
    /// Give it up: its retention is over.
    Expired,
    /// Give it up: it has been pushed often enough.
    Unacknowledged,
}

impl StoredDelivery {
    /// What is to be done with it at `now_ms`.
    #[must_use]
    pub const fn due(&self, now_ms: u64) -> Due {
        if now_ms < self.next_at_ms { Due::Later } else { self.if_due(now_ms) }
    }

    /// Whether a drain of this connection is to push it at `now_ms`: a connection that it was not pushed to yet does not
    /// wait until it is due. What is to be given up is left to its own turn.
    #[must_use]
    pub fn is_to_be_drained(&self, connection_id: &str, now_ms: u64) -> bool {
        let is_new_there = self.pushed_to.as_deref() != Some(connection_id);
        (is_new_there || self.next_at_ms <= now_ms) && self.if_due(now_ms) == Due::Push
    }

    const fn if_due(&self, now_ms: u64) -> Due {
        if self.expires_at_s <= now_ms / 1_000 {
            Due::Expired
        } else if self.attempts >= DELIVERY_ATTEMPTS_MAX {
            Due::Unacknowledged
        } else {
            Due::Push
        }
    }
}

/// How long a delivery that was pushed for the `attempts`th time waits for its acknowledgement, in seconds.
#[must_use]
pub fn repeat_after_s(attempts: u32) -> u32 {
    let doublings = attempts.saturating_sub(1).min(16);
    DELIVERY_REPEAT_FIRST_S.saturating_mul(1 << doublings).min(DELIVERY_REPEAT_S_MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::event::tests::pair_accepted;
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let waits: Vec<_> = (1..=7).map(repeat_after_s).collect();
        assert_eq!(waits, [45, 90, 180, 360, 720, 900, 900]);
        assert_eq!(repeat_after_s(u32::MAX), 900);
    }

    #[test]
    fn a_delivery_is_pushed_given_up_or_left_alone() {
        let stored = StoredDelivery {
            delivery: SystemDelivery::of_pair_accepted(&pair_accepted()),
            attempts: 24,
            pushed_to: Some("here".to_owned()),
            next_at_ms: 50_000,
            expires_at_s: 100,
        };
        assert_eq!(stored.due(49_999), Due::Later);
        assert_eq!(stored.due(50_000), Due::Push);
        assert_eq!(stored.due(100_000), Due::Expired);
        let often = StoredDelivery { attempts: 25, ..stored.clone() };
        assert_eq!((often.due(49_999), often.due(50_000)), (Due::Later, Due::Unacknowledged));
        for (connection_id, now_ms, expected) in [
            ("here", 40_000, false),
            ("there", 40_000, true),
            ("here", 60_000, true),
            ("there", 100_000, false),
        ] {
            assert_eq!(stored.is_to_be_drained(connection_id, now_ms), expected, "{connection_id} {now_ms}");
            assert!(!often.is_to_be_drained(connection_id, now_ms));
        }
    }
}
