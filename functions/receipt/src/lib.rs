//! The `receipt` function: HTTP to the receipts queue or to a peer's, and look-ups.
//!
//! A library beside the binary, so that the vectors run through the real handler with their own clock.

pub mod handler;

use backbone_aws::settings;

/// The environment variables without which this function does not start.
pub const SETTINGS: [&str; 11] = [
    settings::TRUST_TABLE,
    settings::NONCES_TABLE,
    settings::REGISTRY_URL,
    settings::CRL_STALE_BEHAVIOR,
    settings::CRL_MAX_AGE_MS,
    settings::AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE,
    settings::RECEIPTS_TABLE,
    settings::RECEIPTS_QUEUE_URL,
    settings::RECEIPTS_DLQ_URL,
    settings::ALLOW_DIRECT,
    settings::ORIGIN_SECRET,
];

/// Those that are empty where a stack has no peers.
pub const OPTIONAL_SETTINGS: [&str; 3] =
    [settings::PROXY_ORIGIN, settings::PEER_ORIGINS, settings::PEER_QUEUE_ARNS];
