//! The `connection` function: the life of one socket.
//!
//! A library beside the binary, so that tests reach the real handler.

pub mod handler;
pub mod socket_event;

use backbone_aws::settings;

/// The environment variables without which this function does not start.
pub const SETTINGS: [&str; 6] = [
    settings::CONNECTIONS_TABLE,
    settings::TRUST_TABLE,
    settings::DELIVERIES_TABLE,
    settings::RECEIPTS_QUEUE_URL,
    settings::CONNECTIONS_ENDPOINT,
    settings::CONNECTION_LEASE_SECONDS,
];
