//! What has set the function off, told by the event's shape.

use backbone_aws::http_api::HttpEvent;
use backbone_aws::sqs_event::SqsEvent;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// What has set the function off.
#[derive(Debug)]
pub enum Trigger {
    /// Messages of the events queue.
    Events(SqsEvent),
    /// A request to the HTTP API.
    Http(Box<HttpEvent>),
    /// The schedule, or a change of the stack itself: the envelope of `EventBridge`, whose content does not matter.
    Reconcile,
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = Value::deserialize(deserializer)?;
        if event.get("Records").is_some() {
            serde_json::from_value(event).map(Self::Events).map_err(de::Error::custom)
        } else if event.pointer("/requestContext/http").is_some() {
            serde_json::from_value(event).map(Box::new).map(Self::Http).map_err(de::Error::custom)
        } else if event.get("detail-type").is_some() {
            Ok(Self::Reconcile)
        } else {
            Err(de::Error::custom("neither messages, nor a request, nor an event of EventBridge"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_set_it_off_is_told_by_the_shape() {
        let read = |event: Value| serde_json::from_value::<Trigger>(event);
        assert!(matches!(read(json!({ "Records": [] })), Ok(Trigger::Events(_))));
        let request = json!({ "version": "2.0", "requestContext": { "http": { "method": "POST" } } });
        assert!(matches!(read(request), Ok(Trigger::Http(_))));
        for (kind, source) in
            [("Scheduled Event", "aws.events"), ("CloudFormation Stack Status Change", "aws.cloudformation")]
        {
            let event = json!({ "version": "0", "detail-type": kind, "source": source, "detail": {} });
            assert!(matches!(read(event), Ok(Trigger::Reconcile)), "{kind}");
        }
        assert!(read(json!({})).is_err());
    }
}
