//! CloudWatch Logs: the functions' lines.

use serde_json::{Value, json};

use super::{Call, CallError, ControlPlane, Service};

/// A page is what AWS returns at most. For each of so many it looks through about a megabyte.
const PAGE: usize = 10_000;
const PAGES_MAX: usize = 1_000;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEvent {
    /// Milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    pub(crate) message: String,
}

/// Lines of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogLines {
    pub(crate) events: Vec<LogEvent>,
    /// Whether the log was looked through to its end.
    pub(crate) are_all: bool,
}

impl ControlPlane {
    /// The lines of `group` since `since_ms` (milliseconds since the Unix epoch) that hold `term`. A group that does not
    /// exist has no lines.
    pub(crate) async fn log_lines(
        &self,
        group: &str,
        since_ms: u64,
        term: &str,
        mut on_page: impl FnMut(),
    ) -> Result<LogLines, CallError> {
        let mut lines = LogLines::default();
        let mut next = Value::Null;
        for _ in 0..PAGES_MAX {
            let mut query = json!({
                "logGroupName": group, "startTime": since_ms, "limit": PAGE, "filterPattern": quoted(term),
            });
            if !next.is_null() {
                query["nextToken"] = next;
            }
            let answer = match self.logs("FilterLogEvents", &query).await {
                Err(CallError::Refused { code, .. }) if code == "ResourceNotFoundException" => {
                    lines.are_all = true;
                    break;
                }
                other => other?,
            };
            let events = answer["events"].as_array().map_or(&[][..], Vec::as_slice);
            lines.events.extend(events.iter().filter_map(|event| {
                let message = event["message"].as_str()?.trim_end().to_owned();
                Some(LogEvent { at_ms: event["timestamp"].as_u64()?, message })
            }));
            on_page();
            next = answer["nextToken"].clone();
            if next.is_null() {
                lines.are_all = true;
                break;
            }
        }
        lines.events.sort_by_key(|line| line.at_ms);
        Ok(lines)
    }

    async fn logs(&self, action: &'static str, query: &Value) -> Result<Value, CallError> {
        let headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", format!("Logs_20140328.{action}")),
        ];
        let (service, method, path) = (Service::Logs, "POST", "/".to_owned());
        self.json(Call { service, action, method, origin: None, path, headers, body: query.to_string() })
            .await
    }
}

/// A term that is matched to the letter: without quotes, `-` and `.` would mean something else.
fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace(['"', '\\'], ""))
}
