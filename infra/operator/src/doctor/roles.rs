//! Roles: whether they still allow what the template says, which somebody may have changed by hand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{AS_CHANGED_BY_HAND, Finding, Patient};
use crate::control_plane::{CallError, ControlPlane, Resource};

const KIND: &str = "AWS::IAM::Role";

/// A statement that says nobody what it is for.
const UNNAMED: &str = "(unnamed)";

/// The actions of each statement, by its `Sid`.
type Statements = BTreeMap<String, BTreeSet<String>>;

/// An inline policy, as the template has it.
struct Policy {
    name: String,
    /// What it must allow.
    always: Statements,
    /// What it may allow too, under a condition.
    sometimes: Statements,
}

/// What a role lacks, and what it has that the template does not know.
#[derive(Default)]
struct Differences {
    lacking: Vec<String>,
    more: Vec<String>,
}

/// Compares each role's policies with the template that the stack was made from. The resources of a statement are not
/// compared: in the template they are references.
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
        let expected = &template["Resources"][&role.logical_id];
        findings.extend(check_role(&patient.control_plane, role, expected).await);
    }
    findings
}

async fn check_role(control_plane: &ControlPlane, role: &Resource, expected: &Value) -> Vec<Finding> {
    let check = format!("role {}", role.logical_id);
    let policies = policies(expected);
    let mut differences = Differences::default();
    let mut findings = Vec::new();
    for policy in &policies {
        match control_plane.role_policy(&role.physical_id, &policy.name).await {
            Ok(actual) => differences.add(policy, &actual),
            Err(error) if error.is_no_such_thing() => differences.add(policy, &Value::Null),
            Err(error) => findings.push(Finding::not_seen(&check, &error, "iam:GetRolePolicy")),
        }
    }
    let inline = control_plane.inline_policies(&role.physical_id).await;
    if inline.as_ref().is_err_and(CallError::is_no_such_thing) {
        return vec![Finding::fault(check, "is gone", AS_CHANGED_BY_HAND)];
    }
    let attached = control_plane.attached_policies(&role.physical_id).await;
    for (policies, known, action) in [
        (inline, policies.into_iter().map(|policy| policy.name).collect(), "iam:ListRolePolicies"),
        (attached, managed_policies(expected), "iam:ListAttachedRolePolicies"),
    ] {
        match policies {
            Ok(policies) => differences.add_unknown(policies, &known),
            Err(error) => findings.push(Finding::not_seen(&check, &error, action)),
        }
    }
    // What could not be looked at is no reason to call the rest fine.
    findings.extend((findings.is_empty() || !differences.is_none()).then(|| differences.finding(check)));
    findings
}

impl Differences {
    const fn is_none(&self) -> bool {
        self.lacking.is_empty() && self.more.is_empty()
    }

    /// Compares a policy's document with what the template says.
    fn add(&mut self, policy: &Policy, actual: &Value) {
        let statements = list(&actual["Statement"]);
        let allowed = by_sid(statements.iter().copied().filter(|one| allows(one)));
        for (sid, actions) in &policy.always {
            let lacking: Vec<_> = match allowed.get(sid) {
                Some(allowed) => actions.difference(allowed).cloned().collect(),
                None => actions.iter().cloned().collect(),
            };
            if !lacking.is_empty() {
                self.lacking.push(format!("{sid} ({})", lacking.join(", ")));
            }
        }
        for (sid, actions) in &allowed {
            let known = policy.always.get(sid).or_else(|| policy.sometimes.get(sid));
            let more: Vec<_> = actions
                .iter()
                .filter(|action| !known.is_some_and(|known| known.contains(*action)))
                .cloned()
                .collect();
            if !more.is_empty() {
                self.more.push(format!("{sid} ({})", more.join(", ")));
            }
        }
        let denied = by_sid(statements.into_iter().filter(|one| !allows(one)));
        let denied = denied
            .into_iter()
            .map(|(sid, actions)| (sid, actions.into_iter().collect::<Vec<_>>().join(", ")));
        self.lacking.extend(denied.map(|(sid, actions)| format!("what {sid} denies ({actions})")));
    }

    /// Notes policies that are none of the template's.
    fn add_unknown(&mut self, policies: Vec<String>, known: &BTreeSet<String>) {
        let unknown = policies.into_iter().filter(|policy| !known.contains(policy));
        self.more.extend(unknown.map(|policy| format!("policy {policy}")));
    }

    fn finding(self, check: String) -> Finding {
        if !self.lacking.is_empty() {
            let remedy = "somebody has changed it by hand: put the permission back (`aws iam put-role-policy`); deploying the same template \
                          again does not (docs/upgrade.md#what-was-changed-by-hand)";
            Finding::fault(check, format!("lacks {}", self.lacking.join(" and ")), remedy)
        } else if !self.more.is_empty() {
            let remedy = "somebody has changed it by hand: take the permission away; deploying the same template again does not \
                          (docs/upgrade.md#what-was-changed-by-hand)";
            Finding::warning(
                check,
                format!("allows more than the template says: {}", self.more.join(", ")),
                remedy,
            )
        } else {
            Finding::fine(check, "allows what the template says")
        }
    }
}

