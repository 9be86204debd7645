//! Simulated outages of the registry.

use serde::{Deserialize, Serialize};

/// How an endpoint behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Fault {
    /// It answers.
    #[default]
    Ok,
    /// It answers 503.
    Unavailable,
    /// It takes the request and never answers.
    Hang,
}

/// The behaviour of each endpoint that can fail.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Faults {
    pub(super) keys: Fault,
    pub(super) crl: Fault,
    pub(super) validate: Fault,
}

/// A change of [`Faults`]: endpoints that are not named stay as they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultChange {
    keys: Option<Fault>,
    crl: Option<Fault>,
    validate: Option<Fault>,
}

impl Faults {
    pub(super) fn apply(&mut self, change: &FaultChange) {
        self.keys = change.keys.unwrap_or(self.keys);
        self.crl = change.crl.unwrap_or(self.crl);
        self.validate = change.validate.unwrap_or(self.validate);
    }
}
