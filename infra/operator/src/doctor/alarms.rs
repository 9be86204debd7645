//! Alarms: there, armed, and telling somebody.

use std::collections::BTreeSet;

use super::{Finding, Patient};
use crate::control_plane::Alarm;
use crate::status::alarm_prefix;

const KIND: &str = "AWS::CloudWatch::Alarm";

/// The stack's alarms, and those that others have given a name of the stack's.
pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let alarms = match patient.control_plane.alarms(&alarm_prefix(patient.deployment)).await {
        Ok(alarms) => alarms,
        Err(error) => return vec![Finding::not_seen("alarms", &error, "cloudwatch:DescribeAlarms")],
    };
    let there: BTreeSet<_> = alarms.iter().map(|alarm| alarm.name.as_str()).collect();
    let gone = patient.resources_of(KIND).filter(|resource| !there.contains(resource.physical_id.as_str()));
    let mut findings: Vec<_> = gone
        .map(|resource| Finding::fault(format!("alarm {}", resource.physical_id), "is gone", "deploy again"))
        .collect();
    if alarms.is_empty() && findings.is_empty() {
        findings.push(Finding::warning("alarms", "there are none", "deploy a version that has them"));
    }
    findings.extend(alarms.iter().map(finding));
    findings
}

fn finding(alarm: &Alarm) -> Finding {
    let check = format!("alarm {}", alarm.name);
    let Alarm { state, since, armed, actions, .. } = alarm;
    if !armed {
        return Finding::fault(
            check,
            format!("disarmed ({state})"),
            format!("nobody hears of it: `aws cloudwatch enable-alarm-actions --alarm-names {}`", alarm.name),
        );
    }
    if state == "ALARM" {
        let since = since.as_deref().unwrap_or("an unknown time");
        return Finding::warning(
            check,
            format!("in alarm since {since}"),
            "its entry in the runbook says what to do",
        );
    }
    if *actions == 0 {
        let remedy = "it tells nobody: deploy with a topic for alarms";
        return Finding::warning(check, format!("{state}, without an action"), remedy);
    }
    Finding::fine(check, state.clone())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_alarm_must_be_able_to_tell_somebody() {
        for (armed, actions, state, verdict) in [
            (true, 1, "OK", Verdict::Fine),
            (true, 1, "INSUFFICIENT_DATA", Verdict::Fine),
            (true, 1, "ALARM", Verdict::Warning),
            (true, 0, "OK", Verdict::Warning),
            (false, 1, "OK", Verdict::Fault),
        ] {
            let alarm = Alarm { name: "a".to_owned(), state: state.to_owned(), since: None, armed, actions };
            assert_eq!(finding(&alarm).verdict, verdict, "{alarm:?}");
        }
    }
}
