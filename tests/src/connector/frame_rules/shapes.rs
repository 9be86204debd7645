//! The fields of each type of frame.

use super::formats::Format;

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) format: Format,
}

pub(super) struct Shape {
    pub(super) required: &'static [Field],
    pub(super) optional: &'static [Field],
}

/// What every frame has beside `v` and `type`.
pub(super) const OF_EVERY_FRAME: &[Field] = &[field("id", Format::Ulid), field("ts", Format::Timestamp)];

const ACK_ID: Field = field("ackId", Format::Ulid);
const ACCEPTED: Field = field("accepted", Format::Flag);
const FROM: Field = field("fromAgentDid", Format::AgentDid);
const TO: Field = field("toAgentDid", Format::AgentDid);
const PAYLOAD: Field = field("payload", Format::Anything);
const GROUP_ID: Field = field("groupId", Format::GroupId);
const CONVERSATION_ID: Field = field("conversationId", Format::Text);
const REPLY_TO: Field = field("replyTo", Format::Url);

const ORIGINAL_FRAME_ID: Field = field("originalFrameId", Format::Ulid);
const STATUS: Field = field("status", Format::Status);
const RECEIPT_REASON: Field = field("reason", Format::NonBlankText);
const ACK_REASON: Field = field("reason", Format::Text);
const DELIVERY_SOURCE: Field = field("deliverySource", Format::NonBlankText);
const CONTENT_TYPE: Field = field("contentType", Format::Text);

const fn field(name: &'static str, format: Format) -> Field {
    Field { name, format }
}

impl Shape {
    /// `None` for a type that does not exist.
    pub(super) fn of(kind: &str) -> Option<Self> {
        let (required, optional): (&[Field], &[Field]) = match kind {
            "heartbeat" => (&[], &[]),
            "heartbeat_ack" => (&[ACK_ID], &[]),
            "receipt" => (&[ORIGINAL_FRAME_ID, TO, STATUS], &[RECEIPT_REASON]),
            "deliver" => {
                (&[FROM, TO, PAYLOAD], &[DELIVERY_SOURCE, CONTENT_TYPE, GROUP_ID, CONVERSATION_ID, REPLY_TO])
            }
            "enqueue" => (&[TO, PAYLOAD], &[GROUP_ID, CONVERSATION_ID, REPLY_TO]),
            "deliver_ack" | "enqueue_ack" => (&[ACK_ID, ACCEPTED], &[ACK_REASON]),
            _ => return None,
        };
        Some(Self { required, optional })
    }
}
