//! What a function is told by its environment: one documented constant per variable.

use std::collections::BTreeMap;
use std::fmt;

/// The Region. Lambda sets it.
pub const AWS_REGION: &str = "AWS_REGION";
/// Lambda sets it, for as long as the execution environment lives.
pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// Lambda sets it.
pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// Lambda sets it. Blank for a user's own keys.
pub const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
/// Where SQS and DynamoDB answer, if not at AWS.
pub const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
/// A PEM file whose certificates are trusted, instead of Amazon's roots and of the system's.
pub const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// `local`, `dev` or `prod`: a dimension of the metrics.
pub const ENVIRONMENT: &str = "ENVIRONMENT";
/// The least severe lines to write: `error`, `warn`, `info`, `debug` or `trace`.
pub const LOG_LEVEL: &str = "LOG_LEVEL";
/// The deployed version, for `/health`.
pub const BACKBONE_VERSION: &str = "BACKBONE_VERSION";

/// The table of connections.
pub const CONNECTIONS_TABLE: &str = "CONNECTIONS_TABLE";
/// The table of receipts and mailboxes.
pub const RECEIPTS_TABLE: &str = "RECEIPTS_TABLE";
/// The table of system deliveries.
pub const DELIVERIES_TABLE: &str = "DELIVERIES_TABLE";
/// The table of pairs and revocations.
pub const TRUST_TABLE: &str = "TRUST_TABLE";
/// The table of nonces, accepted access tokens and request counts.
pub const NONCES_TABLE: &str = "NONCES_TABLE";
/// The receipts queue.
pub const RECEIPTS_QUEUE_URL: &str = "RECEIPTS_QUEUE_URL";
/// The receipts queue, as an event source names it.
pub const RECEIPTS_QUEUE_ARN: &str = "RECEIPTS_QUEUE_ARN";
/// The receipts queue's dead-letter queue.
pub const RECEIPTS_DLQ_URL: &str = "RECEIPTS_DLQ_URL";
/// The peer queue, to which the peers send receipts for agents who are at home here.
pub const PEER_QUEUE_URL: &str = "PEER_QUEUE_URL";
/// The peer queue's dead-letter queue.
pub const PEER_DLQ_URL: &str = "PEER_DLQ_URL";
/// This stack's own origin, as pairs and peers name it. Without it every agent is taken to be at home here.
pub const PROXY_ORIGIN: &str = "PROXY_ORIGIN";
/// The origins of the peers, separated by commas.
pub const PEER_ORIGINS: &str = "PEER_ORIGINS";
/// The ARNs of the peers' peer queues, separated by commas, in the order of [`PEER_ORIGINS`].
pub const PEER_QUEUE_ARNS: &str = "PEER_QUEUE_ARNS";
/// The events queue.
pub const EVENTS_QUEUE_URL: &str = "EVENTS_QUEUE_URL";
/// The events queue's dead-letter queue.
pub const EVENTS_DLQ_URL: &str = "EVENTS_DLQ_URL";
/// Where API Gateway takes frames for connections: `https://<id>.execute-api.<region>.amazonaws.com/<stage>`.
pub const CONNECTIONS_ENDPOINT: &str = "CONNECTIONS_ENDPOINT";
/// The registry's origin, without a path.
pub const REGISTRY_URL: &str = "REGISTRY_URL";

/// The paths that a connect request may have signed, separated by commas.
pub const CONNECT_PATHS: &str = "CONNECT_PATHS";
/// How long a connection is believed in, in seconds.
pub const CONNECTION_LEASE_SECONDS: &str = "CONNECTION_LEASE_SECONDS";
/// How long a receipt stays readable and waits for its sender, in seconds.
pub const RECEIPT_RETENTION_SECONDS: &str = "RECEIPT_RETENTION_SECONDS";
/// `fail-open` or `fail-closed`.
pub const CRL_STALE_BEHAVIOR: &str = "CRL_STALE_BEHAVIOR";
/// From which age the revocation list counts as stale, in milliseconds.
pub const CRL_MAX_AGE_MS: &str = "CRL_MAX_AGE_MS";
/// Authenticated requests that one agent may make in a minute.
pub const AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE: &str = "AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE";

/// Whether requests may come around the front door: `yes` or `no`.
pub const ALLOW_DIRECT: &str = "ALLOW_DIRECT";
/// What the front door adds to every request, a secret of 32 characters or more. Not read where `ALLOW_DIRECT` is `yes`.
pub const ORIGIN_SECRET: &str = "ORIGIN_SECRET";
/// The id of the service that may post events. Blank if none may.
pub const INTERNAL_SERVICE_ID: &str = "INTERNAL_SERVICE_ID";
/// SHA-256 of that service's secret, in hexadecimal; two while one replaces the other, separated by a comma.
pub const INTERNAL_SERVICE_SECRET_SHA256: &str = "INTERNAL_SERVICE_SECRET_SHA256";

