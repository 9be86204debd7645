//! What the backbone itself has to tell an agent: deliveries that are kept and repeated until they are acknowledged.
//!
//! A delivery's id is derived from the event behind it and is also its frame's id, so an event that comes twice makes
//! one delivery, and every repetition of a push carries the same id.

use serde::Serialize;
use serde_json::{Value, json};

use crate::did::AgentDid;
use crate::id::Id;
use crate::limits::{DELIVERY_ATTEMPTS_MAX, DELIVERY_REPEAT_FIRST_S, DELIVERY_REPEAT_S_MAX};
use crate::timestamp::to_iso;

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

/// Two agents have paired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairAccepted {
    /// Who began the pairing, and is told.
    pub initiator: AgentDid,
    /// Who accepted it.
    pub responder: AgentDid,
    /// What the responder is called, and where.
    pub responder_profile: ResponderProfile,
    /// Origin of the proxy that issued the pairing ticket, normalised.
    pub issuer_proxy_origin: String,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub event_at_ms: u64,
    /// Words for the initiator; never blank.
    pub message: Option<String>,
}

/// Names and home of an agent that has accepted a pairing. No text is blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponderProfile {
    /// The agent's name.
    pub agent_name: String,
    /// Its owner's name.
    pub human_name: String,
    /// Origin of its own proxy, normalised.
    pub proxy_origin: String,
}

/// What a member of a group may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRole {
    /// Speak.
    Member,
    /// Manage the group.
    Admin,
}

impl GroupRole {
    /// The role's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// Reads a name. `None` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Admin].into_iter().find(|role| role.as_str() == text)
    }
}

