//! The log lines about one receipt.

use std::collections::BTreeSet;

use backbone::error_chain::ErrorChain;
use backbone::timestamp::from_iso;
use serde_json::Value;

use crate::control_plane::{CallError, LogEvent};
use crate::deployment::Deployment;
use crate::progress;

/// The functions that a receipt goes through, by the keys of their outputs.
const FUNCTIONS: [&str; 2] = ["Receipt", "Consumer"];
const CORRELATION_ID: &str = "correlation.id";
const RECEIPT_ID: &str = "receipt.id";

/// A log line, and when it was written in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) at_ms: u64,
    pub(super) fields: Value,
}

impl Line {
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }

    pub(super) fn correlation_id(&self) -> Option<&str> {
        self.text(CORRELATION_ID)
    }

    /// Whether it may be about the receipt: it says so, or it says of no receipt.
    fn may_be_about(&self, request_id: &str) -> bool {
        self.text(RECEIPT_ID).is_none_or(|id| id == request_id)
    }
}

/// Finds the lines since `since_ms` that name the receipt, and then all that share a correlation id with one of these or
/// with `known`; and notes of what could not be read.
pub(super) async fn lines_about(
    deployment: &Deployment,
    request_id: &str,
    known: BTreeSet<String>,
    since_ms: u64,
) -> (Vec<Line>, Vec<String>) {
    let spinner = progress::spinner("reading the functions' logs");
    let mut found = Found::default();
    let read = async {
        let groups = log_groups(deployment).await?;
        let control_plane = deployment.control_plane();
        let mut searched = BTreeSet::new();
        let mut terms = known;
        terms.insert(request_id.to_owned());
        while let Some(term) = terms.difference(&searched).next().cloned() {
            for group in &groups {
                let lines = control_plane.log_lines(group, since_ms, &term, || spinner.inc(1)).await?;
                if !lines.are_all {
                    found.notes.insert(format!(
                        "{group} was not read to its end: say --since, so that there is less of it"
                    ));
                }
                found.add(lines.events, request_id);
            }
            searched.insert(term);
            terms.extend(found.correlation_ids(request_id));
        }
        Ok::<_, CallError>(())
    };
    if let Err(error) = read.await {
        found.notes.insert(format!("not all logs were read: {}", ErrorChain(&error)));
    }
    spinner.finish_and_clear();
    found.in_order()
}

async fn log_groups(deployment: &Deployment) -> Result<Vec<String>, CallError> {
    let control_plane = deployment.control_plane();
    let mut groups = Vec::new();
    for (key, name) in deployment.functions() {
        if FUNCTIONS.contains(&key) {
            groups.push(control_plane.function(name).await?.log_group);
        }
    }
    Ok(groups)
}

/// Lines, each once however many searches find it.
#[derive(Default)]
struct Found {
    lines: Vec<Line>,
    messages: BTreeSet<String>,
    notes: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, events: Vec<LogEvent>, request_id: &str) {
        for event in events {
            let Ok(fields) = serde_json::from_str::<Value>(&event.message) else { continue };
            let line = Line { at_ms: written_at_ms(&fields).unwrap_or(event.at_ms), fields };
            if line.may_be_about(request_id) && self.messages.insert(event.message) {
                self.lines.push(line);
            }
        }
    }

    /// By time. Lines of one millisecond stay in the order in which they were found.
    fn in_order(mut self) -> (Vec<Line>, Vec<String>) {
        self.lines.sort_by_key(|line| line.at_ms);
        (self.lines, self.notes.into_iter().collect())
    }

    /// Those of the lines that name the receipt themselves.
    fn correlation_ids(&self, request_id: &str) -> BTreeSet<String> {
        let naming = self.lines.iter().filter(|line| line.text(RECEIPT_ID) == Some(request_id));
        naming.filter_map(|line| line.correlation_id().map(str::to_owned)).collect()
    }
}

/// When the function wrote it, which can be earlier than CloudWatch took it.
fn written_at_ms(fields: &Value) -> Option<u64> {
    from_iso(fields.get("timestamp")?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_receipts_lines_are_left_out_and_no_line_comes_twice() {
        let event = |message: &str| LogEvent { at_ms: 1, message: message.to_owned() };
        let ours = event(r#"{"receipt.id":"A","correlation.id":"c"}"#);
        let mut found = Found::default();
        found.add(
            vec![ours.clone(), event(r#"{"receipt.id":"B","correlation.id":"d"}"#), event("START")],
            "A",
        );
        found.add(vec![ours, event(r#"{"correlation.id":"c","reason.code":"x"}"#)], "A");
        assert_eq!(found.lines.len(), 2);
        assert_eq!(found.correlation_ids("A"), BTreeSet::from(["c".to_owned()]));
    }

    #[test]
    fn lines_come_in_the_order_in_which_they_were_written() {
        let event = |at: &str| LogEvent {
            at_ms: 9,
            message: format!(r#"{{"timestamp":"1970-01-01T00:00:00.{at}Z"}}"#),
        };
        let mut found = Found::default();
        found.add(vec![event("007"), event("003")], "A");
        assert_eq!(found.in_order().0.iter().map(|line| line.at_ms).collect::<Vec<_>>(), [3, 7]);
    }
}
