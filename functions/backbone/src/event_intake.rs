//! Events that come over HTTP: from a registry that has no way to the events queue.

use serde_json::{Value, json};

use crate::error_chain::ErrorChain;
use crate::error_code::ErrorCode;
use crate::limits::{EVENTS_BYTES_MAX, EVENTS_PER_POST_MAX};
use crate::metrics::{Metric, Tally};
use crate::queue_message::escape_for_queue;
use crate::registry_event::{EventDefect, RegistryEvent};
use crate::stores::{EventQueue, EventSent, StoreError};

/// Events as posted: each can be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedEvents(Vec<String>);

/// Why posted events were not all taken.
#[derive(Debug, thiserror::Error)]
pub enum EventRefusal {
    /// Not the internal service.
    #[error("the credentials are not the internal service's")]
    Unauthorized,
    /// Too much at once.
    #[error("the body has {bytes} bytes")]
    TooLarge {
        /// So many.
        bytes: usize,
    },
    /// The body does not parse. The parser's own text can quote the body, so only the place is kept.
    #[error("body is not JSON (line {line}, column {column})")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Neither an event, nor an array of events, nor an object with one.
    #[error("body holds no events")]
    NoEvents,
    /// More than are taken at once.
    #[error("body holds {count} events")]
    TooMany {
        /// So many.
        count: usize,
    },
    /// One that could never be handled. None was sent.
    #[error("event {index} cannot be understood")]
    Event {
        /// Which, counted from 0.
        index: usize,
        /// Why.
        #[source]
        defect: EventDefect,
    },
    /// The queue did not answer; it may have some of them.
    #[error("the events queue did not answer")]
    QueueUnknown(#[source] StoreError),
    /// The queue has not taken all of them.
    #[error("the events queue has not taken all events")]
    QueueRefused(Vec<EventSent>),
}

impl EventRefusal {
    /// What the caller is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unauthorized => ErrorCode::EventsUnauthorized,
            Self::TooLarge { .. } => ErrorCode::EventsTooLarge,
            Self::Malformed { .. } | Self::NoEvents | Self::TooMany { .. } | Self::Event { .. } => {
                ErrorCode::EventsInvalidInput
            }
            Self::QueueUnknown(_) | Self::QueueRefused(_) => ErrorCode::EventsQueueFailed,
        }
    }

    /// What the caller is told besides the code.
    #[must_use]
    pub fn details(&self) -> Option<Value> {
        match self {
            Self::TooLarge { .. } => Some(json!({ "maxBytes": EVENTS_BYTES_MAX })),
            Self::Malformed { .. } | Self::NoEvents => Some(json!({ "reason": self.to_string() })),
            Self::TooMany { .. } => Some(json!({ "maxEvents": EVENTS_PER_POST_MAX })),
            Self::Event { index, defect } => {
                Some(json!({ "index": index, "field": defect.field(), "reason": defect.to_string() }))
            }
            Self::QueueRefused(sent) => Some(json!({ "events": statuses(sent) })),
            Self::Unauthorized | Self::QueueUnknown(_) => None,
        }
    }
}

impl PostedEvents {
    /// Reads a body: one event, an array of events, or an object whose `events` is one. See [`RegistryEvent::parse`]
    /// for `authority`.
    ///
    /// # Errors
    ///
    /// The first [`EventRefusal`]; one bad event spoils all.
    pub fn parse(body: &[u8], authority: &str) -> Result<Self, EventRefusal> {
        if body.len() > EVENTS_BYTES_MAX {
            return Err(EventRefusal::TooLarge { bytes: body.len() });
        }
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| EventRefusal::Malformed { line: error.line(), column: error.column() })?;
        let events = match &body {
            Value::Array(events) => events.as_slice(),
            Value::Object(fields) if fields.contains_key("type") => std::slice::from_ref(&body),
            Value::Object(fields) => {
                fields.get("events").and_then(Value::as_array).ok_or(EventRefusal::NoEvents)?
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(EventRefusal::NoEvents);
            }
        };
        match events.len() {
            0 => return Err(EventRefusal::NoEvents),
            count if count > EVENTS_PER_POST_MAX => return Err(EventRefusal::TooMany { count }),
            _ => {}
        }
        for (index, event) in events.iter().enumerate() {
            RegistryEvent::read(event, authority).map_err(|defect| EventRefusal::Event { index, defect })?;
        }
        Ok(Self(events.iter().map(|event| escape_for_queue(event.to_string())).collect()))
    }

    /// Puts the events on the queue. The answer says so of each.
    ///
    /// # Errors
    ///
    /// An [`EventRefusal`] of the queue. Sending all of them again is harmless.
    pub async fn send<O: EventQueue>(
        &self,
        outside: &O,
        correlation_id: &str,
        tally: &Tally,
    ) -> Result<Value, EventRefusal> {
        let sent = outside.send_events(&self.0, correlation_id).await.map_err(EventRefusal::QueueUnknown)?;
        for _ in sent.iter().filter(|sent| **sent == EventSent::Durable) {
            tally.count(Metric::EventAccepted);
        }
        if sent.len() != self.0.len() || sent.contains(&EventSent::Refused) {
            return Err(EventRefusal::QueueRefused(sent));
        }
        Ok(json!({ "accepted": true, "events": statuses(&sent) }))
    }
}

