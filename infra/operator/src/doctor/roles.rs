//! Roles: whether they still allow what the template says, which somebody may have changed by hand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Finding, Patient};

const KIND: &str = "AWS::IAM::Role";

/// The actions of each statement, by its `Sid`.
type Statements = BTreeMap<String, BTreeSet<String>>;

/// An inline policy, as the template has it.
struct Policy {
    name: String,
    /// What it must allow.
    always: Statements,
    /// The names of what it may allow too, under a condition.
    sometimes: BTreeSet<String>,
}

/// Compares each role's inline policies with the template that the stack was made from. The resources of a statement are
/// not compared: in the template they are references.
pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let template = match patient.control_plane.template(&patient.deployment.stack).await {
        Ok(template) => template,
        Err(error) => return vec![Finding::not_seen("roles", &error, "cloudformation:GetTemplate")],
    };
    let Ok(template) = serde_json::from_str::<Value>(&template) else {
        let remedy = "compare the roles with the template by hand";
        return vec![Finding::warning("roles", "CloudFormation's template is not JSON", remedy)];
    };
    let mut findings = Vec::new();
    for role in patient.resources_of(KIND) {
        let policies = policies(&template["Resources"][&role.logical_id]);
        for policy in policies {
            let check = format!("role {}", role.logical_id);
            findings.push(match patient.control_plane.role_policy(&role.physical_id, &policy.name).await {
                Ok(actual) => finding(check, &policy, &actual),
                Err(error) => Finding::not_seen(check, &error, "iam:GetRolePolicy"),
            });
        }
    }
    findings
}

fn finding(check: String, policy: &Policy, actual: &Value) -> Finding {
    let actual: Statements = list(&actual["Statement"]).into_iter().filter_map(statement).collect();
    let mut missing = Vec::new();
    for (sid, actions) in &policy.always {
        let allowed = actual.get(sid).cloned().unwrap_or_default();
        let lacking: Vec<_> = actions.difference(&allowed).cloned().collect();
        if !lacking.is_empty() {
            missing.push(format!("{sid} ({})", lacking.join(", ")));
        }
    }
    if !missing.is_empty() {
        let remedy = "somebody has changed it by hand: put the permission back, or deploy again";
        return Finding::fault(check, format!("lacks {}", missing.join(" and ")), remedy);
    }
    let is_known = |sid: &&String| policy.always.contains_key(*sid) || policy.sometimes.contains(*sid);
    let more: Vec<_> = actual.keys().filter(|sid| !is_known(sid)).cloned().collect();
    if more.is_empty() {
        Finding::fine(check, "allows what the template says")
    } else {
        let remedy = "somebody has changed it by hand: take the permission away, or deploy again";
        Finding::warning(check, format!("allows more than the template says: {}", more.join(", ")), remedy)
    }
}

/// The inline policies of a role in the template.
fn policies(role: &Value) -> Vec<Policy> {
    let read = |policy: &Value| {
        let statements = list(&policy["PolicyDocument"]["Statement"]);
        let conditional =
            |one: &Value| list(&one["Fn::If"]).into_iter().filter_map(statement).collect::<Vec<_>>();
        Some(Policy {
            name: policy["PolicyName"].as_str()?.to_owned(),
            sometimes: statements.iter().flat_map(|one| conditional(one)).map(|(sid, _)| sid).collect(),
            always: statements.into_iter().filter_map(statement).collect(),
        })
    };
    list(&role["Properties"]["Policies"]).into_iter().filter_map(read).collect()
}

/// The `Sid` and the actions of a statement that allows something.
fn statement(statement: &Value) -> Option<(String, BTreeSet<String>)> {
    let allows = statement["Effect"].as_str() == Some("Allow");
    let sid = statement["Sid"].as_str()?;
    let actions =
        list(&statement["Action"]).into_iter().filter_map(|action| action.as_str().map(str::to_owned));
    allows.then(|| (sid.to_owned(), actions.collect()))
}

/// What may be written as a list or as its only element.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one @ (Value::Object(_) | Value::String(_) | Value::Bool(_) | Value::Number(_)) => vec![one],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Verdict;
    use super::*;

    fn role() -> Value {
        json!({ "Properties": { "Policies": [{ "PolicyName": "p", "PolicyDocument": { "Statement": [
            { "Sid": "Read", "Effect": "Allow", "Action": "a:Get", "Resource": { "Fn::GetAtt": ["T", "Arn"] } },
            { "Sid": "Write", "Effect": "Allow", "Action": ["a:Put", "a:Delete"] },
            { "Fn::If": ["C", { "Sid": "Trace", "Effect": "Allow", "Action": "x:Put" }, { "Ref": "AWS::NoValue" }] },
        ] } }] } })
    }

    fn allow(sid: &str, action: &Value) -> Value {
        json!({ "Sid": sid, "Effect": "Allow", "Action": action })
    }

    #[test]
    fn what_a_role_lacks_is_named() {
        let policy = &policies(&role())[0];
        let (read, write) = (allow("Read", &json!(["a:Get"])), allow("Write", &json!(["a:Put", "a:Delete"])));
        let verdict =
            |statements: &[Value]| finding("r".to_owned(), policy, &json!({ "Statement": statements }));
        assert_eq!(verdict(&[read.clone(), write.clone()]).verdict, Verdict::Fine);
        assert_eq!(
            verdict(&[read.clone(), write.clone(), allow("Trace", &json!("x:Put"))]).verdict,
            Verdict::Fine
        );
        let wide = verdict(&[read.clone(), write, allow("Extra", &json!("*"))]);
        assert_eq!((wide.verdict, wide.found.contains("Extra")), (Verdict::Warning, true));
        let lacking = verdict(&[read, allow("Write", &json!("a:Put"))]);
        assert_eq!((lacking.verdict, lacking.found.as_str()), (Verdict::Fault, "lacks Write (a:Delete)"));
        let denied = json!({ "Sid": "Read", "Effect": "Deny", "Action": "a:Get" });
        assert_eq!(verdict(&[denied]).found, "lacks Read (a:Get) and Write (a:Delete, a:Put)");
    }
}
