//! A contract file: its references, its schemas, what they name.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::template::repository_file;

/// The texts in quotes in the part of a source file that is not its tests and that are names and no sentences.
pub(super) fn names_in_code(path: &str) -> BTreeSet<String> {
    let source = repository_file(path);
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let quoted = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let quoted = quoted.flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_name = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    quoted.filter(is_name).map(str::to_owned).collect()
}

pub(super) struct Document(Value);

impl Document {
    pub(super) fn openapi() -> Self {
        Self::read("docs/contracts/openapi.yaml")
    }

    pub(super) fn asyncapi() -> Self {
        Self::read("docs/contracts/asyncapi.yaml")
    }

    fn read(path: &str) -> Self {
        Self(serde_yaml_ng::from_str(&repository_file(path)).unwrap_or_else(|why| panic!("{path}: {why}")))
    }

    /// What is at `pointer`, with references followed on the way; it must be there.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        pointer.split('/').skip(1).fold(&self.0, |value, step| self.get(value, &unescaped(step)))
    }

    /// The member `name` of `value`, with references followed; it must be there.
    pub(super) fn get<'a>(&'a self, value: &'a Value, name: &str) -> &'a Value {
        let member = self.resolve(value).get(name).unwrap_or_else(|| panic!("no {name} in {value}"));
        self.resolve(member)
    }

    /// What `value` is, or refers to.
    pub(super) fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.at(reference.strip_prefix('#').expect("references stay in the file")),
            None => value,
        }
    }

    /// The members of an object, with references followed.
    pub(super) fn members<'a>(&'a self, value: &'a Value) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let members = self.resolve(value).as_object().unwrap_or_else(|| panic!("no object: {value}"));
        members.iter().map(|(name, member)| (name.as_str(), self.resolve(member)))
    }

    /// The names of the properties of an object's schema.
    pub(super) fn properties(&self, schema: &Value) -> BTreeSet<String> {
        self.members(self.get(schema, "properties")).map(|(name, _)| name.to_owned()).collect()
    }

    /// The names of the properties that an object must have.
    pub(super) fn required(&self, schema: &Value) -> Vec<String> {
        serde_json::from_value(self.get(schema, "required").clone()).unwrap()
    }

    /// Whether `instance` is as `schema` says; else everything that is not.
    pub(super) fn check(&self, schema: &Value, instance: &Value) -> Result<(), String> {
        let whole = json!({ "allOf": [schema], "components": self.0["components"] });
        let validator = jsonschema::validator_for(&whole).unwrap_or_else(|why| panic!("{why}: {schema}"));
        let defects: Vec<_> = validator.iter_errors(instance).map(|defect| defect.to_string()).collect();
        if defects.is_empty() { Ok(()) } else { Err(format!("{}: {instance}", defects.join("; "))) }
    }
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The names of an object's members.
pub(super) fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().cloned().collect()
}

/// `object` without one of its members.
pub(super) fn without(object: &Value, name: &str) -> Value {
    let mut rest = object.clone();
    assert!(rest.as_object_mut().unwrap().remove(name).is_some(), "no {name}");
    rest
}
