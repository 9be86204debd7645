//! CloudWatch: alarms, and how old the oldest message of a queue is.

use std::time::Duration;

use backbone::timestamp::to_iso;

use super::{CallError, ControlPlane, Service, child_text, element_text, members};

const VERSION: &str = "2010-08-01";
const PAGES_MAX: usize = 20;
/// SQS reports the age once a minute, and may be some minutes late.
const AGE_WINDOW: Duration = Duration::from_mins(15);

/// An alarm as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub(crate) state: String,
    /// Since when, as AWS writes it.
    pub(crate) since: Option<String>,
    /// Whether it may tell anybody.
    pub(crate) armed: bool,
    /// How many it tells when it goes off.
    pub(crate) actions: usize,
}

impl ControlPlane {
    /// All alarms whose names begin with `prefix`.
    pub(crate) async fn alarms(&self, prefix: &str) -> Result<Vec<Alarm>, CallError> {
        const ACTION: &str = "DescribeAlarms";
        let mut alarms = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut parameters = vec![("AlarmNamePrefix", prefix), ("MaxRecords", "100")];
            parameters.extend(next.as_deref().map(|token| ("NextToken", token)));
            let xml = self.query(Service::CloudWatch, VERSION, ACTION, &parameters).await?;
            alarms.extend(read_alarms(&xml).ok_or_else(|| CallError::Unexpected {
                call: format!("monitoring:{ACTION}"),
                expected: "alarms",
            })?);
            next = element_text(&xml, "NextToken").filter(|token| !token.is_empty());
            if next.is_none() {
                break;
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
        let window_ms = u64::try_from(AGE_WINDOW.as_millis()).unwrap_or(u64::MAX);
        let (start, end) = (to_iso(now_ms.saturating_sub(window_ms)), to_iso(now_ms));
        let parameters = [
            ("Namespace", "AWS/SQS"),
            ("MetricName", "ApproximateAgeOfOldestMessage"),
            ("Dimensions.member.1.Name", "QueueName"),
            ("Dimensions.member.1.Value", queue_name),
            ("StartTime", &start),
            ("EndTime", &end),
            ("Period", "60"),
            ("Statistics.member.1", "Maximum"),
        ];
        let xml = self.query(Service::CloudWatch, VERSION, "GetMetricStatistics", &parameters).await?;
        Ok(latest_maximum(&xml))
    }
}

fn read_alarms(xml: &str) -> Option<Vec<Alarm>> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let alarms = members(&document, "MetricAlarms").chain(members(&document, "CompositeAlarms"));
    let alarm = |node: roxmltree::Node<'_, '_>| {
        let actions = node.children().find(|child| child.tag_name().name() == "AlarmActions");
        Some(Alarm {
            name: child_text(node, "AlarmName")?,
            state: child_text(node, "StateValue")?,
            since: child_text(node, "StateUpdatedTimestamp").filter(|text| !text.is_empty()),
            armed: child_text(node, "ActionsEnabled").as_deref() != Some("false"),
            actions: actions.map_or(0, |list| list.children().filter(roxmltree::Node::is_element).count()),
        })
    };
    Some(alarms.filter_map(alarm).collect())
}

fn latest_maximum(xml: &str) -> Option<u64> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let points = members(&document, "Datapoints");
    let latest = points.max_by_key(|node| child_text(*node, "Timestamp"))?;
    // Whole seconds, written with a decimal point.
    child_text(latest, "Maximum")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_armed_if_it_may_tell_somebody() {
        let xml = "<R xmlns='x'><MetricAlarms>
            <member><AlarmName>a</AlarmName><StateValue>OK</StateValue><ActionsEnabled>true</ActionsEnabled>
              <AlarmActions><member>arn</member></AlarmActions></member>
            <member><AlarmName>b</AlarmName><StateValue>ALARM</StateValue><ActionsEnabled>false</ActionsEnabled>
              <AlarmActions/></member>
            </MetricAlarms></R>";
        let alarms = read_alarms(xml).unwrap();
        assert_eq!((alarms[0].armed, alarms[0].actions), (true, 1));
        assert_eq!((alarms[1].armed, alarms[1].actions, alarms[1].state.as_str()), (false, 0, "ALARM"));
    }

    #[test]
    fn the_latest_age_counts() {
        let xml = "<R><Datapoints>
            <member><Timestamp>2026-01-01T00:01:00Z</Timestamp><Maximum>61.0</Maximum></member>
            <member><Timestamp>2026-01-01T00:00:00Z</Timestamp><Maximum>7.0</Maximum></member></Datapoints></R>";
        assert_eq!(latest_maximum(xml), Some(61));
        assert_eq!(latest_maximum("<R><Datapoints/></R>"), None);
    }
}
