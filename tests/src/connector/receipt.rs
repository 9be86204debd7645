//! A receipt as connectors post it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The recipient's webhook took it.
    DeliveredToWebhook,
    /// The recipient's connector gave up.
    DeadLettered,
}

impl Status {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeliveredToWebhook => "delivered_to_webhook",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A receipt before it is posted. The order of the fields is that of the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The id of the `deliver` frame it is about, a ULID.
    pub request_id: String,
    /// Who sent the message, and gets the receipt.
    pub sender_agent_did: String,
    /// Who received the message, and posts the receipt.
    pub recipient_agent_did: String,
    /// What became of it.
    pub status: Status,
    /// Why, in free text.
    pub reason: Option<String>,
}

impl Receipt {
    /// The Rust connector's body: an absent reason is `null`.
    #[must_use]
    pub fn rust_body(&self) -> String {
        serde_json::to_string(self).expect("a receipt is plain data")
    }

    /// The TypeScript connector's body: an absent reason is left out, and `processedAt` is there.
    #[must_use]
    pub fn typescript_body(&self, processed_at: &str) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            request_id: &'a str,
            sender_agent_did: &'a str,
            recipient_agent_did: &'a str,
            status: Status,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
            processed_at: &'a str,
        }
        let body = Body {
            request_id: &self.request_id,
            sender_agent_did: &self.sender_agent_did,
            recipient_agent_did: &self.recipient_agent_did,
            status: self.status,
            reason: self.reason.as_deref(),
            processed_at,
        };
        serde_json::to_string(&body).expect("a receipt is plain data")
    }
}
