//! `operator doctor`: whether everything is as it should be, and what to do where it is not.

mod alarms;
mod clocks;
mod endpoints;
mod event_sources;
mod functions;
mod queues;
mod registry;
mod roles;
mod schedules;

use std::error::Error;
use std::fmt;

use backbone::error_chain::ErrorChain;
use backbone::stores::StoreError;
use serde::Serialize;

use crate::answer::{Answer, Exit, table};
use crate::control_plane::{CallError, ControlPlane, Function, Resource};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::progress;

/// CloudFormation compares templates, and does not see what is not as its template says.
const AS_CHANGED_BY_HAND: &str = "deploying the same template again does not bring it back: docs/upgrade.md#what-was-changed-by-hand says what does";

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    #[serde(rename = "ok")]
    Fine,
    /// It works, or could not be looked at; somebody should know.
    Warning,
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    verdict: Verdict,
    /// What was looked at.
    check: String,
    /// What was seen.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    /// Whether it could be looked at. Where it could not, the deployment may be as it should or not.
    looked_at: bool,
}

/// All findings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Diagnosis {
    stack: String,
    findings: Vec<Finding>,
}

/// What the checks look at.
struct Patient<'a> {
    deployment: &'a Deployment,
    control_plane: ControlPlane,
    resources: Vec<Resource>,
    functions: Vec<Function>,
}

/// Looks at everything, and goes on where something cannot be looked at.
pub(crate) async fn run(deployment: &Deployment) -> Result<Answer, Failure> {
    let spinner = progress::spinner("looking at the deployment");
    let (patient, mut findings) = admit(deployment).await?;
    findings.extend(endpoints::check(&patient).await);
    findings.extend(registry::check(&patient).await);
    findings.extend(clocks::check(&patient).await);
    findings.extend(roles::check(&patient).await);
    findings.extend(event_sources::check(&patient).await);
    findings.extend(schedules::check(&patient).await);
    findings.extend(queues::check(&patient).await);
    findings.extend(alarms::check(&patient).await);
    spinner.finish_and_clear();
    let diagnosis = Diagnosis { stack: deployment.stack.clone(), findings };
    let exit = diagnosis.exit();
    Ok(Answer::of(&diagnosis, exit))
}

/// Looks at the stack and its functions first: the other checks go on from there.
///
/// # Errors
///
/// If AWS does not answer: that says nothing about the deployment.
async fn admit(deployment: &Deployment) -> Result<(Patient<'_>, Vec<Finding>), Failure> {
    let control_plane = deployment.control_plane();
    let mut findings = vec![match control_plane.stack(&deployment.stack).await {
        Ok(state) if state.status.ends_with("_COMPLETE") && !state.status.contains("ROLLBACK") => {
            Finding::fine("stack", state.status)
        }
        Ok(state) if state.status.ends_with("_IN_PROGRESS") => {
            Finding::warning("stack", state.status, "a deployment is under way: ask again when it has ended")
        }
        Ok(state) => Finding::fault(
            "stack",
            state.status,
            format!(
                "`aws cloudformation describe-stack-events --stack-name {}` says what failed: mend that and deploy again",
                deployment.stack
            ),
        ),
        Err(error @ CallError::NoAnswer { .. }) => return Err(error.into()),
        Err(error) => Finding::not_seen("stack", &error, "cloudformation:DescribeStacks"),
    }];
    let resources = match control_plane.resources(&deployment.stack).await {
        Ok(resources) => resources,
        Err(error) => {
            findings.push(Finding::not_seen("resources", &error, "cloudformation:ListStackResources"));
            Vec::new()
        }
    };
    let (functions, of_functions) = functions::check(deployment, &control_plane).await;
    findings.extend(of_functions);
    Ok((Patient { deployment, control_plane, resources, functions }, findings))
}

impl Patient<'_> {
    /// The parts of one kind.
    fn resources_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }

    /// The different values that the functions have for a variable, with the functions that have them.
    fn variable_values(&self, name: &str) -> Vec<(String, Vec<&str>)> {
        let mut values: Vec<(String, Vec<&str>)> = Vec::new();
        for function in &self.functions {
            let Some(value) = function.variables.get(name) else { continue };
            match values.iter_mut().find(|(known, _)| known == value) {
                Some((_, functions)) => functions.push(&function.name),
                None => values.push((value.clone(), vec![&function.name])),
            }
        }
        values
    }
}

