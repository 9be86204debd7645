//! The `consumer` function: receipts queue to sockets.
//!
//! A library beside the binary, so that tests reach the real handler.

pub mod handler;

use backbone_aws::settings;

/// The environment variables without which this function does not start.
pub const SETTINGS: [&str; 8] = [
    settings::CONNECTIONS_TABLE,
    settings::RECEIPTS_TABLE,
    settings::DELIVERIES_TABLE,
    settings::TRUST_TABLE,
    settings::RECEIPTS_QUEUE_URL,
    settings::RECEIPTS_DLQ_URL,
    settings::CONNECTIONS_ENDPOINT,
    settings::RECEIPT_RETENTION_SECONDS,
];
