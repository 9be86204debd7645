//! What was called, how often, with how many bytes, and how many units DynamoDB would have charged.

use std::fmt;
use std::ops::AddAssign;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

/// DynamoDB charges a write per so many bytes of its item.
const WRITE_UNIT_BYTES: usize = 1_024;
/// And a strongly consistent read per so many.
const READ_UNIT_BYTES: usize = 4_096;

/// An operation of AWS, by the name that AWS gives it, or a question to the registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation(String);

impl Operation {
    pub(crate) fn of(method: &Method, headers: &HeaderMap, path: &str) -> Self {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        Self::named(match target.and_then(|target| target.rsplit('.').next()) {
            Some(name) => name,
            None if path.contains("/@connections/") && method == Method::DELETE => "DeleteConnection",
            None if path.contains("/@connections/") => "PostToConnection",
            None if path == "/.well-known/claw-keys.json" => "registry: keys",
            None if path == "/v1/agents/auth/validate" => "registry: session",
            None => path,
        })
    }

    pub(crate) fn named(name: &str) -> Self {
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
    /// Heads and bodies of the requests, without what TLS adds.
    pub(crate) bytes_sent: usize,
    /// Bodies of the answers.
    pub(crate) bytes_answered: usize,
    /// DynamoDB's units of strongly consistent reading.
    pub(crate) read_units: usize,
    /// DynamoDB's units of writing.
    pub(crate) write_units: usize,
}

impl Calls {
    /// One call, without its bytes.
    pub(super) fn of(operation: &Operation, request: &Value, answer: &Value) -> Self {
        let (read_units, write_units) = match operation.name() {
            // No item that is read by its key is larger than one unit.
            "GetItem" => (1, 0),
            "BatchGetItem" => (keys_of(request), 0),
            // Charged by all that it reads, and for finding nothing, too.
            "Query" => {
                let items = answer["Items"].as_array().into_iter().flatten();
                (items.map(item_bytes).sum::<usize>().div_ceil(READ_UNIT_BYTES).max(1), 0)
            }
            "PutItem" => (0, item_bytes(&request["Item"]).div_ceil(WRITE_UNIT_BYTES)),
            // Charged by the whole item: those here are counters and rows of a few hundred bytes.
            "UpdateItem" | "DeleteItem" => (0, 1),
            _ => (0, 0),
        };
        Self { count: 1, read_units, write_units, ..Self::default() }
    }
}

impl AddAssign for Calls {
    fn add_assign(&mut self, more: Self) {
        self.count += more.count;
        self.bytes_sent += more.bytes_sent;
        self.bytes_answered += more.bytes_answered;
        self.read_units += more.read_units;
        self.write_units += more.write_units;
    }
}

fn keys_of(request: &Value) -> usize {
    let tables = request["RequestItems"].as_object().into_iter().flatten();
    tables.map(|(_, asked)| asked["Keys"].as_array().map_or(0, Vec::len)).sum()
}

/// What a request is before its body: `<method> <path> HTTP/1.1`, a line per header, and an empty one.
pub(super) fn head_bytes(method: &Method, uri: &Uri, headers: &HeaderMap) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let lines = headers.iter().map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len());
    method.as_str().len() + path + "  HTTP/1.1\r\n".len() + lines.sum::<usize>() + "\r\n".len()
}

/// The size of an item as DynamoDB counts it: names and values in UTF-8. A number is taken for its text, which is more.
pub(super) fn item_bytes(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes
        .map(|(name, value)| {
            let value = value.as_object().and_then(|typed| typed.values().next()).and_then(Value::as_str);
            name.len() + value.map_or(0, str::len)
        })
        .sum()
}
