//! Metrics as lines of the log, in the embedded metric format: they are counted from there, without another call.

use std::collections::BTreeMap;

use backbone::metrics::{Measure, Metric, Tally};
use serde::Serialize;

const NAMESPACE: &str = "ClawBackbone";

/// Who counts: the dimensions of every metric.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The function.
    pub service: &'a str,
    /// Where it runs: `local`, `dev` or `prod`.
    pub environment: &'a str,
}

/// The embedded metric format's own limit: values of one metric in one line.
const VALUES_MAX: usize = 100;

/// A dimension beside the source's, and its value.
type Kind = (&'static str, &'static str);

/// Writes what was counted and measured in one invocation to the standard output. `now_ms` is in milliseconds since the
/// Unix epoch.
#[expect(clippy::print_stdout, reason = "the standard output is where Lambda takes log lines from")]
pub fn emit(source: Source<'_>, tally: &Tally, now_ms: u64) {
    for line in lines(source, tally, now_ms) {
        println!("{line}");
    }
}

/// Nothing if nothing was counted, else one line, and one more for each further [`VALUES_MAX`] values of a measurement,
/// for each code that a request was refused with, and for each reason of a dead letter.
fn lines(source: Source<'_>, tally: &Tally, now_ms: u64) -> Vec<String> {
    let (counts, measured) = (tally.take(), tally.take_measured());
    let chunk = |index| {
        let chunks = measured.iter().map(|(measure, values_ms)| (*measure, values_ms.chunks(VALUES_MAX)));
        chunks.filter_map(|(measure, mut chunks)| Some((measure, chunks.nth(index)?))).collect::<Vec<_>>()
    };
    let mut lines = Vec::from_iter(line(source, &counts, &chunk(0), None, now_ms));
    let more = (1..).map(chunk).take_while(|chunk| !chunk.is_empty());
    lines.extend(more.filter_map(|measured| line(source, &[], &measured, None, now_ms)));
    let refusals = tally.take_refusals().into_iter();
    let refusals = refusals.map(|(code, count)| (Metric::RequestRefused, count, ("code", code.as_str())));
    let burials = tally.take_burials().into_iter();
    let burials = burials.map(|(reason, count)| (Metric::DeadLettered, count, ("reason", reason.as_str())));
    lines.extend(
        refusals
            .chain(burials)
            .filter_map(|(metric, count, kind)| line(source, &[(metric, count)], &[], Some(kind), now_ms)),
    );
    lines
}

fn line(
    source: Source<'_>,
    counts: &[(Metric, u64)],
    measured: &[(Measure, &[u64])],
    kind: Option<Kind>,
    now_ms: u64,
) -> Option<String> {
    if counts.is_empty() && measured.is_empty() {
        return None;
    }
    let own = kind.map(|(name, _)| name);
    let dimensions = ["service", "environment"].into_iter().chain(own).collect();
    let counts = counts.iter().map(|(metric, count)| (format!("{metric:?}"), Counted::Count(*count)));
    let measured = measured
        .iter()
        .map(|(measure, values_ms)| (format!("{measure:?}"), Counted::Milliseconds(values_ms)));
    let values: BTreeMap<_, _> = counts.chain(measured).collect();
    let metrics = values.iter().map(|(name, counted)| Definition { name, unit: counted.unit() }).collect();
    let directive = Directive { namespace: NAMESPACE, dimensions: [dimensions], metrics };
    let line = Line {
        aws: Envelope { timestamp: now_ms, cloud_watch_metrics: [directive] },
        service: source.service,
        environment: source.environment,
        kind: kind.into_iter().collect(),
        values: &values,
    };
    Some(serde_json::to_string(&line).expect("texts and numbers can be written"))
}