impl EventRefusal {
    /// Counts it and writes it down.
    pub fn report(&self, tally: &Tally) {
        match self {
            Self::Unauthorized => tally.count(Metric::EventsUnauthorized),
            Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::NoEvents
            | Self::TooMany { .. }
            | Self::Event { .. }
            | Self::QueueUnknown(_)
            | Self::QueueRefused(_) => tally.refuse(self.code()),
        }
        tracing::warn!(error.code = self.code().as_str(), "refused a post of events: {}", ErrorChain(self));
    }
}

fn statuses(sent: &[EventSent]) -> Vec<Value> {
    let status = |(index, sent): (usize, &EventSent)| json!({ "index": index, "accepted": *sent == EventSent::Durable });
    sent.iter().enumerate().map(status).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued() -> Value {
        json!({ "type": "agent.auth.issued", "data": {} })
    }

    fn parse(body: &Value) -> Result<PostedEvents, EventRefusal> {
        PostedEvents::parse(body.to_string().as_bytes(), "a.com")
    }

    #[test]
    fn one_event_an_array_and_an_object_are_read_alike() {
        let one = parse(&issued()).unwrap();
        assert_eq!(one, parse(&json!([issued()])).unwrap());
        assert_eq!(one, parse(&json!({ "events": [issued()] })).unwrap());
        assert_eq!(parse(&json!(vec![issued(); 10])).unwrap().0.len(), 10);
    }

    #[test]
    fn one_bad_event_spoils_all_and_is_named() {
        let refusal = parse(&json!([issued(), { "type": "agent.auth.revoked", "data": {} }])).unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::EventsInvalidInput);
        let details = refusal.details().unwrap();
        assert_eq!((&details["index"], &details["field"]), (&json!(1), &json!("data.reason")));
    }

    #[test]
    fn what_holds_no_events_or_too_many_is_refused() {
        for body in
            [json!([]), json!({}), json!({ "events": {} }), json!({ "events": [] }), json!(7), json!(null)]
        {
            assert!(matches!(parse(&body), Err(EventRefusal::NoEvents)), "{body}");
        }
        assert!(matches!(parse(&json!(vec![issued(); 11])), Err(EventRefusal::TooMany { count: 11 })));
        let refusal = PostedEvents::parse(b"{\"type\":", "a.com").unwrap_err();
        assert!(matches!(refusal, EventRefusal::Malformed { line: 1, .. }));
        let long = format!("{}{}", issued(), " ".repeat(EVENTS_BYTES_MAX));
        let refusal = PostedEvents::parse(long.as_bytes(), "a.com").unwrap_err();
        assert_eq!(refusal.code().http_status(), 413);
    }

    #[test]
    fn a_queue_that_fails_is_counted_as_such_and_a_stranger_is_not() {
        let counted = |refusal: &EventRefusal| {
            let tally = Tally::default();
            refusal.report(&tally);
            let kinds = [Metric::DependencyFailed, Metric::RequestRefused, Metric::EventsUnauthorized];
            kinds.map(|metric| tally.of(metric))
        };
        assert_eq!(counted(&EventRefusal::QueueRefused(vec![EventSent::Refused])), [1, 1, 0]);
        assert_eq!(counted(&EventRefusal::NoEvents), [0, 1, 0]);
        assert_eq!(counted(&EventRefusal::Unauthorized), [0, 0, 1]);
    }

    #[test]
    fn what_sqs_would_refuse_is_written_in_other_characters() {
        let mut event = issued();
        event["data"]["agentId"] = json!("\u{fffe}\u{ffff}\u{1}");
        let text = escape_for_queue(event.to_string());
        assert!(!text.contains(['\u{fffe}', '\u{ffff}', '\u{1}']));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), event);
    }
}
