//! CloudWatch: alarms, and how old the oldest message of a queue is.

use std::time::Duration;

use backbone::timestamp::to_iso;
use serde_json::{Value, json};

use super::{Call, CallError, ControlPlane, Service};

const PAGES_MAX: usize = 20;
/// SQS reports the age once a minute, and may be some minutes late.
const AGE_WINDOW: Duration = Duration::from_mins(15);

/// An alarm as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub(crate) state: String,
    /// Since when.
    pub(crate) since: Option<String>,
    /// Whether it may tell anybody.
    pub(crate) armed: bool,
    /// How many it tells when it goes off.
    pub(crate) actions: usize,
}

impl ControlPlane {
    /// All alarms whose names begin with `prefix`.
    pub(crate) async fn alarms(&self, prefix: &str) -> Result<Vec<Alarm>, CallError> {
        let mut alarms = Vec::new();
        let mut query = json!({ "AlarmNamePrefix": prefix, "MaxRecords": 100 });
        for _ in 0..PAGES_MAX {
            let answer = self.cloudwatch("DescribeAlarms", &query).await?;
            let lists = ["MetricAlarms", "CompositeAlarms"].map(|list| answer[list].as_array());
            alarms.extend(lists.into_iter().flatten().flatten().filter_map(alarm));
            match answer.get("NextToken") {
                Some(token) if token.is_string() => query["NextToken"] = token.clone(),
                Some(_) | None => break,
            }
        }
        Ok(alarms)
    }

    /// How old the oldest message of the queue of that name was when SQS last said so, in seconds. `None` if it has not
    /// said so lately.
    pub(crate) async fn oldest_message_s(
        &self,
        queue_name: &str,
        now_ms: u64,
    ) -> Result<Option<u64>, CallError> {
        let now_s = now_ms / 1_000;
        let query = json!({
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateAgeOfOldestMessage",
            "Dimensions": [{ "Name": "QueueName", "Value": queue_name }],
            "StartTime": now_s.saturating_sub(AGE_WINDOW.as_secs()),
            "EndTime": now_s,
            "Period": 60,
            "Statistics": ["Maximum"],
        });
        Ok(latest_maximum(&self.cloudwatch("GetMetricStatistics", &query).await?))
    }

    async fn cloudwatch(&self, action: &'static str, query: &Value) -> Result<Value, CallError> {
        let headers = vec![
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("x-amz-target", format!("GraniteServiceVersion20100801.{action}")),
        ];
        let (service, method, path) = (Service::CloudWatch, "POST", "/".to_owned());
        self.json(Call { service, action, method, origin: None, path, headers, body: query.to_string() })
            .await
    }
}

fn alarm(alarm: &Value) -> Option<Alarm> {
    Some(Alarm {
        name: alarm["AlarmName"].as_str()?.to_owned(),
        state: alarm["StateValue"].as_str()?.to_owned(),
        since: alarm
            .get("StateUpdatedTimestamp")
            .and_then(seconds)
            .map(|at_s| to_iso(at_s.saturating_mul(1_000))),
        armed: alarm["ActionsEnabled"].as_bool().unwrap_or(true),
        actions: alarm["AlarmActions"].as_array().map_or(0, Vec::len),
    })
}

fn latest_maximum(answer: &Value) -> Option<u64> {
    let points = answer["Datapoints"].as_array()?;
    let latest = points.iter().max_by_key(|point| point.get("Timestamp").and_then(seconds))?;
    latest.get("Maximum").and_then(seconds)
}

/// Whole seconds. CloudWatch writes them with or without a fraction.
fn seconds(value: &Value) -> Option<u64> {
    value.as_number()?.to_string().split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_armed_if_it_may_tell_somebody() {
        let read = |armed: bool, actions: &Value| {
            alarm(&json!({
                "AlarmName": "a", "StateValue": "OK", "StateUpdatedTimestamp": 1_775_000_000.5,
                "ActionsEnabled": armed, "AlarmActions": actions,
            }))
            .unwrap()
        };
        let armed = read(true, &json!(["arn"]));
        assert_eq!((armed.armed, armed.actions), (true, 1));
        assert_eq!(armed.since.as_deref(), Some("2026-03-31T23:33:20.000Z"));
        assert_eq!((read(false, &json!([])).armed, read(false, &json!([])).actions), (false, 0));
    }

    #[test]
    fn the_latest_age_counts() {
        let points = json!({ "Datapoints": [
            { "Timestamp": 60.0, "Maximum": 61.0 }, { "Timestamp": 0, "Maximum": 7 },
        ] });
        assert_eq!(latest_maximum(&points), Some(61));
        assert_eq!(latest_maximum(&json!({ "Datapoints": [] })), None);
    }
}