/// A line in the embedded metric format.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "_aws")]
    aws: Envelope<'a>,
    service: &'a str,
    environment: &'a str,
    #[serde(flatten)]
    kind: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    values: &'a BTreeMap<String, Counted<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    timestamp: u64,
    cloud_watch_metrics: [Directive<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [Vec<&'a str>; 1],
    metrics: Vec<Definition<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition<'a> {
    name: &'a str,
    unit: &'a str,
}

/// What a metric's name stands for in a line.
#[derive(Serialize)]
#[serde(untagged)]
enum Counted<'a> {
    Count(u64),
    Milliseconds(&'a [u64]),
}

impl Counted<'_> {
    const fn unit(&self) -> &'static str {
        match self {
            Self::Count(_) => "Count",
            Self::Milliseconds(_) => "Milliseconds",
        }
    }
}

#[cfg(test)]
mod tests {
    use backbone::error_code::ErrorCode;
    use backbone::reason_code::ReasonCode;
    use serde_json::{Value, json};

    use super::*;

    const SOURCE: Source<'_> = Source { service: "consumer", environment: "dev" };

    #[test]
    fn counts_and_measurements_become_one_line_of_the_embedded_metric_format() {
        let tally = Tally::default();
        tally.count(Metric::Pushed);
        tally.count(Metric::MailboxStored);
        tally.count(Metric::Pushed);
        tally.measure(Measure::Latency, 80);
        tally.measure(Measure::Latency, 95);
        let lines = lines(SOURCE, &tally, 1_775_000_000_123);
        assert_eq!(lines.len(), 1);
        assert!(!lines[0].contains('\n'));
        let expected = json!({
            "_aws": {
                "Timestamp": 1_775_000_000_123_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "ClawBackbone",
                    "Dimensions": [["service", "environment"]],
                    "Metrics": [
                        { "Name": "Latency", "Unit": "Milliseconds" },
                        { "Name": "MailboxStored", "Unit": "Count" },
                        { "Name": "Pushed", "Unit": "Count" },
                    ],
                }],
            },
            "service": "consumer", "environment": "dev", "Pushed": 2, "MailboxStored": 1,
            "Latency": [80, 95],
        });
        assert_eq!(serde_json::from_str::<Value>(&lines[0]).unwrap(), expected);
    }

    #[test]
    fn nothing_counted_is_no_line() {
        assert!(lines(SOURCE, &Tally::default(), 0).is_empty());
    }

    #[test]
    fn more_values_than_a_line_may_have_go_on_in_the_next() {
        let tally = Tally::default();
        (0..250).for_each(|age_ms| tally.measure(Measure::MailboxAge, age_ms));
        tally.measure(Measure::Latency, 7);
        let lines: Vec<Value> =
            lines(SOURCE, &tally, 0).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ages = lines.iter().map(|line| line["MailboxAge"].as_array().unwrap());
        assert_eq!(ages.clone().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(
            ages.flatten().filter_map(Value::as_u64).collect::<Vec<_>>(),
            (0..250).collect::<Vec<_>>()
        );
        assert_eq!((&lines[0]["Latency"], lines[1].get("Latency")), (&json!([7]), None));
    }

    #[test]
    fn a_refusals_code_and_a_dead_letters_reason_are_dimensions() {
        let tally = Tally::default();
        tally.refuse(ErrorCode::AuthReplay);
        tally.refuse(ErrorCode::AuthReplay);
        tally.bury(ReasonCode::NotJson);
        let lines: Vec<Value> =
            lines(SOURCE, &tally, 7).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let dimensions = |line: &Value| line["_aws"]["CloudWatchMetrics"][0]["Dimensions"].clone();
        assert_eq!((&lines[0]["RequestRefused"], &lines[0]["DeadLettered"]), (&json!(2), &json!(1)));
        assert_eq!(dimensions(&lines[1]), json!([["service", "environment", "code"]]));
        assert_eq!(
            (&lines[1]["code"], &lines[1]["RequestRefused"]),
            (&json!("PROXY_AUTH_REPLAY"), &json!(2))
        );
        assert_eq!(dimensions(&lines[2]), json!([["service", "environment", "reason"]]));
        assert_eq!((&lines[2]["reason"], &lines[2]["DeadLettered"]), (&json!("not_json"), &json!(1)));
        assert_eq!(lines.len(), 3);
    }
}