/// The inline policies of a role in the template.
fn policies(role: &Value) -> Vec<Policy> {
    let read = |policy: &Value| {
        let statements = list(&policy["PolicyDocument"]["Statement"]);
        let conditional = statements.iter().flat_map(|one| list(&one["Fn::If"]));
        Some(Policy {
            name: policy["PolicyName"].as_str()?.to_owned(),
            sometimes: by_sid(conditional.filter(|one| allows(one))),
            always: by_sid(statements.iter().copied().filter(|one| allows(one))),
        })
    };
    list(&role["Properties"]["Policies"]).into_iter().filter_map(read).collect()
}

/// The names of the managed policies of a role in the template.
fn managed_policies(role: &Value) -> BTreeSet<String> {
    let arns = list(&role["Properties"]["ManagedPolicyArns"]).into_iter();
    let texts = arns.filter_map(|arn| arn.as_str().or_else(|| arn["Fn::Sub"].as_str()));
    texts.filter_map(|arn| arn.rsplit('/').next().map(str::to_owned)).collect()
}

fn allows(statement: &Value) -> bool {
    statement["Effect"].as_str() == Some("Allow")
}

/// The actions of statements, by their `Sid`.
fn by_sid<'a>(statements: impl Iterator<Item = &'a Value>) -> Statements {
    let mut all = Statements::new();
    for statement in statements.filter(|one| one["Effect"].is_string()) {
        let texts = |field: &str| {
            let texts = list(&statement[field]).into_iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect::<Vec<_>>()
        };
        let sid = statement["Sid"].as_str().unwrap_or(UNNAMED);
        let actions = all.entry(sid.to_owned()).or_default();
        actions.extend(texts("Action"));
        actions.extend(texts("NotAction").into_iter().map(|action| format!("all but {action}")));
    }
    all
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

    fn finding(statements: &[Value]) -> Finding {
        let mut differences = Differences::default();
        differences.add(&policies(&role())[0], &json!({ "Statement": statements }));
        differences.finding("r".to_owned())
    }

    #[test]
    fn what_a_role_lacks_is_named() {
        let (read, write) = (allow("Read", &json!(["a:Get"])), allow("Write", &json!(["a:Put", "a:Delete"])));
        assert_eq!(finding(&[read.clone(), write.clone()]).verdict, Verdict::Fine);
        assert_eq!(
            finding(&[read.clone(), write.clone(), allow("Trace", &json!("x:Put"))]).verdict,
            Verdict::Fine
        );
        let lacking = finding(&[read.clone(), allow("Write", &json!("a:Put"))]);
        assert_eq!((lacking.verdict, lacking.found.as_str()), (Verdict::Fault, "lacks Write (a:Delete)"));
        let mut gone = Differences::default();
        gone.add(&policies(&role())[0], &Value::Null);
        assert_eq!(gone.lacking, ["Read (a:Get)", "Write (a:Delete, a:Put)"], "of a policy that is gone");
        let denied = json!({ "Sid": "No", "Effect": "Deny", "Action": "a:Get" });
        let denied = finding(&[read, write, denied]);
        assert_eq!((denied.verdict, denied.found.as_str()), (Verdict::Fault, "lacks what No denies (a:Get)"));
    }

    #[test]
    fn what_a_role_has_too_much_is_named() {
        let (read, write) = (allow("Read", &json!(["a:Get"])), allow("Write", &json!(["a:Put", "a:Delete"])));
        let unnamed = json!({ "Effect": "Allow", "Action": "*" });
        let not_action = json!({ "Effect": "Allow", "NotAction": "iam:*" });
        for (more, words) in [
            (allow("Extra", &json!("*")), "Extra (*)"),
            (allow("Read", &json!("a:Scan")), "Read (a:Scan)"),
            (allow("Trace", &json!("x:Get")), "Trace (x:Get)"),
            (unnamed, "(unnamed) (*)"),
            (not_action, "(unnamed) (all but iam:*)"),
        ] {
            let wide = finding(&[read.clone(), write.clone(), more]);
            assert_eq!(wide.verdict, Verdict::Warning, "{}", wide.found);
            assert!(wide.found.ends_with(&format!(": {words}")), "{}", wide.found);
        }
        let mut differences = Differences::default();
        let known = managed_policies(&json!({ "Properties": { "ManagedPolicyArns": [
            { "Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/Known" },
        ] } }));
        differences.add_unknown(vec!["Known".to_owned(), "AdministratorAccess".to_owned()], &known);
        assert!(differences.finding("r".to_owned()).found.ends_with(": policy AdministratorAccess"));
    }
}
