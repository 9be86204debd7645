//! What the functions log.

use std::collections::BTreeSet;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsError;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::builders::FilterLogEventsFluentBuilder;
use backbone::timestamp::from_iso;
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::stack::StackDescription;

const LOGS: &str = "the local CloudWatch Logs";

/// How many lines one request brings at most. Of more than that nobody reads any.
const LINES_MAX: usize = 500;

const CORRELATION_ID: &str = "correlation.id";

/// The logs of a stack's functions.
pub(super) struct Logs {
    client: Client,
    groups: Vec<String>,
}

/// A line that a function has logged.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    /// When the log took it.
    pub(super) at_ms: u64,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub(super) level: String,
    /// The function.
    pub(super) service: String,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<String>,
    /// Everything else that the line says.
    pub(super) fields: Map<String, Value>,
}

impl Logs {
    pub(super) fn of(stack: &StackDescription) -> Self {
        let groups = stack.functions().map(|function| format!("/aws/lambda/{function}")).collect();
        Self { client: Client::new(&stack.sdk_config()), groups }
    }

    /// The latest lines since `since_ms`, oldest first.
    pub(super) async fn since(&self, since_ms: u64) -> Result<Vec<Line>, Problem> {
        self.lines(|request| request.start_time(i64::try_from(since_ms).unwrap_or(i64::MAX))).await
    }

    /// The latest lines that name a receipt or a correlation id, oldest first. A receipt's lines say by which ids it is
    /// followed, and so lead to those that do not know it.
    pub(super) async fn about(&self, id: &str) -> Result<Vec<Line>, Problem> {
        let naming = |id: &str| {
            let phrase = format!("\"{}\"", id.replace('"', ""));
            self.lines(move |request| request.filter_pattern(phrase.clone()))
        };
        let mut lines = naming(id).await?;
        let followed: BTreeSet<_> = lines
            .iter()
            .filter(|line| line.fields.values().any(|value| value == id))
            .filter_map(|line| line.correlation_id.clone())
            .collect();
        for correlation_id in followed {
            lines.extend(naming(&correlation_id).await?);
        }
        lines.sort_by_key(|line| line.at_ms);
        lines.dedup();
        Ok(lines)
    }

    async fn lines(
        &self,
        ask: impl Fn(FilterLogEventsFluentBuilder) -> FilterLogEventsFluentBuilder,
    ) -> Result<Vec<Line>, Problem> {
        let groups = self.groups.iter().map(async |group| {
            match ask(self.client.filter_log_events().log_group_name(group)).send().await {
                Ok(answer) => Ok(answer.events.unwrap_or_default()),
                // A function that has not run yet has no group.
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(FilterLogEventsError::is_resource_not_found_exception) =>
                {
                    Ok(Vec::new())
                }
                Err(error) => Err(Problem::unavailable(LOGS)(error)),
            }
        });
        let mut lines: Vec<Line> = try_join_all(groups)
            .await?
            .into_iter()
            .flatten()
            .filter_map(|event| read_line(event.message.as_deref()?))
            .collect();
        lines.sort_by_key(|line| line.at_ms);
        lines.drain(..lines.len().saturating_sub(LINES_MAX));
        Ok(lines)
    }
}

/// One of our lines. What the runtime and the metrics write is something else.
fn read_line(text: &str) -> Option<Line> {
    let mut fields: Map<String, Value> = serde_json::from_str(text.trim_end()).ok()?;
    let mut take = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    Some(Line {
        at_ms: from_iso(&take("timestamp")?)?,
        level: take("level")?,
        service: take("service")?,
        message: take("message")?,
        correlation_id: take(CORRELATION_ID),
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_lines_are_shown() {
        let ours = r#"{"timestamp":"2026-03-31T23:33:20.000Z","level":"WARN","service":"consumer",
            "message":"m","correlation.id":"c","reason.code":"not_json","batch.size":2}"#;
        let line = read_line(ours).unwrap();
        assert_eq!((line.at_ms, line.correlation_id.as_deref()), (1_775_000_000_000, Some("c")));
        assert_eq!(line.fields["reason.code"], "not_json");
        for other in ["START RequestId: x", r#"{"_aws":{},"service":"consumer","Pushed":1}"#, "[]"] {
            assert_eq!(read_line(other), None, "{other}");
        }
    }
}
