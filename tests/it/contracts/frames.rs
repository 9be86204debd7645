//! Frames against `asyncapi.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use backbone::did::AgentDid;
use backbone::frame::{ClientFrame, ServerFrame};
use backbone::id::Id;
use backbone::receipt::Status;
use backbone::system_delivery::DeliverySource;
use serde_json::{Value, json};

use super::document::{Document, keys, without};
use crate::template::{of_type, repository_file, template, untagged};

const ULID: &str = "01KN33X5G00NAWHJD24V8N73HX";
const DID: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";

fn id() -> Id {
    Id::parse(ULID).unwrap()
}

/// Every frame that is sent, with everything that it can have; a new one must be put here before this compiles.
fn server_frames() -> Vec<ServerFrame> {
    let (ack_id, reason) = (id(), Some("why".to_owned()));
    let to_agent_did = AgentDid::parse(DID).unwrap();
    let frames = vec![
        ServerFrame::Heartbeat {},
        ServerFrame::Deliver {
            from_agent_did: to_agent_did.clone(),
            to_agent_did: to_agent_did.clone(),
            payload: json!({ "system": {} }),
            delivery_source: DeliverySource::PairAccepted,
        },
        ServerFrame::HeartbeatAck { ack_id },
        ServerFrame::EnqueueAck { ack_id, accepted: false, reason: reason.clone() },
        ServerFrame::Receipt {
            original_frame_id: ack_id,
            to_agent_did,
            status: Status::DeadLettered,
            reason,
        },
    ];
    for frame in &frames {
        match frame {
            ServerFrame::Heartbeat {}
            | ServerFrame::Deliver { .. }
            | ServerFrame::HeartbeatAck { .. }
            | ServerFrame::EnqueueAck { .. }
            | ServerFrame::Receipt { .. } => {}
        }
    }
    frames
}

/// The frames of one operation, by type.
fn frames<'a>(asyncapi: &'a Document, operation: &str) -> BTreeMap<&'a str, &'a Value> {
    let channel = asyncapi.at("/channels/relay/messages");
    let said = asyncapi.at(&format!("/operations/{operation}/messages")).as_array().unwrap();
    let named = said.iter().map(|message| {
        let name = message["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        (name, asyncapi.get(asyncapi.get(channel, name), "payload"))
    });
    named.collect()
}

#[test]
fn every_frame_that_is_sent_is_documented_field_by_field() {
    let asyncapi = Document::asyncapi();
    let documented = frames(&asyncapi, "answerOnTheSocket");
    let mut sent = BTreeSet::new();
    for frame in server_frames() {
        let text: Value = serde_json::from_str(&frame.to_text(id(), 1_775_000_000_123)).unwrap();
        let schema = documented[text["type"].as_str().unwrap()];
        asyncapi.check(schema, &text).unwrap();
        assert_eq!(keys(&text), asyncapi.properties(schema));
        sent.insert(text["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(sent, documented.keys().map(|&name| name.to_owned()).collect());
}

#[test]
fn every_frame_that_is_documented_is_understood() {
    let asyncapi = Document::asyncapi();
    let samples = [
        ("heartbeat", json!({}), ClientFrame::Heartbeat { id: id() }),
        ("heartbeat_ack", json!({ "ackId": ULID }), ClientFrame::Other),
        (
            "deliver_ack",
            json!({ "ackId": ULID, "accepted": false, "reason": "why" }),
            ClientFrame::DeliverAck { ack_id: id(), accepted: false, reason: Some("why".to_owned()) },
        ),
        (
            "enqueue",
            json!({
                "toAgentDid": DID, "payload": { "any": "thing" }, "groupId": format!("grp_{ULID}"),
                "conversationId": "c", "replyTo": "https://proxy.example/x",
            }),
            ClientFrame::Enqueue { id: id() },
        ),
    ];
    let documented = frames(&asyncapi, "hearTheSocket");
    assert_eq!(
        documented.keys().copied().collect::<BTreeSet<_>>(),
        samples.iter().map(|(name, ..)| *name).collect()
    );
    for (name, fields, understood) in samples {
        let mut frame = json!({ "v": 1, "type": name, "id": ULID, "ts": "2026-03-31T23:33:20.000Z" });
        frame.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let schema = documented[name];
        asyncapi.check(schema, &frame).unwrap();
        assert_eq!(keys(&frame), asyncapi.properties(schema), "{name}");
        assert_eq!(ClientFrame::parse(&frame.to_string()), Some(understood));
        for field in asyncapi.required(schema) {
            assert!(asyncapi.check(schema, &without(&frame, &field)).is_err(), "{name} without {field}");
        }
    }
}

/// The schemas are as strict as the stricter of the two connectors.
#[test]
fn schema_and_vectors_agree_about_frames() {
    let vectors: Value = serde_json::from_str(&repository_file("tests/vectors.json")).unwrap();
    let asyncapi = Document::asyncapi();
    let channel = asyncapi.at("/channels/relay/messages");
    let cases = vectors["frames"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let frame: Value = serde_json::from_str(case["text"].as_str().unwrap()).unwrap_or_default();
        let message =
            channel.get(frame["type"].as_str().unwrap_or("none")).map(|message| asyncapi.resolve(message));
        let fits = message.is_some_and(|message| asyncapi.check(&message["payload"], &frame).is_ok());
        assert_eq!(json!(fits), case["tsParseFrame"], "{}", case["name"]);
    }
}

#[test]
fn the_routes_of_the_socket_are_frames_that_are_documented() {
    let (asyncapi, template) = (Document::asyncapi(), template());
    let understood = frames(&asyncapi, "hearTheSocket");
    let routes = of_type(&template, "AWS::ApiGatewayV2::Route")
        .filter(|(_, properties)| untagged(&properties["ApiId"]).as_str() == Some("WebSocketApi"))
        .map(|(_, properties)| properties["RouteKey"].as_str().unwrap());
    for route in routes.filter(|route| !route.starts_with('$')) {
        assert!(understood.contains_key(route), "{route}");
    }
    let variables = &template["Resources"]["AuthorizerFunction"]["Properties"]["Environment"]["Variables"];
    let signed = untagged(&variables["CONNECT_PATHS"]).as_str().unwrap().split(',').next();
    assert_eq!(asyncapi.at("/channels/relay/address").as_str(), signed);
}