/// An agent has joined a group. No text is blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMemberJoined {
    /// Who is told.
    pub recipient: AgentDid,
    /// Who has joined.
    pub joined: AgentDid,
    /// What that one is called.
    pub joined_name: String,
    /// `grp_` and a ULID.
    pub group_id: String,
    /// What the group is called.
    pub group_name: String,
    /// What the newcomer may do there.
    pub role: GroupRole,
    /// When it joined, in milliseconds since the Unix epoch.
    pub joined_at_ms: u64,
    /// Words for the recipient; never blank.
    pub message: Option<String>,
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
    /// Tells the initiator of a pairing who has accepted it (contract 6.4).
    ///
    /// The owner's name is in it twice: one connector reads `humanName`, the other refuses a profile without
    /// `displayName`.
    #[must_use]
    pub fn of_pair_accepted(event: &PairAccepted) -> Self {
        let PairAccepted { initiator, responder, responder_profile: profile, .. } = event;
        let event_at = to_iso(event.event_at_ms);
        let dedupe_key = format!("pair.accepted:{initiator}:{responder}:{event_at}");
        let mut system = json!({
            "type": "pair.accepted",
            "initiatorAgentDid": initiator,
            "responderAgentDid": responder,
            "responderProfile": {
                "agentName": profile.agent_name,
                "humanName": profile.human_name,
                "displayName": profile.human_name,
                "proxyOrigin": profile.proxy_origin,
            },
            "issuerProxyOrigin": event.issuer_proxy_origin,
            "eventTimestampUtc": event_at,
        });
        if let Some(message) = &event.message {
            system["message"] = message.as_str().into();
        }
        Self {
            delivery_id: Id::derive(event.event_at_ms, &[&dedupe_key]),
            recipient: initiator.clone(),
            from: responder.clone(),
            source: DeliverySource::PairAccepted,
            payload: json!({ "system": system }),
            created_at_ms: event.event_at_ms,
        }
    }

    /// Tells an agent who has joined its group (contract 6.4).
    #[must_use]
    pub fn of_group_member_joined(event: &GroupMemberJoined) -> Self {
        let GroupMemberJoined { recipient, joined, joined_name, group_id, group_name, .. } = event;
        let joined_at = to_iso(event.joined_at_ms);
        let dedupe_key = format!("group.member.joined:{group_id}:{joined}:{recipient}:{joined_at}");
        let message = event.message.clone().unwrap_or_else(|| format!("{joined_name} joined {group_name}."));
        let payload = json!({
            "type": "clawdentity:group-member-joined",
            "event": "group.member.joined",
            "message": message,
            "groupId": group_id,
            "groupName": group_name,
            "joinedAgentDid": joined,
            "joinedAgentName": joined_name,
            "role": event.role.as_str(),
            "joinedAt": joined_at,
        });
        Self {
            delivery_id: Id::derive(event.joined_at_ms, &[&dedupe_key]),
            recipient: recipient.clone(),
            from: joined.clone(),
            source: DeliverySource::GroupMemberJoined,
            payload,
            created_at_ms: event.joined_at_ms,
        }
    }

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
        if now_ms < self.next_at_ms {
            Due::Later
        } else if self.expires_at_s <= now_ms / 1_000 {
            Due::Expired
        } else if self.attempts >= DELIVERY_ATTEMPTS_MAX {
            Due::Unacknowledged
        } else {
            Due::Push
        }
    }

    /// Whether a connection that was just opened, or is drained once more, is to be sent it at `now_ms`, due or not.
    #[must_use]
    pub fn is_to_be_drained(&self, connection_id: &str, now_ms: u64) -> bool {
        match self.due(now_ms) {
            Due::Push => true,
            Due::Later => {
                let is_new_there = self.pushed_to.as_deref() != Some(connection_id);
                is_new_there && Self { next_at_ms: 0, ..self.clone() }.due(now_ms) == Due::Push
            }
            // Its own turn gives it up.
            Due::Expired | Due::Unacknowledged => false,
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
    use super::*;

    fn did(ulid: &str) -> AgentDid {
        AgentDid::parse(&format!("did:cdi:registry.clawdentity.com:agent:{ulid}")).unwrap()
    }

    pub(crate) fn pair_accepted() -> PairAccepted {
        PairAccepted {
            initiator: did("01KN0HGEG0G5PGG168DAWPBYT2"),
            responder: did("01KN0HGEG0QK6E4CV6JTD76TK7"),
            responder_profile: ResponderProfile {
                agent_name: "beta".to_owned(),
                human_name: "Ira".to_owned(),
                proxy_origin: "https://beta.proxy.example".to_owned(),
            },
            issuer_proxy_origin: "https://proxy.clawdentity.com".to_owned(),
            event_at_ms: 1_775_000_000_000,
            message: None,
        }
    }

    fn group_member_joined() -> GroupMemberJoined {
        GroupMemberJoined {
            recipient: did("01KN0HGEG0G5PGG168DAWPBYT2"),
            joined: did("01KN0HGEG0QK6E4CV6JTD76TK7"),
            joined_name: "beta".to_owned(),
            group_id: "grp_01KN0HGEG0AAAAAAAAAAAAAAAA".to_owned(),
            group_name: "Friends".to_owned(),
            role: GroupRole::Admin,
            joined_at_ms: 1_775_000_000_000,
            message: None,
        }
    }

    #[test]
    fn an_accepted_pairing_is_told_to_its_initiator_with_both_names_of_the_owner() {
        let event = pair_accepted();
        let delivery = SystemDelivery::of_pair_accepted(&event);
        assert_eq!((&delivery.recipient, &delivery.from), (&event.initiator, &event.responder));
        let expected = json!({ "system": {
            "type": "pair.accepted",
            "initiatorAgentDid": event.initiator, "responderAgentDid": event.responder,
            "responderProfile": { "agentName": "beta", "humanName": "Ira", "displayName": "Ira",
                "proxyOrigin": "https://beta.proxy.example" },
            "issuerProxyOrigin": "https://proxy.clawdentity.com",
            "eventTimestampUtc": "2026-03-31T23:33:20.000Z",
        } });
        assert_eq!(delivery.payload, expected);
        let with_message =
            SystemDelivery::of_pair_accepted(&PairAccepted { message: Some("hi".into()), ..event });
        assert_eq!(with_message.payload["system"]["message"], "hi");
        assert_eq!(with_message.delivery_id, delivery.delivery_id, "the words are no part of the key");
    }

    #[test]
    fn a_newcomer_is_told_to_a_member_of_the_group() {
        let event = group_member_joined();
        let delivery = SystemDelivery::of_group_member_joined(&event);
        assert_eq!((&delivery.recipient, &delivery.from), (&event.recipient, &event.joined));
        assert_eq!(delivery.payload["message"], "beta joined Friends.");
        assert_eq!(
            (&delivery.payload["role"], &delivery.payload["event"]),
            (&json!("admin"), &json!("group.member.joined"))
        );
        assert_eq!(delivery.payload.as_object().unwrap().len(), 9);
    }

    #[test]
    fn the_same_event_is_the_same_delivery_and_another_is_not() {
        let event = group_member_joined();
        let delivery = SystemDelivery::of_group_member_joined(&event);
        assert_eq!(delivery, SystemDelivery::of_group_member_joined(&event));
        assert_eq!(delivery.delivery_id.time_ms(), event.joined_at_ms);
        let other = GroupMemberJoined { recipient: event.joined.clone(), ..event };
        assert_ne!(delivery.delivery_id, SystemDelivery::of_group_member_joined(&other).delivery_id);
    }

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
