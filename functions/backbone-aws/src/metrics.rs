//! Metrics as lines of the log, in the embedded metric format: they are counted from there, without another call.

use std::collections::BTreeMap;

use backbone::error_code::ErrorCode;
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

/// Writes what was counted and measured in one invocation to the standard output: nothing if nothing was, else one line, and one more
/// for each code that a request was refused with. `now_ms` is in milliseconds since the Unix epoch.
#[expect(clippy::print_stdout, reason = "the standard output is where Lambda takes log lines from")]
pub fn emit(source: Source<'_>, tally: &Tally, now_ms: u64) {
    if let Some(line) = line(source, &tally.take(), &tally.take_measured(), None, now_ms) {
        println!("{line}");
    }
    for (code, count) in tally.take_refusals() {
        if let Some(line) = line(source, &[(Metric::RequestRefused, count)], &[], Some(code), now_ms) {
            println!("{line}");
        }
    }
}

fn line(
    source: Source<'_>,
    counts: &[(Metric, u64)],
    measured: &[(Measure, Vec<u64>)],
    code: Option<ErrorCode>,
    now_ms: u64,
) -> Option<String> {
    if counts.is_empty() && measured.is_empty() {
        return None;
    }
    let dimensions: &[&str] =
        if code.is_some() { &["service", "environment", "code"] } else { &["service", "environment"] };
    let counts = counts.iter().map(|(metric, count)| (format!("{metric:?}"), Counted::Count(*count)));
    let measured = measured.iter().map(|(measure, values_ms)| {
        (format!("{measure:?}"), Counted::Milliseconds(&values_ms[..values_ms.len().min(VALUES_MAX)]))
    });
    let values: BTreeMap<_, _> = counts.chain(measured).collect();
    let metrics = values.iter().map(|(name, counted)| Definition { name, unit: counted.unit() }).collect();
    let directive = Directive { namespace: NAMESPACE, dimensions: [dimensions], metrics };
    let line = Line {
        aws: Envelope { timestamp: now_ms, cloud_watch_metrics: [directive] },
        service: source.service,
        environment: source.environment,
        code: code.map(ErrorCode::as_str),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
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
    dimensions: [&'a [&'a str]; 1],
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
        let line = line(SOURCE, &tally.take(), &tally.take_measured(), None, 1_775_000_000_123).unwrap();
        assert!(!line.contains('\n'));
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
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    }

    #[test]
    fn nothing_counted_is_no_line() {
        assert_eq!(line(SOURCE, &[], &[], None, 0), None);
    }

    #[test]
    fn a_refusals_code_is_a_dimension() {
        let line = line(SOURCE, &[(Metric::RequestRefused, 2)], &[], Some(ErrorCode::AuthReplay), 7).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["service", "environment", "code"]]));
        assert_eq!((&line["code"], &line["RequestRefused"]), (&json!("PROXY_AUTH_REPLAY"), &json!(2)));
    }
}
