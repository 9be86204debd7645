//! What was called, how often, with how many bytes, and how many units DynamoDB would have charged.

use std::fmt;

use axum::http::{HeaderMap, Method};
use serde_json::Value;

/// DynamoDB charges a write per so many bytes of its item.
const WRITE_UNIT_BYTES: usize = 1_024;

/// An operation of AWS, by the name that AWS gives it, or a question to the registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation(String);

impl Operation {
    pub(crate) fn of(method: &Method, headers: &HeaderMap, path: &str) -> Self {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let name = match target.and_then(|target| target.rsplit('.').next()) {
            Some(name) => name,
            None if path.contains("/@connections/") && method == Method::DELETE => "DeleteConnection",
            None if path.contains("/@connections/") => "PostToConnection",
            None if path == "/.well-known/claw-keys.json" => "registry: keys",
            None if path == "/v1/agents/auth/validate" => "registry: session",
            None => path,
        };
        Self(name.to_owned())
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Whether it is AWS's.
    pub(crate) fn is_aws(&self) -> bool {
        !self.0.starts_with("registry")
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// All calls of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// How many.
    pub(crate) count: usize,
    /// Bytes of the bodies, to AWS.
    pub(crate) bytes_sent: usize,
    /// Bytes of the bodies, from AWS.
    pub(crate) bytes_received: usize,
    /// DynamoDB's units of strongly consistent reading; no item here is larger than one unit.
    pub(crate) read_units: usize,
    /// DynamoDB's units of writing.
    pub(crate) write_units: usize,
}

impl Calls {
    pub(super) fn count(&mut self, request: &Value, sent: usize, received: usize) {
        self.count += 1;
        self.bytes_sent += sent;
        self.bytes_received += received;
        let asked = request["RequestItems"].as_object().into_iter().flatten();
        let keys = asked.map(|(_, asked)| asked["Keys"].as_array().map_or(0, Vec::len)).sum::<usize>();
        let is_write = request.get("Item").is_some() || request.get("UpdateExpression").is_some();
        let is_read =
            request.get("Key").is_some() && !is_write || request.get("KeyConditionExpression").is_some();
        self.read_units += keys + usize::from(is_read);
        // An update is charged by its whole item: those updated here are counters and rows of a few hundred bytes.
        self.write_units += match request.get("Item") {
            Some(item) => item_bytes(item).div_ceil(WRITE_UNIT_BYTES),
            None => usize::from(is_write),
        };
    }
}

/// The size of an item as DynamoDB counts it: names and values in UTF-8. A number is taken for its text, which is more.
fn item_bytes(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes
        .map(|(name, value)| {
            let value = value.as_object().and_then(|typed| typed.values().next()).and_then(Value::as_str);
            name.len() + value.map_or(0, str::len)
        })
        .sum()
}
