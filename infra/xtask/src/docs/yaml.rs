//! Reading YAML files of the repository.

use std::fs;

use serde_yaml_ng::{Mapping, Value};

use crate::failure::Failure;
use crate::workspace;

/// The file at `path`, from the repository's root.
pub(super) fn read(path: &str) -> Result<Value, Failure> {
    let text = fs::read_to_string(workspace::root().join(path))
        .map_err(|error| Failure::io(format!("cannot read {path}"), &error))?;
    serde_yaml_ng::from_str(&text).map_err(|error| Failure::new(format!("{path} does not parse: {error}")))
}

/// The members of the mapping `name` of `value`, in their order.
pub(super) fn members<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let mapping = value.get(name).and_then(Value::as_mapping).into_iter().flat_map(Mapping::iter);
    mapping.filter_map(|(name, member)| Some((name.as_str()?, member)))
}

/// The items of the sequence `name` of `value`.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_sequence).into_iter().flatten()
}

/// The text `name` of `value`; nothing if there is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A scalar as it is written.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => String::new(),
    }
}
