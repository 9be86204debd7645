//! What is said over a socket: one enum per direction (contract 4).
//!
//! The two connectors parse by different rules, so only what both accept is ever written: upper-case ULIDs, `Z`
//! timestamps, no `null`, no field that the strict one does not know.

use serde::Serialize;
use serde_json::Value;

use crate::did::AgentDid;
use crate::id::Id;
use crate::limits::CLIENT_FRAME_BYTES_MAX;
use crate::receipt::{Receipt, Status};
use crate::system_delivery::{DeliverySource, SystemDelivery};
use crate::timestamp::to_iso;

/// The frame format's version, the only one there is.
const VERSION: u8 = 1;

/// A frame that this service sends.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ServerFrame {
    /// Sent where an answer is due and the question could not be read: every connector accepts it at any time.
    Heartbeat {},
    /// The answer to a heartbeat.
    HeartbeatAck {
        /// The heartbeat's id.
        ack_id: Id,
    },
    /// The answer to an `enqueue`.
    EnqueueAck {
        /// The `enqueue` frame's id.
        ack_id: Id,
        /// Whether the message was taken.
        accepted: bool,
        /// Why not, in words for a person.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// What became of a message that the receiver of this frame has sent.
    Receipt {
        /// The message: the frame id under which its recipient got it.
        original_frame_id: Id,
        /// The recipient of that message, not the receiver of this frame.
        to_agent_did: AgentDid,
        /// What became of it.
        status: Status,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Something that its receiver is told, and acknowledges.
    Deliver {
        /// Who it is about.
        from_agent_did: AgentDid,
        /// The receiver of this frame.
        to_agent_did: AgentDid,
        /// What is told.
        payload: Value,
        /// What it comes from.
        delivery_source: DeliverySource,
    },
}

/// A frame with its envelope, ready to be written.
#[derive(Serialize)]
struct Enveloped<'a> {
    v: u8,
    id: Id,
    ts: String,
    #[serde(flatten)]
    frame: &'a ServerFrame,
}

impl ServerFrame {
    /// The frame as the text of one WebSocket message. `at_ms` is milliseconds since the Unix epoch.
    #[must_use]
    pub fn to_text(&self, id: Id, at_ms: u64) -> String {
        serde_json::to_string(&Enveloped { v: VERSION, id, ts: to_iso(at_ms), frame: self })
            .expect("a frame has string keys only")
    }
}

/// The text of the frame that tells the sender of `receipt`, whose frame id is `id`.
///
/// Id and `ts` come from the receipt, so that the same state is the same text however often it is pushed.
#[must_use]
pub fn receipt_frame_text(receipt: &Receipt, id: Id) -> String {
    let frame = ServerFrame::Receipt {
        original_frame_id: receipt.request_id,
        to_agent_did: receipt.recipient.clone(),
        status: receipt.status,
        reason: receipt.reason.clone(),
    };
    frame.to_text(id, receipt.processed_at_ms)
}

/// The text of the frame that carries `delivery`, the same however often it is pushed.
#[must_use]
pub fn deliver_frame_text(delivery: &SystemDelivery) -> String {
    let frame = ServerFrame::Deliver {
        from_agent_did: delivery.from.clone(),
        to_agent_did: delivery.recipient.clone(),
        payload: delivery.payload.clone(),
        delivery_source: delivery.source,
    };
    frame.to_text(delivery.delivery_id, delivery.created_at_ms)
}

/// A frame from a connector that this service does something with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// A sign of life that wants a `heartbeat_ack`.
    Heartbeat {
        /// To be quoted in the answer.
        id: Id,
    },
    /// A message for another agent, which wants an `enqueue_ack`.
    Enqueue {
        /// To be quoted in the answer.
        id: Id,
    },
    /// The answer to a `deliver` frame.
    DeliverAck {
        /// The `deliver` frame's id.
        ack_id: Id,
        /// Whether the connector took it.
        accepted: bool,
        /// Why not.
        reason: Option<String>,
    },
    /// Another type that a connector may send and that needs nothing from us.
    Other,
}

