//! A dead letter, as operators see it.

use std::collections::BTreeSet;

use backbone::did::AgentDid;
use backbone::timestamp::to_iso;
use backbone_aws::Letter;
use serde::Serialize;
use serde_json::Value;

use super::queues::QueuePair;

/// The reason of letters that SQS has moved itself: they were received too often, and nobody said why.
pub(crate) const TOO_MANY_RECEIVES: &str = "too_many_receives";
/// The fields by which messages are known outside the queue.
const BUSINESS_IDS: [&str; 3] = ["requestId", "deliveryId", "id"];

/// A dead letter, without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetterView {
    /// Which queue it comes from.
    pub(crate) queue: String,
    /// The dead-letter queue's id of it.
    pub(crate) message_id: String,
    /// What it is about: a receipt's request id, a delivery's id, an event's id.
    pub(crate) business_id: Option<String>,
    /// Its reason, in one word.
    pub(crate) reason_code: String,
    /// Its reason, in a sentence.
    pub(crate) reason: Option<String>,
    /// All agents that it names.
    pub(crate) agents: Vec<String>,
    pub(crate) correlation_id: Option<String>,
    /// When it was first received or else sent.
    since: String,
    /// The same in milliseconds since the Unix epoch.
    #[serde(skip)]
    pub(crate) since_ms: u64,
    /// How often the queue that it comes from has shown it. Of a letter that SQS has moved itself, which keeps its count,
    /// every look at it is one more.
    pub(crate) receives: u64,
}

impl DeadLetterView {
    pub(crate) fn of(pair: &QueuePair, letter: &Letter) -> Self {
        let attribute = |name: &str| letter.attributes.get(name).cloned();
        let body: Value = serde_json::from_str(&letter.body).unwrap_or_default();
        let business_id = BUSINESS_IDS.iter().find_map(|field| body.get(field)?.as_str().map(str::to_owned));
        let first_seen_ms = attribute("firstSeenAt").and_then(|at| at.parse().ok());
        let since_ms = first_seen_ms.unwrap_or(letter.sent_at_ms);
        let mut agents = BTreeSet::new();
        collect_agents(&body, &mut agents);
        Self {
            queue: pair.name.clone(),
            message_id: letter.message_id.clone(),
            business_id,
            reason_code: attribute("reasonCode").unwrap_or_else(|| TOO_MANY_RECEIVES.to_owned()),
            reason: attribute("reason"),
            agents: agents.into_iter().collect(),
            correlation_id: attribute("correlationId"),
            since: to_iso(since_ms),
            since_ms,
            receives: attribute("receiveCount")
                .and_then(|count| count.parse().ok())
                .unwrap_or(letter.receive_count),
        }
    }

    /// Whether `id` is one of its names.
    pub(crate) fn is_named(&self, id: &str) -> bool {
        let names = [Some(&self.message_id), self.business_id.as_ref(), self.correlation_id.as_ref()];
        names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(id))
    }
}

/// The agents that a body names, however deep.
fn collect_agents(value: &Value, agents: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => agents.extend(AgentDid::parse(text).map(|did| did.to_string())),
        Value::Array(items) => items.iter().for_each(|item| collect_agents(item, agents)),
        Value::Object(fields) => fields.values().for_each(|field| collect_agents(field, agents)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    pub(crate) const AGENT: &str = "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";

    pub(crate) fn pair() -> QueuePair {
        let url = |name: &str| format!("http://q/1/{name}");
        QueuePair { name: "receipts".to_owned(), source_url: url("receipts"), dlq_url: url("receipts-dlq") }
    }

    pub(crate) fn letter(body: &str, attributes: &[(&str, &str)]) -> Letter {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Letter {
            message_id: "m-1".to_owned(),
            receipt_handle: "h".to_owned(),
            body: body.to_owned(),
            attributes: attributes.collect::<BTreeMap<_, _>>(),
            sent_at_ms: 9_000,
            receive_count: 11,
            trace: None,
        }
    }

    #[test]
    fn a_buried_letter_says_why_and_about_what() {
        let body = format!(r#"{{"type":"delivery_receipt","requestId":"01K","a":{{"b":["{AGENT}"]}}}}"#);
        let attributes = [
            ("reasonCode", "frame_too_large"),
            ("correlationId", "c-1"),
            ("firstSeenAt", "7"),
            ("receiveCount", "2"),
        ];
        let view = DeadLetterView::of(&pair(), &letter(&body, &attributes));
        assert_eq!((view.reason_code.as_str(), view.since_ms, view.receives), ("frame_too_large", 7, 2));
        assert_eq!(view.agents, [AGENT]);
        assert!(view.is_named("01k") && view.is_named("c-1") && view.is_named("m-1") && !view.is_named("x"));
    }

    #[test]
    fn a_letter_that_sqs_moved_has_a_reason_too() {
        let view = DeadLetterView::of(&pair(), &letter("no json", &[]));
        assert_eq!((view.reason_code.as_str(), view.since_ms, view.receives), (TOO_MANY_RECEIVES, 9_000, 11));
        assert_eq!((view.business_id, view.agents.len()), (None, 0));
    }
}
