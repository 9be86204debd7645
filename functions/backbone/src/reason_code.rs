//! Every reason for which this service puts a message into a dead-letter queue itself.

use std::fmt;

use strum::VariantArray;

/// Why a message is a dead letter: its `reasonCode` attribute. What SQS moves there on its own, after too many receives,
/// has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, VariantArray)]
pub enum ReasonCode {
    /// The body is not JSON.
    NotJson,
    /// The body has no `type`, or one that this version does not know.
    UnknownType,
    /// The message was written by a version that this one does not understand.
    UnknownVersion,
    /// A field of the body is missing or wrong.
    InvalidField,
    /// API Gateway does not carry a frame of this size.
    FrameTooLarge,
    /// An item of a mailbox cannot be read.
    UnreadableItem,
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
            Self::InvalidField => "invalid_field",
            Self::FrameTooLarge => "frame_too_large",
            Self::UnreadableItem => "unreadable_item",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
