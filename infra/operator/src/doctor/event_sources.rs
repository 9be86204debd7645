//! Event sources: what brings a queue's messages to its function.

use super::{AS_CHANGED_BY_HAND, Finding, Patient};
use crate::control_plane::{EventSource, Resource};

const KIND: &str = "AWS::Lambda::EventSourceMapping";

/// Every event source of the stack must be there and at work.
pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let mut sources = Vec::new();
    let mut findings = Vec::new();
    for function in &patient.functions {
        match patient.control_plane.event_sources(&function.name).await {
            Ok(found) => sources.extend(found),
            Err(error) => {
                let check = format!("event sources of {}", function.name);
                findings.push(Finding::not_seen(check, &error, "lambda:ListEventSourceMappings"));
            }
        }
    }
    if findings.is_empty() {
        findings.extend(patient.resources_of(KIND).map(|resource| finding(resource, &sources)));
    }
    findings
}

fn finding(resource: &Resource, sources: &[EventSource]) -> Finding {
    let check = format!("event source {}", resource.logical_id);
    let Some(source) = sources.iter().find(|source| source.id == resource.physical_id) else {
        return Finding::fault(check, "is gone", AS_CHANGED_BY_HAND);
    };
    let queue = source.source.rsplit(':').next().unwrap_or_default();
    let found = format!("{} from {queue}", source.state);
    match source.state.as_str() {
        "Enabled" => Finding::fine(check, found),
        "Creating" | "Enabling" | "Updating" => {
            Finding::warning(check, found, "a change is under way: look again in a minute")
        }
        _ => Finding::fault(
            check,
            found,
            format!(
                "its queue fills up: `aws lambda update-event-source-mapping --enabled --uuid {}`",
                source.id
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_event_source_must_be_there_and_enabled() {
        let resource = Resource {
            logical_id: "ConsumerFunctionReceipts".to_owned(),
            physical_id: "u-1".to_owned(),
            kind: KIND.to_owned(),
        };
        let source = |id: &str, state: &str| EventSource {
            id: id.to_owned(),
            state: state.to_owned(),
            source: "arn:aws:sqs:us-east-1:1:q".to_owned(),
        };
        for (sources, verdict) in [
            (vec![source("u-2", "Disabled"), source("u-1", "Enabled")], Verdict::Fine),
            (vec![source("u-1", "Enabling")], Verdict::Warning),
            (vec![source("u-1", "Disabled")], Verdict::Fault),
            (vec![source("u-2", "Enabled")], Verdict::Fault),
        ] {
            assert_eq!(finding(&resource, &sources).verdict, verdict, "{sources:?}");
        }
    }
}
