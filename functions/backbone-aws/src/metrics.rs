//! Metrics as lines of the log, in the embedded metric format: they are counted from there, without another call.

use backbone::metrics::{Metric, Tally};
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

/// Writes what was counted in one invocation as one line to the standard output, and nothing if nothing was. `now_ms`
/// is in milliseconds since the Unix epoch.
#[expect(clippy::print_stdout, reason = "the standard output is where Lambda takes log lines from")]
pub fn emit(source: Source<'_>, tally: &Tally, now_ms: u64) {
    if let Some(line) = line(source, &tally.take(), now_ms) {
        println!("{line}");
    }
}

fn line(source: Source<'_>, counts: &[(Metric, u64)], now_ms: u64) -> Option<String> {
    if counts.is_empty() {
        return None;
    }
    let named: Vec<_> = counts.iter().map(|(metric, count)| (format!("{metric:?}"), *count)).collect();
    let definitions: Vec<_> =
        named.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let mut line = Map::from_iter([
        (
            "_aws".to_owned(),
            json!({
                "Timestamp": now_ms,
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [["service", "environment"]],
                    "Metrics": definitions,
                }],
            }),
        ),
        ("service".to_owned(), source.service.into()),
        ("environment".to_owned(), source.environment.into()),
    ]);
    line.extend(named.into_iter().map(|(name, count)| (name, count.into())));
    // Much cheaper than through `Display`.
    Some(serde_json::to_string(&line).expect("texts and numbers can be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source<'_> = Source { service: "consumer", environment: "dev" };

    #[test]
    fn counts_become_one_line_of_the_embedded_metric_format() {
        let tally = Tally::default();
        tally.count(Metric::Pushed);
        tally.count(Metric::MailboxStored);
        tally.count(Metric::Pushed);
        let line = line(SOURCE, &tally.take(), 1_775_000_000_123).unwrap();
        assert!(!line.contains('\n'));
        let expected = json!({
            "_aws": {
                "Timestamp": 1_775_000_000_123_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "ClawBackbone",
                    "Dimensions": [["service", "environment"]],
                    "Metrics": [{ "Name": "Pushed", "Unit": "Count" }, { "Name": "MailboxStored", "Unit": "Count" }],
                }],
            },
            "service": "consumer", "environment": "dev", "Pushed": 2, "MailboxStored": 1,
        });
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    }

    #[test]
    fn nothing_counted_is_no_line() {
        assert_eq!(line(SOURCE, &[], 0), None);
    }
}
