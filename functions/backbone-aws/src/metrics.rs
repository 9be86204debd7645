//! Metrics as lines of the log, in the embedded metric format: they are counted from there, without another call.

use backbone::error_code::ErrorCode;
use backbone::metrics::{Measure, Metric, Tally};
use serde_json::{Map, Value, json};

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
    let counts = counts.iter().map(|(metric, count)| (format!("{metric:?}"), "Count", json!(count)));
    let measured = measured.iter().map(|(measure, values_ms)| {
        let values_ms = &values_ms[..values_ms.len().min(VALUES_MAX)];
        (format!("{measure:?}"), "Milliseconds", json!(values_ms))
    });
    let named: Vec<_> = counts.chain(measured).collect();
    let definitions: Vec<_> =
        named.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line = Map::from_iter([
        (
            "_aws".to_owned(),
            json!({
                "Timestamp": now_ms,
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [dimensions],
                    "Metrics": definitions,
                }],
            }),
        ),
        ("service".to_owned(), source.service.into()),
        ("environment".to_owned(), source.environment.into()),
    ]);
    line.extend(code.map(|code| ("code".to_owned(), code.as_str().into())));
    line.extend(named.into_iter().map(|(name, _, value)| (name, value)));
    Some(Value::Object(line).to_string())
}

#[cfg(test)]
mod tests {
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
                        { "Name": "Pushed", "Unit": "Count" },
                        { "Name": "MailboxStored", "Unit": "Count" },
                        { "Name": "Latency", "Unit": "Milliseconds" },
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
