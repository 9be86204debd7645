//! The `consumer` function: receipts queue and peer queue to sockets.
//!
//! A library beside the binary, so that tests reach the real handler.

pub mod handler;

use backbone_aws::settings;

/// The environment variables without which this function does not start.
pub const SETTINGS: [&str; 10] = [
    settings::CONNECTIONS_TABLE,
    settings::RECEIPTS_TABLE,
    settings::TRUST_TABLE,
    settings::RECEIPTS_QUEUE_URL,
    settings::RECEIPTS_QUEUE_ARN,
    settings::RECEIPTS_DLQ_URL,
    settings::PEER_QUEUE_URL,
    settings::PEER_DLQ_URL,
    settings::CONNECTIONS_ENDPOINT,
    settings::RECEIPT_RETENTION_SECONDS,
];

/// Those that are empty where a stack has no peers.
pub const OPTIONAL_SETTINGS: [&str; 2] = [settings::PROXY_ORIGIN, settings::PEER_ORIGINS];
