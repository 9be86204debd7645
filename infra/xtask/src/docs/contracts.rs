//! The contracts for reading, from `docs/contracts/*.yaml`.

use serde_yaml_ng::Value;

use super::yaml::{items, members, read, scalar, text};
use super::{header, row};
use crate::failure::Failure;

const INTRODUCTION: &str = "\
# Contracts

What connectors, the registry and operators may rely on. `cargo xtask docs` writes this page from the two files beside it,
[openapi.yaml](openapi.yaml) and [asyncapi.yaml](asyncapi.yaml), which tests hold to the code in both directions.
";

pub(super) fn page() -> Result<String, Failure> {
    let (openapi, asyncapi) = (read("docs/contracts/openapi.yaml")?, read("docs/contracts/asyncapi.yaml")?);
    Ok(INTRODUCTION.to_owned() + &http(&openapi) + &channels(&asyncapi))
}

fn http(openapi: &Value) -> String {
    let mut page = vec!["\n## HTTP\n".to_owned()];
    for (path, item) in members(openapi, "paths") {
        for (method, operation) in item.as_mapping().into_iter().flatten() {
            let method = scalar(method).to_uppercase();
            page.push(format!(
                "\n### `{method} {path}`\n\n{}. {}\n\n",
                text(operation, "summary"),
                text(operation, "description")
            ));
            page.push(header(["status", "meaning", "codes"]));
            for (status, response) in members(operation, "responses") {
                let response = resolve(openapi, response);
                let codes = members(&response["content"]["application/json"], "examples");
                let codes: Vec<_> = codes.map(|(code, _)| format!("`{code}`")).collect();
                page.push(row([status, text(response, "description"), &codes.join(" ")]));
            }
        }
    }
    page.push("\nEvery request but `/health` carries:\n\n".to_owned());
    page.push(header(["header", "content"]));
    for (_, scheme) in members(&openapi["components"], "securitySchemes") {
        page.push(row([&format!("`{}`", text(scheme, "name")), text(scheme, "description")]));
    }
    for (name, schema) in members(&openapi["components"], "schemas") {
        page.push(fields(openapi, &format!("### Body `{name}`"), schema));
    }
    page.concat()
}

fn channels(asyncapi: &Value) -> String {
    let mut page = Vec::new();
    for (_, channel) in members(asyncapi, "channels") {
        page.push(format!("\n## {}: `{}`\n\n", text(channel, "title"), text(channel, "address")));
        if !text(channel, "description").is_empty() {
            page.push(format!("{}\n\n", text(channel, "description")));
        }
        page.push(header(["message", "meaning"]));
        for (name, message) in members(channel, "messages") {
            page.push(row([&format!("`{name}`"), text(resolve(asyncapi, message), "summary")]));
        }
        for (name, message) in members(channel, "messages") {
            let message = resolve(asyncapi, message);
            page.push(fields(asyncapi, &format!("### `{name}`"), &message["payload"]));
        }
        let headers =
            members(channel, "messages").find_map(|(_, message)| resolve(asyncapi, message).get("headers"));
        if let Some(headers) = headers {
            page.push(fields(asyncapi, "### Attributes", headers));
        }
    }
    page.concat()
}

/// The table of an object's fields; nothing for what has none.
fn fields(document: &Value, title: &str, schema: &Value) -> String {
    let schema = resolve(document, schema);
    let mut rows = String::new();
    for (name, property) in members(schema, "properties") {
        let required = items(schema, "required").any(|required| required.as_str() == Some(name));
        let resolved = resolve(document, property);
        let meaning = [property, resolved].map(|value| text(value, "description"));
        let meaning = meaning.into_iter().find(|meaning| !meaning.is_empty()).unwrap_or_default();
        rows += &row([&format!("`{name}`"), if required { "yes" } else { "no" }, &kind(property), meaning]);
    }
    if rows.is_empty() {
        return String::new();
    }
    let about = text(schema, "description");
    let about = if about.is_empty() { String::new() } else { format!("{about}\n\n") };
    format!("\n{title}\n\n{about}{}{rows}", header(["field", "required", "type", "meaning"]))
}

/// What a value may be, in few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = text(schema, "$ref").rsplit('/').next().filter(|name| !name.is_empty()) {
        return format!("`{name}`");
    }
    if let Some(value) = schema.get("const") {
        return format!("`{}`", scalar(value));
    }
    let values: Vec<_> = items(schema, "enum").map(|value| format!("`{}`", scalar(value))).collect();
    if !values.is_empty() {
        return values.join(" ");
    }
    let several: Vec<_> = items(schema, "type").map(scalar).collect();
    if several.is_empty() { text(schema, "type").to_owned() } else { several.join(" or ") }
}

/// What `value` is, or refers to within `document`.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(path) = text(value, "$ref").strip_prefix("#/") else { return value };
    let found = path.split('/').try_fold(document, |value, step| value.get(step));
    found.map_or(value, |found| resolve(document, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_shown_with_the_nearest_description() {
        let document = "{ a: { T: { type: string, description: far } }, o: { required: [x], properties: { \
                        x: { $ref: '#/a/T' }, y: { $ref: '#/a/T', description: near }, z: { type: [integer, 'null'] } } } }";
        let document: Value = serde_yaml_ng::from_str(document).expect("YAML");
        let table = fields(&document, "### o", &document["o"]);
        assert!(table.contains("| `x` | yes | `T` | far |"), "{table}");
        assert!(table.contains("| `y` | no | `T` | near |"), "{table}");
        assert!(table.contains("| `z` | no | integer or null | – |"), "{table}");
    }
}
