//! What travels on the receipts queue.
//!
//! The body of a receipt is the contract's (2.1) to the letter. The other types are ours. A version travels as a
//! message attribute, so that a message from a newer deployment is told apart instead of being misread.

mod delivery_turn;

use serde::Serialize;
use serde_json::Value;

pub use self::delivery_turn::{DeliveryTurn, TurnTimes};
use crate::connection::ConnectionRef;
use crate::did::AgentDid;
use crate::id::Id;
use crate::intake::trimmed_reason;
use crate::reason_code::ReasonCode;
use crate::receipt::{Receipt, Status};
use crate::system_delivery::{DeliveryKey, DeliverySource, SystemDelivery};
use crate::timestamp::{from_iso, to_iso};

/// The version of every message this code writes, and the only one it reads.
pub const MESSAGE_VERSION: &str = "1";

/// A message on the receipts queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueMessage {
    /// A receipt that was answered 202.
    DeliveryReceipt(Receipt),
    /// A socket has opened: what waits for its agent can be drained now.
    Connected(ConnectionRef),
    /// Go on draining, or begin again after a failure.
    Drain(ConnectionRef),
    /// A displaced or revoked socket that could not be closed at once.
    Close(ConnectionRef),
    /// It is a system delivery's turn: push it, and come back until it is acknowledged.
    Deliver(DeliveryTurn),
    /// A connector does not take a system delivery.
    DeliveryRefused(DeliveryRefusal),
    /// A system delivery that was given up: the form of its dead letter, so that a redrive begins it anew.
    RestoreDelivery(SystemDelivery),
}

/// What a connector says of a system delivery that it does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRefusal {
    /// Which one.
    pub key: DeliveryKey,
    /// Why, in the connector's words.
    pub reason: Option<String>,
}

/// Why a message cannot be handled, ever. Such a message is buried, not retried and not dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageDefect {
    /// The parser's own text can quote the body, so only the place is kept.
    #[error("body is not JSON (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// No `type`, or one that this version does not know.
    #[error("unknown message type")]
    UnknownType,
    /// Written by a version that this one does not understand.
    #[error("unknown message version")]
    UnknownVersion,
    /// A field is missing or wrong.
    #[error("field {0} is missing or wrong")]
    InvalidField(&'static str),
}

impl MessageDefect {
    /// The reason code of the dead letter.
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        match self {
            Self::NotJson { .. } => ReasonCode::NotJson,
            Self::UnknownType => ReasonCode::UnknownType,
            Self::UnknownVersion => ReasonCode::UnknownVersion,
            Self::InvalidField(_) => ReasonCode::InvalidField,
        }
    }
}

/// A receipt's body, field by field as contract 2.1 lists them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    request_id: Id,
    sender_agent_did: &'a AgentDid,
    recipient_agent_did: &'a AgentDid,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    processed_at: String,
}

/// The body of a message about one connection.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    agent_did: &'a AgentDid,
    connection_id: &'a str,
    connected_at: String,
}

/// The body of a message about one system delivery.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    recipient_agent_did: &'a AgentDid,
    delivery_id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(flatten)]
    content: Option<DeliveryContent<'a>>,
}

/// A whole system delivery, beside its key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryContent<'a> {
    from_agent_did: &'a AgentDid,
    delivery_source: DeliverySource,
    payload: &'a Value,
    created_at: String,
}

const DELIVERY_RECEIPT: &str = "delivery_receipt";
const CONNECTED: &str = "connected";
const DRAIN: &str = "drain";
const CLOSE: &str = "close";
const DELIVER: &str = "deliver";
const DELIVERY_REFUSED: &str = "delivery_refused";
const RESTORE_DELIVERY: &str = "restore_delivery";

impl QueueMessage {
    /// The message's body.
    #[must_use]
    pub fn to_body(&self) -> String {
        let text = match self {
            Self::DeliveryReceipt(receipt) => serde_json::to_string(&ReceiptBody {
                kind: DELIVERY_RECEIPT,
                request_id: receipt.request_id,
                sender_agent_did: &receipt.sender,
                recipient_agent_did: &receipt.recipient,
                status: receipt.status,
                reason: receipt.reason.as_deref(),
                processed_at: to_iso(receipt.processed_at_ms),
            }),
            Self::Connected(connection) => connection_body(CONNECTED, connection),
            Self::Drain(connection) => connection_body(DRAIN, connection),
            Self::Close(connection) => connection_body(CLOSE, connection),
            Self::Deliver(turn) => serde_json::to_string(&DeliveryBody {
                due_at: turn.due.map(|due| to_iso(due.at_ms)),
                due_before: turn.due.map(|due| to_iso(due.before_ms)),
                ..DeliveryBody::about(DELIVER, &turn.key.recipient, turn.key.delivery_id)
            }),
            Self::DeliveryRefused(refusal) => serde_json::to_string(&DeliveryBody {
                reason: refusal.reason.as_deref(),
                ..DeliveryBody::about(DELIVERY_REFUSED, &refusal.key.recipient, refusal.key.delivery_id)
            }),
            Self::RestoreDelivery(delivery) => serde_json::to_string(&DeliveryBody {
                content: Some(DeliveryContent {
                    from_agent_did: &delivery.from,
                    delivery_source: delivery.source,
                    payload: &delivery.payload,
                    created_at: to_iso(delivery.created_at_ms),
                }),
                ..DeliveryBody::about(RESTORE_DELIVERY, &delivery.recipient, delivery.delivery_id)
            }),
        };
        escape_for_queue(text.expect("a message has string keys only"))
    }

