//! Alarms, dashboard, metrics and runbook: each names what there is, and leaves nothing out.

use std::collections::{BTreeMap, BTreeSet};

use backbone::error_code::ErrorCode;
use backbone::metrics::{Measure, Metric};
use backbone::reason_code::ReasonCode;
use serde_json::Value as Json;
use serde_yaml_ng::Value;

use crate::template::{of_type, repository_file, template, untagged};

const OURS: &str = "ClawBackbone";

/// The entries of a page: the texts under its headings of the third level, by heading and by the one above.
fn entries(page: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut entries: BTreeMap<_, BTreeMap<_, String>> = BTreeMap::new();
    let (mut part, mut entry) = (String::new(), None);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut part);
            entry = None;
        } else if let Some(heading) = line.strip_prefix("### ") {
            entry = Some(heading.trim_matches('`').to_owned());
            let is_new =
                entries.entry(part.clone()).or_default().insert(entry.clone().unwrap(), String::new());
            assert_eq!(is_new, None, "{part}: {heading} is there twice");
        } else if let Some(entry) = &entry {
            let text = entries.get_mut(&part).and_then(|part| part.get_mut(entry)).unwrap();
            text.push_str(line);
            text.push('\n');
        }
    }
    entries
}

/// The alarms by the names that follow the stack's.
fn alarms(template: &Value) -> BTreeMap<String, &Value> {
    let named = of_type(template, "AWS::CloudWatch::Alarm").map(|(_, alarm)| {
        let name = untagged(&alarm["AlarmName"]).as_str().unwrap();
        (name.strip_prefix("${AWS::StackName}-").unwrap().to_owned(), alarm)
    });
    named.collect()
}

fn dimensions(alarm: &Value) -> BTreeMap<&str, &str> {
    let dimensions = alarm["Dimensions"].as_sequence().unwrap().iter();
    dimensions.map(|one| (one["Name"].as_str().unwrap(), untagged(&one["Value"]).as_str().unwrap())).collect()
}

/// The resources whose metric `metric` has an alarm.
fn watched<'a>(template: &'a Value, metric: &str, dimension: &str) -> BTreeSet<&'a str> {
    let alarms =
        of_type(template, "AWS::CloudWatch::Alarm").filter(|(_, alarm)| alarm["MetricName"] == metric);
    alarms.map(|(_, alarm)| dimensions(alarm)[dimension].split('.').next().unwrap()).collect()
}

fn functions(template: &Value) -> BTreeSet<&str> {
    of_type(template, "AWS::Serverless::Function").map(|(id, _)| id).collect()
}

#[test]
fn the_runbook_has_an_entry_for_everything_and_no_other() {
    let (template, runbook) = (template(), entries(&repository_file("docs/runbook.md")));
    let parts: [(&str, BTreeSet<String>); 3] = [
        ("Alarms", alarms(&template).into_keys().collect()),
        ("Error codes", ErrorCode::ALL.iter().map(|code| code.as_str().to_owned()).collect()),
        ("Dead letters", ReasonCode::ALL.iter().map(|reason| reason.as_str().to_owned()).collect()),
    ];
    assert_eq!(
        runbook.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        parts.iter().map(|(part, _)| *part).collect()
    );
    for (part, expected) in parts {
        assert_eq!(runbook[part].keys().cloned().collect::<BTreeSet<_>>(), expected, "{part}");
        for (entry, text) in &runbook[part] {
            for question in ["**What happened.** ", "**What the user sees.** ", "**What to do.** "] {
                let answer = text.split(question).nth(1).unwrap_or_default();
                assert!(answer.len() > 20, "{entry} does not say: {question}");
            }
        }
    }
}

#[test]
fn every_code_in_the_runbook_has_its_status() {
    let runbook = entries(&repository_file("docs/runbook.md"));
    for code in ErrorCode::ALL {
        let status = format!("\nStatus {}. ", code.http_status());
        assert!(runbook["Error codes"][code.as_str()].contains(&status), "{code:?} is {status}");
    }
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let page = repository_file("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut documented = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 5 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        assert!(documented.insert(cells[0].trim_matches('`').to_owned()), "{} is there twice", cells[0]);
    }
    assert_eq!(documented, metrics());
}

#[test]
fn alarms_tell_the_topic_and_name_their_entry_of_the_runbook() {
    let template = template();
    for (name, alarm) in alarms(&template) {
        let description = alarm["AlarmDescription"].as_str().unwrap();
        assert!(description.ends_with(&format!("; docs/runbook.md, {name}")), "{name}: {description}");
        for actions in ["AlarmActions", "OKActions"] {
            let choice = untagged(&alarm[actions]).as_sequence().unwrap();
            assert_eq!(choice[0].as_str(), Some("HasAlarmTopic"), "{name}");
            assert_eq!(untagged(&choice[1][0]).as_str(), Some("AlarmTopicArn"), "{name}");
        }
        assert!(alarm.get("Metrics").is_none(), "{name}: the local stack cannot deploy metric math");
        assert!(alarm.get("TreatMissingData").is_some(), "{name} must say what silence means");
    }
}

