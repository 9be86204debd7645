//! Events of the registry, and of pairing, as they are published (contract 6).
//!
//! Most come in an envelope of which only `type` and `data` mean anything here, and when a session has ended its
//! `timestampUtc`; `pair.accepted` comes bare. What cannot
//! be understood is told apart from what need not be acted on: the first is kept, with its reason, the second is done.

use serde_json::{Map, Value};

use crate::did::AgentDid;
use crate::home::ProxyOrigin;
use crate::id::Id;
use crate::reason_code::ReasonCode;
use crate::system_delivery::{GroupMemberJoined, GroupRole, PairAccepted, ResponderProfile};
use crate::timestamp::from_iso;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryEvent {
    /// An agent is revoked for good.
    AgentRevoked(AgentDid),
    /// An agent's session has ended. It may begin another.
    SessionEnded {
        /// Whose.
        agent: AgentDid,
        /// When, by the registry's clock, in milliseconds since the Unix epoch, if the envelope has a usable time.
        at_ms: Option<u64>,
    },
    /// An agent has a token that it did not have before, perhaps signed with a key that nobody has seen yet.
    Issued,
    /// Something that changes nothing here: a token was refreshed, or was not.
    Unremarkable,
    /// Two agents have paired.
    PairAccepted(Box<PairAccepted>),
    /// An agent has joined a group of the recipient's owner.
    MemberJoined(Box<GroupMemberJoined>),
}

/// Why an event cannot be understood, ever. It is kept with this reason, neither retried nor dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventDefect {
    /// The parser's own text can quote the event, so only the place is kept.
    #[error("event is not JSON (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// No `type`, or one that this version does not know.
    #[error("unknown event type")]
    UnknownType,
    /// A revocation for a reason that this version does not know.
    #[error("unknown reason of a revocation")]
    UnknownReason,
    /// A field is missing or wrong.
    #[error("field {0} is missing or wrong")]
    InvalidField(&'static str),
}

impl EventDefect {
    /// The reason code of the dead letter.
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        match self {
            Self::NotJson { .. } => ReasonCode::NotJson,
            Self::UnknownType => ReasonCode::UnknownType,
            Self::UnknownReason => ReasonCode::UnknownReason,
            Self::InvalidField(_) => ReasonCode::InvalidField,
        }
    }

    /// The field that is missing or wrong, if it is one.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::NotJson { .. } => None,
            Self::UnknownType => Some("type"),
            Self::UnknownReason => Some("data.reason"),
            Self::InvalidField(field) => Some(field),
        }
    }
}

impl RegistryEvent {
    /// Reads an event. `authority` is the registry's host, under which an event that names an agent by its ULID alone
    /// means it.
    ///
    /// # Errors
    ///
    /// An [`EventDefect`].
    pub fn parse(body: &str, authority: &str) -> Result<Self, EventDefect> {
        let event: Value = serde_json::from_str(body)
            .map_err(|error| EventDefect::NotJson { line: error.line(), column: error.column() })?;
        Self::read(&event, authority)
    }

    /// Reads an event that is JSON already. See [`parse`](Self::parse).
    ///
    /// # Errors
    ///
    /// An [`EventDefect`].
    pub fn read(event: &Value, authority: &str) -> Result<Self, EventDefect> {
        match event.get("type").and_then(Value::as_str) {
            Some("agent.auth.revoked") => read_revoked(event, authority),
            Some("agent.auth.issued") => Ok(Self::Issued),
            Some("agent.auth.refreshed" | "agent.auth.refresh_rejected") => Ok(Self::Unremarkable),
            Some("pair.accepted") => read_pair(event).map(Box::new).map(Self::PairAccepted),
            Some("group.member.joined") => read_joined(data(event)?).map(Box::new).map(Self::MemberJoined),
            Some(_) | None => Err(EventDefect::UnknownType),
        }
    }
}

fn data(event: &Value) -> Result<&Map<String, Value>, EventDefect> {
    event.get("data").and_then(Value::as_object).ok_or(EventDefect::InvalidField("data"))
}

