//! The `receipt` function: HTTP to the receipts queue, and look-ups.
//!
//! A library beside the binary, so that the vectors run through the real handler with their own clock.

pub mod handler;
pub mod http_event;

use backbone_aws::settings;

/// The environment variables without which this function does not start.
pub const SETTINGS: [&str; 10] = [
    settings::TRUST_TABLE,
    settings::NONCES_TABLE,
    settings::REGISTRY_URL,
    settings::CRL_STALE_BEHAVIOR,
    settings::CRL_MAX_AGE_MS,
    settings::AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE,
    settings::RECEIPTS_TABLE,
    settings::RECEIPTS_QUEUE_URL,
    settings::ALLOW_DIRECT,
    settings::ORIGIN_SECRET,
];
