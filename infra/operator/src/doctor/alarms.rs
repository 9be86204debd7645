//! Alarms: there, armed, and telling somebody.

use std::collections::BTreeSet;

use super::{AS_CHANGED_BY_HAND, Finding, Patient};
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
        .map(|resource| {
            Finding::fault(format!("alarm {}", resource.physical_id), "is gone", AS_CHANGED_BY_HAND)
        })
        .collect();
    findings.extend(alarms.iter().filter_map(|alarm| of_its_own(alarm, &alarm_prefix(patient.deployment))));
    findings.push(together(&alarms));
    findings
}

/// What has to be said of one alarm and not of the others.
fn of_its_own(alarm: &Alarm, prefix: &str) -> Option<Finding> {
    let check = format!("alarm {}", alarm.name);
    if !alarm.armed {
        return Some(Finding::fault(
            check,
            format!("disarmed ({})", alarm.state),
            format!("nobody hears of it: `aws cloudwatch enable-alarm-actions --alarm-names {}`", alarm.name),
        ));
    }
    (alarm.state == "ALARM").then(|| {
        let since = alarm.since.as_deref().unwrap_or("an unknown time");
        let anchor = alarm.name.strip_prefix(prefix).unwrap_or(&alarm.name);
        let remedy = format!("docs/runbook.md#{anchor} says what to do");
        Finding::warning(check, format!("in alarm since {since}"), remedy)
    })
}

/// What is to be said of all of them. A stack without a topic has them all without an action.
fn together(alarms: &[Alarm]) -> Finding {
    let check = "alarms";
    let (count, silent) = (alarms.len(), alarms.iter().filter(|alarm| alarm.actions == 0).count());
    match (count, silent) {
        (0, _) => Finding::warning(check, "there are none", "deploy a version that has them"),
        (_, 0) => Finding::fine(check, format!("{count}, and all tell somebody")),
        (_, _) => {
            let found = format!("{silent} of {count} tell nobody");
            Finding::warning(check, found, "deploy with AlarmTopicArn, the topic that they are to tell")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn alarm(armed: bool, actions: usize, state: &str) -> Alarm {
        Alarm { name: "a".to_owned(), state: state.to_owned(), since: None, armed, actions }
    }

    #[test]
    fn an_alarm_that_is_disarmed_or_rings_is_named() {
        let verdict = |alarm: Alarm| of_its_own(&alarm, "").map(|finding| finding.verdict);
        assert_eq!(verdict(alarm(true, 1, "OK")), None);
        assert_eq!(verdict(alarm(true, 1, "INSUFFICIENT_DATA")), None);
        assert_eq!(verdict(alarm(true, 1, "ALARM")), Some(Verdict::Warning));
        assert_eq!(verdict(alarm(false, 1, "OK")), Some(Verdict::Fault));
        let ringing = Alarm { name: "s-record-panicked".to_owned(), ..alarm(true, 1, "ALARM") };
        let remedy = of_its_own(&ringing, "s-").and_then(|finding| finding.remedy).unwrap();
        assert!(remedy.starts_with("docs/runbook.md#record-panicked "), "{remedy}");
    }

    #[test]
    fn somebody_must_be_told() {
        let found = |alarms: &[Alarm]| (together(alarms).verdict, together(alarms).found);
        let (loud, silent) = (alarm(true, 1, "OK"), alarm(true, 0, "OK"));
        assert_eq!(found(&[]).0, Verdict::Warning);
        assert_eq!(
            found(std::slice::from_ref(&loud)),
            (Verdict::Fine, "1, and all tell somebody".to_owned())
        );
        assert_eq!(found(&[loud, silent]), (Verdict::Warning, "1 of 2 tell nobody".to_owned()));
    }
}
