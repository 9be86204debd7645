//! Every reason for which this service puts a message into a dead-letter queue itself.

use std::fmt;

use strum::VariantArray;

/// Why a message is a dead letter: its `reasonCode` attribute. What SQS moves there on its own, after too many receives,
/// has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum ReasonCode {
    /// The body is not JSON.
    NotJson,
    /// The body has no `type`, or one that this version does not know.
    UnknownType,
    /// The message was written by a version that this one does not understand.
    UnknownVersion,
    /// An `agent.auth.revoked` event gives a reason that this version does not know.
    UnknownReason,
    /// A field of the body is missing or wrong.
    InvalidField,
    /// API Gateway does not carry a frame of this size.
    FrameTooLarge,
    /// An item of a mailbox cannot be read.
    UnreadableItem,
    /// A stored system delivery cannot be read.
    UnreadableDelivery,
    /// A system delivery's recipient did not come for it within the retention.
    DeliveryExpired,
    /// A system delivery was pushed as often as it may be, and never acknowledged.
    DeliveryUnacknowledged,
    /// The connector of a system delivery's recipient did not take it.
    DeliveryRefused,
    /// The sender of a receipt is at home at a proxy that is no peer of this stack.
    UnknownOrigin,
    /// A peer has sent something else than a receipt.
    PeerType,
    /// A message on the peer queue names no peer as its origin.
    PeerUnknown,
    /// A peer's receipt is of a time that has not come yet.
    PeerTime,
    /// A peer's receipt is about two agents who are not paired here.
    PeerNotPaired,
    /// A peer speaks for an agent who is not at home there.
    PeerForeignHome,
    /// A peer's receipt is for a sender who is not at home here.
    PeerLoop,
}

impl ReasonCode {
    /// All codes.
    pub const ALL: &[Self] = <Self as VariantArray>::VARIANTS;

    /// The code as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::UnknownType => "unknown_type",
            Self::UnknownVersion => "unknown_version",
            Self::UnknownReason => "unknown_reason",
            Self::InvalidField => "invalid_field",
            Self::FrameTooLarge => "frame_too_large",
            Self::UnreadableItem => "unreadable_item",
            Self::UnreadableDelivery => "unreadable_delivery",
            Self::DeliveryExpired => "delivery_expired",
            Self::DeliveryUnacknowledged => "delivery_unacknowledged",
            Self::DeliveryRefused => "delivery_refused",
            Self::UnknownOrigin => "unknown_origin",
            Self::PeerType => "peer_type",
            Self::PeerUnknown => "peer_unknown",
            Self::PeerTime => "peer_time",
            Self::PeerNotPaired => "peer_not_paired",
            Self::PeerForeignHome => "peer_foreign_home",
            Self::PeerLoop => "peer_loop",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
