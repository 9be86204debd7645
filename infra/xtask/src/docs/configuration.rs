//! The configuration reference, from `template.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value;

use super::yaml::{items, members, read, scalar, text};
use super::{header, row};
use crate::failure::Failure;

const INTRODUCTION: &str = "\
# Configuration

Every parameter of `template.yaml` and every output of the stack. `cargo xtask docs` writes this page from the template.

`samconfig.toml` sets parameters for `dev` and `prod`, under `parameter_overrides`. A change takes effect with the next `sam deploy`
from a checkout that was built (`cargo xtask package`). A parameter that is not named keeps the value that the deployed stack has; to go
back to a default, name it. Functions read their parameters as environment variables, which
`functions/backbone-aws/src/settings.rs` documents.
";

pub(super) fn page() -> Result<String, Failure> {
    render(&read("template.yaml")?)
}

fn render(template: &Value) -> Result<String, Failure> {
    let interface = &template["Metadata"]["AWS::CloudFormation::Interface"];
    let readers = readers(template);
    let parameters: BTreeMap<_, _> = members(template, "Parameters").collect();
    let mut page = vec![INTRODUCTION.to_owned()];
    let mut shown = BTreeSet::new();
    for group in items(interface, "ParameterGroups") {
        page.push(format!("\n## {}\n\n", text(&group["Label"], "default")));
        page.push(header(["parameter", "values", "default", "meaning", "read by"]));
        for name in items(group, "Parameters").filter_map(Value::as_str) {
            let parameter = parameters.get(name).ok_or_else(|| {
                Failure::new(format!("template.yaml groups {name}, which it does not have"))
            })?;
            shown.insert(name);
            let default = match parameter.get("Default").map(scalar) {
                Some(default) if default.is_empty() => "empty".to_owned(),
                Some(default) => format!("`{default}`"),
                None => "must be given".to_owned(),
            };
            let read_by = readers.get(name).into_iter().flatten();
            let read_by = read_by.map(|(variable, who)| format!("`{variable}` of {}", who.join(", ")));
            let read_by = read_by.collect::<Vec<_>>().join("; ");
            let meaning = text(parameter, "Description");
            page.push(row([&format!("`{name}`"), &values(parameter), &default, meaning, &read_by]));
        }
    }
    if let Some(name) = parameters.keys().find(|name| !shown.contains(*name)) {
        return Err(Failure::new(format!("template.yaml has {name} in no group of parameters")));
    }
    page.push("\n## Outputs\n\n".to_owned());
    page.push(header(["output", "meaning"]));
    for (name, output) in members(template, "Outputs") {
        page.push(row([&format!("`{name}`"), text(output, "Description")]));
    }
    Ok(page.concat())
}

/// What a parameter may be.
fn values(parameter: &Value) -> String {
    let allowed: Vec<_> =
        items(parameter, "AllowedValues").map(|value| format!("`{}`", scalar(value))).collect();
    if !allowed.is_empty() {
        return allowed.join(" ");
    }
    let bound = |name: &str| parameter.get(name).map(scalar);
    match (text(parameter, "Type"), bound("MinValue"), bound("MaxValue")) {
        ("Number", Some(least), Some(most)) => format!("{least} to {most}"),
        ("Number", Some(least), None) => format!("number, at least {least}"),
        ("Number", None, Some(most)) => format!("number, at most {most}"),
        ("Number", None, None) => "number".to_owned(),
        (kind, _, _) => match text(parameter, "AllowedPattern") {
            "" => if kind == "String" { "text" } else { kind }.to_owned(),
            pattern => format!("`{pattern}`"),
        },
    }
}

/// The variables in which each parameter occurs, and the functions that have them.
type Readers = BTreeMap<String, BTreeMap<String, Vec<String>>>;

fn readers(template: &Value) -> Readers {
    let mut readers = Readers::new();
    let mut note = |function: &str, variables: &Value| {
        for (variable, value) in members(variables, "Variables") {
            let mut names = BTreeSet::new();
            referred(value, &mut names);
            for name in names {
                let variables = readers.entry(name).or_default();
                variables.entry(variable.to_owned()).or_default().push(function.to_owned());
            }
        }
    };
    note("all functions", &template["Globals"]["Function"]["Environment"]);
    for (id, resource) in members(template, "Resources") {
        if text(resource, "Type") == "AWS::Serverless::Function" {
            note(&format!("`{id}`"), &resource["Properties"]["Environment"]);
        }
    }
    readers
}

/// What a value refers to, by `!Ref` or within a text.
fn referred(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Tagged(tagged) => match (tagged.tag.to_string().as_str(), &tagged.value) {
            ("!Ref" | "!GetAtt", Value::String(name)) => drop(names.insert(name.clone())),
            ("!Sub", Value::String(text)) => {
                let parts = text.split("${").skip(1).filter_map(|part| part.split_once('}'));
                names.extend(parts.map(|(name, _)| name.to_owned()));
            }
            (_, inner) => referred(inner, names),
        },
        Value::Sequence(items) => items.iter().for_each(|item| referred(item, names)),
        Value::Mapping(members) => members.iter().for_each(|(_, member)| referred(member, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups:
      - Label: { default: All }
        Parameters: [Url, Age]
Parameters:
  Url: { Type: String, AllowedPattern: "^a|b$", Description: Where }
  Age: { Type: Number, MinValue: 1, Default: 7, Description: How old }
Resources:
  OneFunction:
    Type: AWS::Serverless::Function
    Properties: { Environment: { Variables: { PLACE: !If [X, !Sub "${Url}/x", ""] } } }
Outputs:
  Here: { Value: x }
"#;

    #[test]
    fn a_parameter_is_shown_with_its_rule_and_its_reader() {
        let page = render(&serde_yaml_ng::from_str(TEMPLATE).expect("YAML")).expect("a page");
        assert!(
            page.contains("| `Url` | `^a\\|b$` | must be given | Where | `PLACE` of `OneFunction` |"),
            "{page}"
        );
        assert!(page.contains("| `Age` | number, at least 1 | `7` | How old | – |"), "{page}");
        assert!(page.contains("| `Here` | – |"), "{page}");
    }

    #[test]
    fn a_parameter_that_nobody_grouped_is_not_passed_over() {
        let template = TEMPLATE.replace("[Url, Age]", "[Url]");
        let problem = render(&serde_yaml_ng::from_str(&template).expect("YAML")).expect_err("no page");
        assert!(problem.to_string().contains("Age"), "{problem}");
    }
}