    /// Reads a message's body. `version` is its version attribute; a message without one comes from a producer that
    /// knows only the contract, which has no versions.
    ///
    /// # Errors
    ///
    /// A [`MessageDefect`], which repeating cannot mend.
    pub fn parse(body: &str, version: Option<&str>) -> Result<Self, MessageDefect> {
        if version.is_some_and(|version| version != MESSAGE_VERSION) {
            return Err(MessageDefect::UnknownVersion);
        }
        let body: Value = serde_json::from_str(body)
            .map_err(|error| MessageDefect::NotJson { line: error.line(), column: error.column() })?;
        match body.get("type").and_then(Value::as_str) {
            Some(DELIVERY_RECEIPT) => parse_receipt(&body).map(Self::DeliveryReceipt),
            Some(CONNECTED) => parse_connection(&body).map(Self::Connected),
            Some(DRAIN) => parse_connection(&body).map(Self::Drain),
            Some(CLOSE) => parse_connection(&body).map(Self::Close),
            Some(DELIVER) => parse_turn(&body).map(Self::Deliver),
            Some(DELIVERY_REFUSED) => parse_refusal(&body).map(Self::DeliveryRefused),
            Some(RESTORE_DELIVERY) => parse_delivery(body).map(Self::RestoreDelivery),
            Some(_) | None => Err(MessageDefect::UnknownType),
        }
    }
}

