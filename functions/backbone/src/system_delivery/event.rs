//! The events that agents are told of, and what is told of them (contract 6.4).

use serde_json::json;

use super::{DeliverySource, SystemDelivery};
use crate::did::AgentDid;
use crate::id::Id;
use crate::timestamp::to_iso;

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
}