#[test]
fn every_function_and_every_queue_is_watched() {
    let template = template();
    let functions = functions(&template);
    assert_eq!(watched(&template, "Throttles", "FunctionName"), functions);
    let mut failing = watched(&template, "Errors", "FunctionName");
    // A refused handshake is an error to Lambda, so this one is watched by our own metric, and by its log.
    let alarms = alarms(&template);
    assert!(alarms.contains_key("authorizer-failures") && failing.insert("AuthorizerFunction"));
    let (_, filter) = of_type(&template, "AWS::Logs::MetricFilter").next().unwrap();
    assert_eq!(untagged(&filter["LogGroupName"]).as_str(), Some("AuthorizerLogGroup"));
    let (counted, watched_for) = (&filter["MetricTransformations"][0], alarms["authorizer-crashes"]);
    assert_eq!(counted["MetricNamespace"], watched_for["Namespace"]);
    assert_eq!(counted["MetricName"], watched_for["MetricName"]);
    assert_catches_crashes(filter["FilterPattern"].as_str().unwrap());
    assert_eq!(failing, functions);
    let queues: Vec<_> = of_type(&template, "AWS::SQS::Queue").collect();
    for (metric, has_dead_letters) in
        [("ApproximateAgeOfOldestMessage", true), ("ApproximateNumberOfMessagesVisible", false)]
    {
        let of_kind =
            queues.iter().filter(|(_, queue)| queue.get("RedrivePolicy").is_some() == has_dead_letters);
        assert_eq!(watched(&template, metric, "QueueName"), of_kind.map(|(id, _)| *id).collect(), "{metric}");
    }
}

/// Holds a filter pattern, any of whose quoted terms makes a line match, to lines as Lambda and the panic handler write
/// them.
fn assert_catches_crashes(pattern: &str) {
    let is_term = |term: &&str| !term.trim().is_empty();
    let terms: Vec<_> = pattern
        .split('?')
        .filter(is_term)
        .map(|term| {
            let quoted = term.trim().strip_prefix('"').and_then(|term| term.strip_suffix('"'));
            quoted.filter(|term| !term.is_empty()).unwrap_or_else(|| panic!("{term} is no quoted term"))
        })
        .collect();
    let matches = |line: &str| terms.iter().any(|term| line.contains(term));
    for crash in [
        "INIT_REPORT Init Duration: 12.41 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
        "REPORT RequestId: 8f5\tDuration: 3000.00 ms\tMemory Size: 256 MB\tMax Memory Used: 30 MB\tStatus: timeout",
        "2026-03-31T23:33:20.000Z 8f5 Task timed out after 3.00 seconds",
        "thread 'main' (9) panicked at functions/authorizer/src/main.rs:1:1:",
        "RequestId: 8f5 Error: Runtime exited with error: exit status 101\nRuntime.ExitError",
    ] {
        assert!(matches(crash), "{crash}");
    }
    for other in [
        r#"{"level":"WARN","error.code":"PROXY_AUTH_REPLAY","message":"refused a handshake: the nonce was seen before"}"#,
        "REPORT RequestId: 8f5\tDuration: 3.10 ms\tBilled Duration: 4 ms\tStatus: error\tError Type: Unauthorized",
        "INIT_START Runtime Version: provided:al2023.v100",
    ] {
        assert!(!matches(other), "{other}");
    }
}

/// The names of all metrics of ours.
fn metrics() -> BTreeSet<String> {
    let counts = Metric::ALL.iter().map(|metric| format!("{metric:?}"));
    counts.chain(Measure::ALL.iter().map(|measure| format!("{measure:?}"))).collect()
}

/// Whether a metric of ours exists, and is counted by a function that exists.
fn assert_is_ours(metric: &str, service: &str, template: &Value) {
    assert!(metrics().contains(metric), "no metric {metric}");
    let services: BTreeSet<_> = of_type(template, "AWS::Serverless::Function")
        .map(|(_, function)| untagged(&function["FunctionName"]).as_str().unwrap().to_owned())
        .collect();
    assert!(services.contains(&format!("${{AWS::StackName}}-{service}")), "no function {service}");
}

#[test]
fn alarms_and_dashboard_name_metrics_that_there_are() {
    let template = template();
    for (_, alarm) in alarms(&template).into_iter().filter(|(_, alarm)| alarm["Namespace"] == OURS) {
        let dimensions = dimensions(alarm);
        assert_eq!((dimensions.len(), dimensions["environment"]), (2, "Environment"));
        assert_is_ours(alarm["MetricName"].as_str().unwrap(), dimensions["service"], &template);
    }
    let (_, dashboard) = of_type(&template, "AWS::CloudWatch::Dashboard").next().unwrap();
    let body: Json = serde_json::from_str(untagged(&dashboard["DashboardBody"]).as_str().unwrap()).unwrap();
    let mut shown = BTreeSet::new();
    for metric in body["widgets"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|widget| widget["properties"]["metrics"].as_array().unwrap())
    {
        let part = |index: usize| metric[index].as_str().unwrap();
        if part(0) == OURS {
            assert_eq!((part(2), part(4), part(5)), ("service", "environment", "${Environment}"));
            assert_is_ours(part(1), part(3), &template);
            shown.insert(part(1).to_owned());
        } else {
            let resource = part(3).trim_start_matches("${").trim_end_matches('}').split('.').next().unwrap();
            assert!(template["Resources"].get(resource).is_some(), "no {resource}");
        }
    }
    assert_eq!(shown, metrics(), "a metric nobody sees");
}
