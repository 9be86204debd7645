//! The functions: deployed, and ready to be invoked.

use super::{AS_CHANGED_BY_HAND, Finding};
use crate::control_plane::{ControlPlane, Function};
use crate::deployment::Deployment;

/// Reads all functions of a deployment, and says which are not ready.
pub(super) async fn check(
    deployment: &Deployment,
    control_plane: &ControlPlane,
) -> (Vec<Function>, Vec<Finding>) {
    let (mut functions, mut findings) = (Vec::new(), Vec::new());
    for (_, name) in deployment.functions() {
        match control_plane.function(name).await {
            Ok(function) => {
                findings.push(finding(&function));
                match control_plane.reserved_concurrency(name).await {
                    Ok(reserved) => findings.extend(throttled(name, reserved)),
                    Err(error) => {
                        let check = format!("concurrency of {name}");
                        findings.push(Finding::not_seen(check, &error, "lambda:GetFunctionConcurrency"));
                    }
                }
                functions.push(function);
            }
            Err(error) if error.is_no_such_thing() => {
                findings.push(Finding::fault(format!("function {name}"), "is gone", AS_CHANGED_BY_HAND));
            }
            Err(error) => {
                let check = format!("function {name}");
                findings.push(Finding::not_seen(check, &error, "lambda:GetFunctionConfiguration"));
            }
        }
    }
    (functions, findings)
}

/// A function that may not run at all, as the console's button "Throttle" leaves it.
fn throttled(name: &str, reserved: Option<u64>) -> Option<Finding> {
    (reserved == Some(0)).then(|| {
        Finding::fault(
            format!("concurrency of {name}"),
            "reserved: 0, so that it is never run",
            format!("take that back: `aws lambda delete-function-concurrency --function-name {name}`"),
        )
    })
}

fn finding(function: &Function) -> Finding {
    let Function { name, state, last_update, .. } = function;
    let check = format!("function {name}");
    match (state.as_str(), last_update.as_str()) {
        // A function that has rested for weeks wakes up when it is invoked.
        ("Active" | "Inactive", "Successful" | "") => Finding::fine(check, state),
        (_, "InProgress") | ("Pending", _) => {
            let found = format!("{state}, last update {last_update}");
            Finding::warning(check, found, "a deployment is under way: look again in a minute")
        }
        (_, _) => Finding::fault(
            check,
            format!("{state}, last update {last_update}"),
            format!(
                "read StateReason and LastUpdateStatusReason (`aws lambda get-function-configuration --function-name {name}`); \
                 they say what to mend before the next deployment"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_function_that_may_not_run_is_a_fault() {
        assert_eq!(throttled("f", Some(0)).map(|finding| finding.verdict), Some(Verdict::Fault));
        assert_eq!((throttled("f", Some(1)), throttled("f", None)), (None, None));
    }

    #[test]
    fn only_what_will_not_run_is_a_fault() {
        for (state, last_update, verdict) in [
            ("Active", "Successful", Verdict::Fine),
            ("Inactive", "Successful", Verdict::Fine),
            ("Active", "InProgress", Verdict::Warning),
            ("Pending", "", Verdict::Warning),
            ("Failed", "Successful", Verdict::Fault),
            ("Active", "Failed", Verdict::Fault),
        ] {
            let function = Function {
                state: state.to_owned(),
                last_update: last_update.to_owned(),
                ..Function::default()
            };
            assert_eq!(finding(&function).verdict, verdict, "{state} {last_update}");
        }
    }
}
