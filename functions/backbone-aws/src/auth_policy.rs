//! How a deployment authenticates, as its environment says.

use backbone::auth::{Issuer, Policy, StaleBehavior};

use crate::settings::{
    AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE, CRL_MAX_AGE_MS, CRL_STALE_BEHAVIOR, REGISTRY_URL, Settings,
    SettingsError,
};

/// Reads the policy of the auth chain.
///
/// # Errors
///
/// If a setting cannot be used.
pub fn auth_policy(settings: &Settings) -> Result<Policy, SettingsError> {
    let unusable = |name, expected| SettingsError::Unusable { name, expected };
    let stale = match settings.text(CRL_STALE_BEHAVIOR)? {
        "fail-open" => StaleBehavior::FailOpen,
        "fail-closed" => StaleBehavior::FailClosed,
        _ => return Err(unusable(CRL_STALE_BEHAVIOR, "fail-open or fail-closed")),
    };
    let requests_per_minute = settings.number(AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE)?;
    Ok(Policy {
        issuer: issuer(settings)?,
        stale,
        crl_age_ms_max: settings.number(CRL_MAX_AGE_MS)?,
        requests_per_minute: u32::try_from(requests_per_minute).unwrap_or(u32::MAX),
    })
}

/// Reads which registry vouches for agents.
///
/// # Errors
///
/// If the setting cannot be used.
pub fn issuer(settings: &Settings) -> Result<Issuer, SettingsError> {
    Issuer::parse(settings.text(REGISTRY_URL)?).ok_or_else(not_an_origin)
}

/// What is said of a registry's URL that cannot be used.
pub(crate) const fn not_an_origin() -> SettingsError {
    let expected = "an origin such as https://registry.clawdentity.com";
    SettingsError::Unusable { name: REGISTRY_URL, expected }
}