impl Finding {
    fn fine(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fine,
            check: check.into(),
            found: found.into(),
            remedy: None,
            looked_at: true,
        }
    }

    fn warning(check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { verdict: Verdict::Warning, remedy, ..Self::fine(check, found) }
    }

    fn fault(check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fault, ..Self::warning(check, found, remedy) }
    }

    /// Something that the operator may not look at.
    fn hidden(check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { looked_at: false, ..Self::warning(check, found, remedy) }
    }

    /// A call of `action` that did not succeed. Lacking the permission is the operator's fault and not the deployment's.
    fn not_seen(check: impl Into<String>, error: &CallError, action: &str) -> Self {
        Self::unseen(check, error, error.is_denied(), action)
    }

    /// The same of a table or a queue, whose errors name the code of AWS in their texts.
    fn not_read(check: impl Into<String>, error: &StoreError, action: &str) -> Self {
        let is_denied = ErrorChain(error).to_string().contains("AccessDenied");
        Self::unseen(check, error, is_denied, action)
    }

    fn unseen(check: impl Into<String>, error: &dyn Error, is_denied: bool, action: &str) -> Self {
        let found = ErrorChain(error).to_string();
        if is_denied {
            Self::hidden(check, found, format!("not looked at: your credentials need {action}"))
        } else {
            Self::fault(
                check,
                found,
                "see whether AWS can be reached from here, and whether this part still exists",
            )
        }
    }
}

impl Diagnosis {
    fn exit(&self) -> Exit {
        if self.findings.iter().any(|finding| finding.verdict == Verdict::Fault) {
            Exit::Fault
        } else if self.findings.iter().any(|finding| !finding.looked_at) {
            Exit::Partly
        } else {
            Exit::Done
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |verdict| match verdict {
            Verdict::Fine => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault => "FAULT",
        };
        let row = |finding: &Finding| {
            [mark(finding.verdict).to_owned(), finding.check.clone(), finding.found.clone()]
        };
        writeln!(formatter, "{}", table(["", "check", "found"], self.findings.iter().map(row)))?;
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        write!(formatter, "\nfaults: {}, warnings: {}", count(Verdict::Fault), count(Verdict::Warning))?;
        for finding in self.findings.iter().filter(|finding| finding.verdict != Verdict::Fine) {
            if let Some(remedy) = &finding.remedy {
                write!(formatter, "\n\n{}: {}\n  {remedy}", mark(finding.verdict), finding.check)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(findings: Vec<Finding>) -> Diagnosis {
        Diagnosis { stack: "s".to_owned(), findings }
    }

    #[test]
    fn a_fault_is_told_by_the_exit_code_and_so_is_what_was_not_looked_at() {
        let fine = Finding::fine("a", "b");
        assert_eq!(diagnosis(vec![fine.clone()]).exit(), Exit::Done);
        assert_eq!(diagnosis(vec![fine.clone(), Finding::warning("a", "b", "c")]).exit(), Exit::Done);
        let hidden = Finding::hidden("a", "b", "c");
        assert_eq!(diagnosis(vec![hidden.clone(), fine.clone()]).exit(), Exit::Partly);
        assert_eq!(diagnosis(vec![Finding::fault("a", "b", "c"), hidden, fine]).exit(), Exit::Fault);
    }

    #[test]
    fn each_fault_comes_with_its_remedy() {
        let text = diagnosis(vec![Finding::fault("alarms", "disarmed", "arm them")]).to_string();
        assert!(
            text.contains("faults: 1, warnings: 0") && text.contains("FAULT: alarms\n  arm them"),
            "{text}"
        );
    }

    #[test]
    fn what_the_operator_may_not_see_is_no_fault_of_the_deployment() {
        let refused = |status| CallError::Refused {
            call: "iam:GetRolePolicy".to_owned(),
            status,
            code: String::new(),
            message: String::new(),
        };
        assert_eq!(Finding::not_seen("x", &refused(403), "y").verdict, Verdict::Warning);
        assert_eq!(Finding::not_seen("x", &refused(500), "y").verdict, Verdict::Fault);
        let failed = |code: &str| StoreError::Unavailable { operation: "trust", source: code.into() };
        assert_eq!(Finding::not_read("x", &failed("AccessDeniedException"), "y").verdict, Verdict::Warning);
        assert_eq!(Finding::not_read("x", &failed("ResourceNotFoundException"), "y").verdict, Verdict::Fault);
    }
}