/// What every client needs.
const ALWAYS_REQUIRED: [&str; 3] = [AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY];

/// What has a sensible meaning when it is absent.
const OPTIONAL: [&str; 10] = [
    AWS_SESSION_TOKEN,
    AWS_ENDPOINT_URL,
    AWS_CA_BUNDLE,
    ENVIRONMENT,
    BACKBONE_VERSION,
    INTERNAL_SERVICE_ID,
    INTERNAL_SERVICE_SECRET_SHA256,
    PROXY_ORIGIN,
    PEER_ORIGINS,
    PEER_QUEUE_ARNS,
];

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// All that is missing, so that one look suffices.
    #[error("environment variables that are missing or blank: {}", .names.join(", "))]
    Missing {
        /// Their names.
        names: Vec<&'static str>,
    },
    /// It does not mean anything.
    #[error("environment variable {name} is not {expected}")]
    Unusable {
        /// Its name. The value may be a secret.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The variables about peers, each usable, do not fit together.
    #[error("environment variables {PROXY_ORIGIN}, {PEER_ORIGINS} and {PEER_QUEUE_ARNS}: {why}")]
    Peers {
        /// Why not. None of these values is a secret.
        why: String,
    },
}

/// The values of the variables that a function has asked for.
pub struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// Reads the variables `required`, and those that every function reads, through `env`. A blank value counts as
    /// missing; blanks around a value are dropped.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Missing`] with all of them that are missing.
    pub fn from_env(
        env: &impl Fn(&str) -> Option<String>,
        required: &[&'static str],
    ) -> Result<Self, SettingsError> {
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        let read = |name: &str| Some(env(name)?.trim().to_owned()).filter(|value| !value.is_empty());
        for name in ALWAYS_REQUIRED.iter().chain(required) {
            match read(name) {
                Some(value) => drop(values.insert(*name, value)),
                None => missing.push(*name),
            }
        }
        if !missing.is_empty() {
            return Err(SettingsError::Missing { names: missing });
        }
        values.extend(OPTIONAL.iter().filter_map(|name| Some((*name, read(name)?))));
        Ok(Self(values))
    }

    /// A value, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A value that there must be.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Missing`] if it was neither required at the start nor is optional.
    pub fn text(&self, name: &'static str) -> Result<&str, SettingsError> {
        self.get(name).ok_or_else(|| SettingsError::Missing { names: vec![name] })
    }

    /// The values of a list; none if there is no such variable.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).into_iter().flat_map(|list| list.split(',')).map(str::trim)
    }

    /// A value that must be a whole number.
    ///
    /// # Errors
    ///
    /// Like [`text`](Self::text), and [`SettingsError::Unusable`] if it is something else.
    pub fn number(&self, name: &'static str) -> Result<u64, SettingsError> {
        let unusable = |_| SettingsError::Unusable { name, expected: "a whole number" };
        self.text(name)?.parse().map_err(unusable)
    }
}

impl fmt::Debug for Settings {
    /// Writes the names only: some values are secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        let value = match name {
            AWS_REGION => "us-east-1",
            AWS_ACCESS_KEY_ID => "key",
            AWS_SECRET_ACCESS_KEY => "hush",
            AWS_SESSION_TOKEN => "",
            TRUST_TABLE => " trust\n",
            NONCES_TABLE => "  ",
            CRL_MAX_AGE_MS => "15min",
            CONNECTION_LEASE_SECONDS => "7500",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let error = Settings::from_env(&env, &[NONCES_TABLE, TRUST_TABLE, RECEIPTS_QUEUE_URL])
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "environment variables that are missing or blank: NONCES_TABLE, RECEIPTS_QUEUE_URL"
        );
        let error = Settings::from_env(&|_| None, &[]).unwrap_err().to_string();
        assert!(error.ends_with("AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"), "{error}");
    }

    #[test]
    fn values_are_trimmed_and_numbers_checked() {
        let required = [TRUST_TABLE, CRL_MAX_AGE_MS, CONNECTION_LEASE_SECONDS];
        let settings = Settings::from_env(&env, &required).unwrap();
        assert_eq!(settings.text(TRUST_TABLE).unwrap(), "trust");
        assert_eq!(settings.get(AWS_SESSION_TOKEN), None);
        assert_eq!(settings.number(CONNECTION_LEASE_SECONDS).unwrap(), 7_500);
        let error = settings.number(CRL_MAX_AGE_MS).unwrap_err().to_string();
        assert_eq!(error, "environment variable CRL_MAX_AGE_MS is not a whole number");
        assert!(settings.text(REGISTRY_URL).is_err(), "it was not asked for");
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", Settings::from_env(&env, &[]).unwrap()).contains("hush"));
    }
}