fn read_revoked(event: &Value, authority: &str) -> Result<RegistryEvent, EventDefect> {
    let data = data(event)?;
    let is_for_good = match data.get("reason").and_then(Value::as_str) {
        Some("agent_revoked") => true,
        Some("owner_auth_revoke" | "refresh_token_expired") => false,
        Some(_) => return Err(EventDefect::UnknownReason),
        None => return Err(EventDefect::InvalidField("data.reason")),
    };
    let named = data.get("metadata").and_then(|metadata| metadata.get("agentDid"));
    let agent = if let Some(did) = named.filter(|did| !did.is_null()) {
        did.as_str().map(str::trim).and_then(AgentDid::parse)
    } else {
        let id = data.get("agentId").and_then(Value::as_str).map(str::trim).and_then(Id::parse);
        let id = id.ok_or(EventDefect::InvalidField("data.agentId"))?;
        AgentDid::parse(&format!("did:cdi:{authority}:agent:{id}"))
    };
    let agent = agent.ok_or(EventDefect::InvalidField("data.metadata.agentDid"))?;
    if is_for_good {
        return Ok(RegistryEvent::AgentRevoked(agent));
    }
    let at_ms = event.get("timestampUtc").and_then(Value::as_str).and_then(from_iso);
    Ok(RegistryEvent::SessionEnded { agent, at_ms })
}

fn read_pair(event: &Value) -> Result<PairAccepted, EventDefect> {
    let profile = event.get("responderProfile");
    let in_profile = |name| profile.and_then(|profile| profile.get(name));
    Ok(PairAccepted {
        initiator: parsed(event.get("initiatorAgentDid"), "initiatorAgentDid", AgentDid::parse)?,
        responder: parsed(event.get("responderAgentDid"), "responderAgentDid", AgentDid::parse)?,
        responder_profile: ResponderProfile {
            agent_name: text(in_profile("agentName"), "responderProfile.agentName")?,
            human_name: text(in_profile("humanName"), "responderProfile.humanName")?,
            proxy_origin: parsed(in_profile("proxyOrigin"), "responderProfile.proxyOrigin", origin)?,
        },
        issuer_proxy_origin: parsed(event.get("issuerProxyOrigin"), "issuerProxyOrigin", origin)?,
        event_at_ms: parsed(event.get("eventTimestampUtc"), "eventTimestampUtc", from_iso)?,
        message: optional_text(event.get("message"), "message")?,
    })
}

fn read_joined(data: &Map<String, Value>) -> Result<GroupMemberJoined, EventDefect> {
    Ok(GroupMemberJoined {
        recipient: parsed(data.get("recipientAgentDid"), "data.recipientAgentDid", AgentDid::parse)?,
        joined: parsed(data.get("joinedAgentDid"), "data.joinedAgentDid", AgentDid::parse)?,
        joined_name: text(data.get("joinedAgentName"), "data.joinedAgentName")?,
        group_id: parsed(data.get("groupId"), "data.groupId", group_id)?,
        group_name: text(data.get("groupName"), "data.groupName")?,
        role: parsed(data.get("role"), "data.role", GroupRole::parse)?,
        joined_at_ms: parsed(data.get("joinedAt"), "data.joinedAt", from_iso)?,
        message: optional_text(data.get("message"), "data.message")?,
    })
}

/// The normalised origin of a proxy.
fn origin(text: &str) -> Option<String> {
    ProxyOrigin::parse(text).map(|origin| origin.as_str().to_owned())
}

/// `grp_` and a ULID, which is written in upper case as in frames.
fn group_id(text: &str) -> Option<String> {
    text.strip_prefix("grp_").and_then(Id::parse).map(|id| format!("grp_{id}"))
}

/// A text that means something to `parse` once it is trimmed.
fn parsed<T>(
    value: Option<&Value>,
    field: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, EventDefect> {
    value.and_then(Value::as_str).map(str::trim).and_then(parse).ok_or(EventDefect::InvalidField(field))
}

/// A text that is not blank, trimmed.
fn text(value: Option<&Value>, field: &'static str) -> Result<String, EventDefect> {
    parsed(value, field, |text| (!text.is_empty()).then(|| text.to_owned()))
}

/// A text that may be missing; a blank one counts as missing.
fn optional_text(value: Option<&Value>, field: &'static str) -> Result<Option<String>, EventDefect> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        value => text(value, field).map(Some),
    }
}

#[cfg(test)]
mod tests;
