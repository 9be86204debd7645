//! The `authorizer` function: who is connecting.
//!
//! A library beside the binary, so that the vectors run through the real handler with their own clock.

pub mod handler;

use backbone_aws::settings;

/// The environment variables without which this function does not start.
pub const SETTINGS: [&str; 9] = [
    settings::TRUST_TABLE,
    settings::NONCES_TABLE,
    settings::REGISTRY_URL,
    settings::CRL_STALE_BEHAVIOR,
    settings::CRL_MAX_AGE_MS,
    settings::AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE,
    settings::CONNECT_PATHS,
    settings::ALLOW_DIRECT,
    settings::ORIGIN_SECRET,
];
