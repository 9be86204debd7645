//! Events of the registry against both files: the queue's in `asyncapi.yaml`, the posted ones in `openapi.yaml`.

use std::collections::BTreeSet;

use backbone::event_intake::PostedEvents;
use backbone::registry_event::RegistryEvent;
use backbone_aws::CORRELATION_ID_ATTRIBUTE;
use serde_json::{Value, json};

use super::document::{Document, keys, names_in_code, without};
use crate::template::repository_file;

const AUTHORITY: &str = "registry.clawdentity.com";
const ULID: &str = "01KN0HGEG0QK6E4CV6JTD76TK7";
const INITIATOR: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";
const RESPONDER: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";

fn enveloped(kind: &str, data: &Value) -> Value {
    json!({ "id": "3f0c9a52-7b0e-4d37-9c58-0d6f4b8f2a11", "type": kind, "version": "v1",
        "timestampUtc": "2026-03-31T23:33:20.000Z", "initiatedByAccountId": null, "data": data })
}

fn revoked(metadata: &Value) -> Value {
    let data = json!({ "agentId": ULID, "sessionId": "s", "reason": "agent_revoked", "metadata": metadata });
    enveloped("agent.auth.revoked", &data)
}

/// Events of every kind, with everything that they can have.
fn events() -> Vec<Value> {
    let of_session = json!({ "agentId": ULID, "sessionId": "s" });
    vec![
        revoked(&json!({ "agentDid": RESPONDER })),
        enveloped("agent.auth.issued", &of_session),
        enveloped("agent.auth.refreshed", &of_session),
        enveloped("agent.auth.refresh_rejected", &of_session),
        json!({ "type": "pair.accepted", "initiatorAgentDid": INITIATOR, "responderAgentDid": RESPONDER,
            "responderProfile": { "agentName": "beta", "humanName": "Ira", "proxyOrigin": "https://beta.example" },
            "issuerProxyOrigin": "https://proxy.example", "eventTimestampUtc": "2026-03-31T23:33:20.000Z",
            "message": "You are paired with beta now." }),
        enveloped(
            "group.member.joined",
            &json!({ "recipientAgentDid": INITIATOR, "joinedAgentDid": RESPONDER, "joinedAgentName": "beta",
                "groupId": format!("grp_{ULID}"), "groupName": "crew", "role": "member",
                "joinedAt": "2026-03-31T23:33:20.000Z", "message": "beta is in" }),
        ),
    ]
}

/// The kinds of events that the parser tells apart, from its source.
fn kinds_in_code() -> BTreeSet<String> {
    let source = repository_file("functions/backbone/src/registry_event.rs");
    let arms = source.lines().filter(|line| line.trim_start().starts_with("Some(\""));
    let quoted = arms.flat_map(|line| line.split('"').skip(1).step_by(2));
    quoted.filter(|text| text.contains('.')).map(str::to_owned).collect()
}

#[test]
fn the_kinds_of_events_are_the_documented_ones() {
    let (asyncapi, openapi) = (Document::asyncapi(), Document::openapi());
    let channel = asyncapi.at("/channels/events/messages");
    assert_eq!(keys(channel), kinds_in_code());
    let posted = openapi.at("/components/schemas/RegistryEvent/properties/type/enum");
    let posted: BTreeSet<String> = serde_json::from_value(posted.clone()).unwrap();
    assert_eq!(posted, kinds_in_code());
    let attributes = asyncapi.at("/components/schemas/EventAttributes");
    assert_eq!(asyncapi.properties(attributes), BTreeSet::from([CORRELATION_ID_ATTRIBUTE.to_owned()]));
    for (kind, message) in asyncapi.members(channel) {
        assert_eq!(asyncapi.get(message, "headers"), attributes, "{kind}");
    }
}

