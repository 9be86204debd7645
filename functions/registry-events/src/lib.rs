//! The `registry-events` function: what the registry tells, and what it says when asked.
//!
//! A library beside the binary, so that tests reach the real handler.

pub mod handler;
pub mod trigger;

use backbone_aws::settings;

/// The environment variables without which this function does not start.
pub const SETTINGS: [&str; 10] = [
    settings::CONNECTIONS_TABLE,
    settings::DELIVERIES_TABLE,
    settings::TRUST_TABLE,
    settings::NONCES_TABLE,
    settings::RECEIPTS_QUEUE_URL,
    settings::EVENTS_QUEUE_URL,
    settings::EVENTS_DLQ_URL,
    settings::CONNECTIONS_ENDPOINT,
    settings::REGISTRY_URL,
    settings::RECEIPT_RETENTION_SECONDS,
];

/// Those that may be blank: then nobody may post events.
pub const OPTIONAL_SETTINGS: [&str; 2] =
    [settings::INTERNAL_SERVICE_ID, settings::INTERNAL_SERVICE_SECRET_SHA256];