/// Writes the two characters that XML, and so SQS, does not know in others; in JSON they can only be in a string.
pub(crate) fn escape_for_queue(json: String) -> String {
    if !json.contains(['\u{fffe}', '\u{ffff}']) {
        return json;
    }
    json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

fn connection_body(kind: &str, connection: &ConnectionRef) -> serde_json::Result<String> {
    serde_json::to_string(&ConnectionBody {
        kind,
        agent_did: &connection.agent,
        connection_id: &connection.connection_id,
        connected_at: to_iso(connection.connected_at_ms),
    })
}

fn parse_receipt(body: &Value) -> Result<Receipt, MessageDefect> {
    Ok(Receipt {
        request_id: field(body, "requestId", Id::parse)?,
        sender: field(body, "senderAgentDid", AgentDid::parse)?,
        recipient: field(body, "recipientAgentDid", AgentDid::parse)?,
        status: field(body, "status", Status::parse)?,
        reason: reason(body),
        processed_at_ms: field(body, "processedAt", from_iso)?,
    })
}

fn parse_connection(body: &Value) -> Result<ConnectionRef, MessageDefect> {
    Ok(ConnectionRef {
        agent: field(body, "agentDid", AgentDid::parse)?,
        connection_id: field(body, "connectionId", |id| (!id.is_empty()).then(|| id.to_owned()))?,
        connected_at_ms: field(body, "connectedAt", from_iso)?,
    })
}

impl<'a> DeliveryBody<'a> {
    const fn about(kind: &'a str, recipient_agent_did: &'a AgentDid, delivery_id: Id) -> Self {
        Self {
            kind,
            recipient_agent_did,
            delivery_id,
            due_at: None,
            due_before: None,
            reason: None,
            content: None,
        }
    }
}

fn parse_delivery_key(body: &Value) -> Result<DeliveryKey, MessageDefect> {
    Ok(DeliveryKey {
        recipient: field(body, "recipientAgentDid", AgentDid::parse)?,
        delivery_id: field(body, "deliveryId", Id::parse)?,
    })
}

fn parse_turn(body: &Value) -> Result<DeliveryTurn, MessageDefect> {
    let key = parse_delivery_key(body)?;
    if body.get("dueAt").is_none() {
        return Ok(DeliveryTurn::first(key));
    }
    let due =
        TurnTimes { at_ms: field(body, "dueAt", from_iso)?, before_ms: field(body, "dueBefore", from_iso)? };
    Ok(DeliveryTurn { key, due: Some(due) })
}

fn parse_refusal(body: &Value) -> Result<DeliveryRefusal, MessageDefect> {
    Ok(DeliveryRefusal { key: parse_delivery_key(body)?, reason: reason(body) })
}

fn parse_delivery(mut body: Value) -> Result<SystemDelivery, MessageDefect> {
    let DeliveryKey { recipient, delivery_id } = parse_delivery_key(&body)?;
    Ok(SystemDelivery {
        delivery_id,
        recipient,
        from: field(&body, "fromAgentDid", AgentDid::parse)?,
        source: field(&body, "deliverySource", DeliverySource::parse)?,
        created_at_ms: field(&body, "createdAt", from_iso)?,
        payload: body.get_mut("payload").map(Value::take).ok_or(MessageDefect::InvalidField("payload"))?,
    })
}

fn reason(body: &Value) -> Option<String> {
    body.get("reason").and_then(Value::as_str).and_then(trimmed_reason)
}

fn field<T>(
    body: &Value,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, MessageDefect> {
    body.get(name).and_then(Value::as_str).and_then(parse).ok_or(MessageDefect::InvalidField(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::tests::receipt;
    use crate::system_delivery::tests::pair_accepted;

    #[test]
    fn every_message_is_read_back() {
        let connection = ConnectionRef {
            agent: receipt(Status::DeadLettered, None, 1).sender,
            connection_id: "L0SM9cOFvHcCIhw=".to_owned(),
            connected_at_ms: 1_775_000_000_123,
        };
        let delivery = SystemDelivery::of_pair_accepted(&pair_accepted());
        for message in [
            QueueMessage::DeliveryReceipt(receipt(Status::DeliveredToWebhook, None, 1_775_000_000_123)),
            QueueMessage::DeliveryReceipt(receipt(Status::DeadLettered, Some("x"), 1_775_000_000_123)),
            QueueMessage::Connected(connection.clone()),
            QueueMessage::Drain(connection.clone()),
            QueueMessage::Close(connection),
            QueueMessage::Deliver(DeliveryTurn::first(delivery.key())),
            QueueMessage::Deliver(DeliveryTurn {
                key: delivery.key(),
                due: Some(TurnTimes { at_ms: 1_775_000_000_123, before_ms: 0 }),
            }),
            QueueMessage::DeliveryRefused(DeliveryRefusal { key: delivery.key(), reason: None }),
            QueueMessage::DeliveryRefused(DeliveryRefusal {
                key: delivery.key(),
                reason: Some("no \u{1}".to_owned()),
            }),
            QueueMessage::RestoreDelivery(delivery),
        ] {
            assert_eq!(QueueMessage::parse(&message.to_body(), Some(MESSAGE_VERSION)), Ok(message));
        }
    }

    #[test]
    fn a_receipts_body_is_the_contracts() {
        let message =
            QueueMessage::DeliveryReceipt(receipt(Status::DeadLettered, Some("x"), 1_775_000_000_000));
        let body: Value = serde_json::from_str(&message.to_body()).unwrap();
        let expected = serde_json::json!({
            "type": "delivery_receipt",
            "requestId": "01KN33X0KRM9Q3MFS6RVPP6F7F",
            "senderAgentDid": "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0G5PGG168DAWPBYT2",
            "recipientAgentDid": "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7",
            "status": "dead_lettered", "reason": "x", "processedAt": "2026-03-31T23:33:20.000Z",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn what_a_queue_refuses_is_escaped() {
        let mut delivery = SystemDelivery::of_pair_accepted(&pair_accepted());
        delivery.payload = serde_json::json!({ "odd\u{ffff}": "\u{fffe}\u{0}" });
        let body = QueueMessage::RestoreDelivery(delivery.clone()).to_body();
        assert!(!body.contains(['\u{0}', '\u{fffe}', '\u{ffff}']), "{body}");
        assert_eq!(QueueMessage::parse(&body, None), Ok(QueueMessage::RestoreDelivery(delivery)));
    }

    #[test]
    fn defects_are_told_apart() {
        let parse = |body: &str| QueueMessage::parse(body, None).unwrap_err().reason_code().as_str();
        assert_eq!(parse("nonsense"), "not_json");
        assert_eq!(parse("[]"), "unknown_type");
        assert_eq!(parse("{\"type\":\"delivery_receipts\"}"), "unknown_type");
        assert_eq!(parse("{\"type\":\"delivery_receipt\"}"), "invalid_field");
        assert_eq!(
            parse("{\"type\":\"deliver\",\"deliveryId\":\"01KN33X0KRM9Q3MFS6RVPP6F7F\"}"),
            "invalid_field"
        );
        assert_eq!(parse("{\"type\":\"connected\",\"agentDid\":\"x\"}"), "invalid_field");
        assert_eq!(QueueMessage::parse("{}", Some("2")), Err(MessageDefect::UnknownVersion));
    }
}