/// `event` as it is, and with each member of the object at `pointer` missing, or something else.
fn changed(event: &Value, pointer: &str) -> Vec<Value> {
    let Some(object) = event.pointer(pointer).filter(|value| value.is_object()) else { return Vec::new() };
    let replaced = |with: Value| {
        let mut event = event.clone();
        *event.pointer_mut(pointer).unwrap() = with;
        event
    };
    let mut changed = vec![event.clone()];
    for name in keys(object) {
        changed.push(replaced(without(object, &name)));
        for other in [json!(7), json!(null), json!(" "), json!({}), json!("x")] {
            let mut with = object.clone();
            with[&name] = other;
            changed.push(replaced(with));
        }
        if let Some(text) = object[&name].as_str() {
            let mut with = object.clone();
            with[&name] = json!(format!(" {text}\n"));
            changed.push(replaced(with));
        }
    }
    changed
}

/// What the schemas let through the parser takes, and what the one refuses the other does.
#[test]
fn schema_and_parser_agree_about_events() {
    let asyncapi = Document::asyncapi();
    let channel = asyncapi.at("/channels/events/messages");
    let mut samples = vec![json!([]), json!({}), json!("x"), revoked(&json!(null))];
    samples.extend(changed(&revoked(&json!(null)), "/data"));
    for event in events() {
        for pointer in ["", "/data", "/data/metadata", "/responderProfile"] {
            samples.extend(changed(&event, pointer));
        }
    }
    let (mut taken, mut refused) = (0, 0);
    for event in samples {
        let message = event.get("type").and_then(Value::as_str).and_then(|kind| channel.get(kind));
        let checked = match message {
            Some(message) => asyncapi.check(asyncapi.get(message, "payload"), &event),
            None => Err("no such kind".to_owned()),
        };
        let parsed = RegistryEvent::parse(&event.to_string(), AUTHORITY);
        assert_eq!(parsed.is_ok(), checked.is_ok(), "{parsed:?} {checked:?} {event}");
        if parsed.is_ok() { taken += 1 } else { refused += 1 }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
}

/// The same for bodies, as far as they hold events.
#[test]
fn schema_and_intake_agree_about_what_holds_events() {
    let openapi = Document::openapi();
    let schema = openapi.at("/components/schemas/PostedEvents");
    let event = &events()[0];
    let mut bodies = vec![json!([]), json!({}), json!("x"), json!(null), json!([7]), json!([event, {}])];
    bodies.extend([json!({ "events": {} }), json!({ "events": [] }), json!({ "events": event })]);
    bodies.extend([json!({ "type": "agent.auth.revoke", "events": [event] }), json!([[event]])]);
    let refused = bodies.len();
    bodies.extend(events());
    for count in [1, 10, 11] {
        bodies.extend([json!(vec![event; count]), json!({ "events": vec![event; count] })]);
    }
    let mut taken = 0;
    for body in &bodies {
        let parsed = PostedEvents::parse(body.to_string().as_bytes(), AUTHORITY);
        let checked = openapi.check(schema, body);
        assert_eq!(parsed.is_ok(), checked.is_ok(), "{parsed:?} {checked:?} {body}");
        taken += usize::from(parsed.is_ok());
    }
    assert_eq!(taken, bodies.len() - refused - 2, "all but those that were meant to be refused");
}

/// The intake reads and answers no field that is not documented, and every documented one is in it.
#[test]
fn the_fields_of_the_intake_are_those_that_are_documented() {
    let openapi = Document::openapi();
    let details = openapi.properties(openapi.at("/components/schemas/ErrorDetails"));
    let of_receipts = names_in_code("functions/backbone/src/acceptance.rs");
    let in_code = names_in_code("functions/backbone/src/event_intake.rs");
    let mut documented: BTreeSet<_> =
        details.into_iter().filter(|name| in_code.contains(name) || !of_receipts.contains(name)).collect();
    for schema in ["RegistryEvent", "EventsAccepted", "EventAnswer"] {
        documented.extend(openapi.properties(openapi.at(&format!("/components/schemas/{schema}"))));
    }
    assert_eq!(in_code, documented);
}