impl ClientFrame {
    /// Reads a client's message. `None` for anything that is not a frame.
    ///
    /// It looks no further than it must to answer: a heartbeat with an odd `ts` is still a heartbeat, and leaving
    /// it unanswered would cost the connector its session.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > CLIENT_FRAME_BYTES_MAX {
            return None;
        }
        let frame: Value = serde_json::from_str(text).ok()?;
        if frame.get("v")?.as_u64()? != u64::from(VERSION) {
            return None;
        }
        let id_in = |field: &str| frame.get(field).and_then(Value::as_str).and_then(Id::parse);
        let id = id_in("id")?;
        match frame.get("type")?.as_str()? {
            "heartbeat" => Some(Self::Heartbeat { id }),
            "enqueue" => Some(Self::Enqueue { id }),
            "deliver_ack" => Some(Self::DeliverAck {
                ack_id: id_in("ackId")?,
                accepted: frame.get("accepted")?.as_bool()?,
                reason: frame.get("reason").and_then(Value::as_str).map(str::to_owned),
            }),
            "heartbeat_ack" | "enqueue_ack" | "deliver" | "receipt" => Some(Self::Other),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::tests::receipt;
    use crate::system_delivery::tests::pair_accepted;

    #[test]
    fn a_receipt_frame_has_exactly_the_fields_of_the_contract() {
        let receipt = receipt(Status::DeliveredToWebhook, None, 1_775_000_000_000);
        let frame: Value = serde_json::from_str(&receipt_frame_text(&receipt, receipt.frame_id())).unwrap();
        let expected = serde_json::json!({
            "v": 1, "type": "receipt", "id": receipt.frame_id(), "ts": "2026-03-31T23:33:20.000Z",
            "originalFrameId": receipt.request_id, "toAgentDid": receipt.recipient,
            "status": "delivered_to_webhook",
        });
        assert_eq!(frame, expected);
    }

    #[test]
    fn a_reason_is_carried() {
        let receipt = receipt(Status::DeadLettered, Some("hook \"rejected\"\n"), 0);
        let text = receipt_frame_text(&receipt, receipt.frame_id());
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(frame["reason"], "hook \"rejected\"\n");
    }

    #[test]
    fn a_deliver_frame_has_exactly_the_fields_of_the_contract() {
        let delivery = SystemDelivery::of_pair_accepted(&pair_accepted());
        let frame: Value = serde_json::from_str(&deliver_frame_text(&delivery)).unwrap();
        let expected = serde_json::json!({
            "v": 1, "type": "deliver", "id": delivery.delivery_id, "ts": "2026-03-31T23:33:20.000Z",
            "fromAgentDid": delivery.from, "toAgentDid": delivery.recipient,
            "payload": delivery.payload, "deliverySource": "proxy.events.queue.pair_accepted",
        });
        assert_eq!(frame, expected);
    }

    #[test]
    fn answers_quote_what_they_answer() {
        let id = Id::derive(1, &["x"]);
        let text = ServerFrame::HeartbeatAck { ack_id: id }.to_text(id, 0);
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&frame["type"], &frame["ackId"]), (&"heartbeat_ack".into(), &id.to_string().into()));
        let heartbeat: Value = serde_json::from_str(&ServerFrame::Heartbeat {}.to_text(id, 0)).unwrap();
        assert_eq!(heartbeat.as_object().unwrap().len(), 4);
    }

    #[test]
    fn client_frames_are_told_apart_and_nonsense_is_none() {
        let id = "01KN33X5G00NAWHJD24V8N73HX";
        let frame = |rest: &str| format!("{{\"v\":1,\"id\":\"{id}\",\"ts\":\"x\",{rest}}}");
        let id = Id::parse(id).unwrap();
        assert_eq!(ClientFrame::parse(&frame("\"type\":\"heartbeat\"")), Some(ClientFrame::Heartbeat { id }));
        assert_eq!(ClientFrame::parse(&frame("\"type\":\"enqueue\"")), Some(ClientFrame::Enqueue { id }));
        assert_eq!(
            ClientFrame::parse(&frame(&format!(
                "\"type\":\"deliver_ack\",\"ackId\":\"{id}\",\"accepted\":false"
            ))),
            Some(ClientFrame::DeliverAck { ack_id: id, accepted: false, reason: None })
        );
        assert_eq!(ClientFrame::parse(&frame("\"type\":\"receipt\"")), Some(ClientFrame::Other));
        for text in ["", "ping", "[]", "{}", "{\"v\":2}", &frame("\"type\":\"notice\""), &frame("\"type\":7")]
        {
            assert_eq!(ClientFrame::parse(text), None, "{text}");
        }
    }
}
