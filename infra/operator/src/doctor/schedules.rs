//! Rules of `EventBridge`: without them no reconciliation with the registry begins.

use super::{AS_CHANGED_BY_HAND, Finding, Patient};

const KIND: &str = "AWS::Events::Rule";

/// Every rule of the stack must be there and enabled.
pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in patient.resources_of(KIND) {
        let check = format!("rule {}", rule.logical_id);
        let name = rule.physical_id.rsplit('/').next().unwrap_or_default();
        findings.push(match patient.control_plane.rule_state(name).await {
            Ok(state) => finding(check, name, &state),
            Err(error) if error.is_no_such_thing() => Finding::fault(check, "is gone", AS_CHANGED_BY_HAND),
            Err(error) => Finding::not_seen(check, &error, "events:DescribeRule"),
        });
    }
    findings
}

fn finding(check: String, name: &str, state: &str) -> Finding {
    // Whatever its events, an enabled rule's state begins with this.
    if state.starts_with("ENABLED") {
        return Finding::fine(check, "enabled");
    }
    let found = format!("{state}: what it calls is not called");
    Finding::fault(check, found, format!("enable it: `aws events enable-rule --name {name}`"))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_rule_must_be_enabled() {
        assert_eq!(finding("x".to_owned(), "r", "ENABLED").verdict, Verdict::Fine);
        assert_eq!(finding("x".to_owned(), "r", "").verdict, Verdict::Fault, "an answer without a state");
        let disabled = finding("x".to_owned(), "r", "DISABLED");
        assert_eq!(disabled.verdict, Verdict::Fault);
        assert!(disabled.remedy.unwrap().contains("enable-rule --name r"));
    }
}
