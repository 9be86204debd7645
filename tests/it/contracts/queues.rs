//! Queue messages and dead letters against `asyncapi.yaml`.

use std::collections::BTreeSet;

use backbone::connection::ConnectionRef;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::queue_message::{DeliveryRefusal, DeliveryTurn, MESSAGE_VERSION, QueueMessage, TurnTimes};
use backbone::reason_code::ReasonCode;
use backbone::receipt::{Receipt, Status};
use backbone::system_delivery::{DeliverySource, SystemDelivery};
use backbone_aws::{CORRELATION_ID_ATTRIBUTE, ORIGIN_PROXY_ATTRIBUTE, VERSION_ATTRIBUTE};
use serde_json::{Value, json};

use super::document::{Document, keys, without};
use crate::template::{of_type, template, untagged};

/// Every message, with everything that it can have; a new one must be put here before this compiles.
fn messages() -> Vec<QueueMessage> {
    let agent = |ulid| AgentDid::parse(&format!("did:cdi:registry.clawdentity.com:agent:{ulid}")).unwrap();
    let sender = agent("01KN0HGEG0G5PGG168DAWPBYT2");
    let connection = ConnectionRef {
        agent: sender.clone(),
        connection_id: "L0SM9cOFvHcCIhw=".to_owned(),
        connected_at_ms: 1_775_000_000_123,
    };
    let receipt = Receipt {
        request_id: Id::parse("01KN33X0KRM9Q3MFS6RVPP6F7F").unwrap(),
        sender,
        recipient: agent("01KN0HGEG0QK6E4CV6JTD76TK7"),
        status: Status::DeadLettered,
        reason: Some("webhook answered 500".to_owned()),
        processed_at_ms: 1_775_000_000_000,
    };
    let delivery = SystemDelivery {
        delivery_id: receipt.request_id,
        recipient: receipt.recipient.clone(),
        from: receipt.sender.clone(),
        source: DeliverySource::GroupMemberJoined,
        payload: json!({ "type": "clawdentity:group-member-joined" }),
        created_at_ms: 1_775_000_000_000,
    };
    let messages = vec![
        QueueMessage::DeliveryReceipt(receipt),
        QueueMessage::Connected(connection.clone()),
        QueueMessage::Drain(connection.clone()),
        QueueMessage::Close(connection),
        QueueMessage::Deliver(DeliveryTurn {
            key: delivery.key(),
            due: Some(TurnTimes { at_ms: 1_775_000_000_123, before_ms: 0 }),
        }),
        QueueMessage::DeliveryRefused(DeliveryRefusal {
            key: delivery.key(),
            reason: Some("why".to_owned()),
        }),
        QueueMessage::RestoreDelivery(delivery),
    ];
    for message in &messages {
        match message {
            QueueMessage::DeliveryReceipt(_)
            | QueueMessage::Connected(_)
            | QueueMessage::Drain(_)
            | QueueMessage::Close(_)
            | QueueMessage::Deliver(_)
            | QueueMessage::DeliveryRefused(_)
            | QueueMessage::RestoreDelivery(_) => {}
        }
    }
    messages
}

#[test]
fn every_message_is_documented_field_by_field() {
    let asyncapi = Document::asyncapi();
    let channel = asyncapi.at("/channels/receipts/messages");
    let mut sent = BTreeSet::new();
    for message in messages() {
        let body: Value = serde_json::from_str(&message.to_body()).unwrap();
        let kind = body["type"].as_str().unwrap();
        let schema = asyncapi.get(asyncapi.get(channel, kind), "payload");
        asyncapi.check(schema, &body).unwrap();
        assert_eq!(keys(&body), asyncapi.properties(schema));
        for field in asyncapi.required(schema) {
            let rest = without(&body, &field);
            assert!(asyncapi.check(schema, &rest).is_err(), "{kind} without {field}");
            assert!(QueueMessage::parse(&rest.to_string(), None).is_err(), "{kind} without {field}");
        }
        sent.insert(kind.to_owned());
    }
    assert_eq!(keys(channel), sent);
}

#[test]
fn attributes_and_reasons_are_documented() {
    let asyncapi = Document::asyncapi();
    let attributes = asyncapi.at("/components/schemas/MessageAttributes");
    let known = BTreeSet::from([VERSION_ATTRIBUTE, CORRELATION_ID_ATTRIBUTE].map(str::to_owned));
    assert_eq!(asyncapi.properties(attributes), known);
    let sent = json!({ VERSION_ATTRIBUTE: MESSAGE_VERSION, CORRELATION_ID_ATTRIBUTE: "c" });
    asyncapi.check(attributes, &sent).unwrap();
    for (_, message) in asyncapi.members(asyncapi.at("/channels/receipts/messages")) {
        assert_eq!(asyncapi.get(message, "headers"), attributes);
    }
    let from_peers = asyncapi.at("/components/schemas/PeerMessageAttributes");
    let known_from_peers =
        BTreeSet::from([ORIGIN_PROXY_ATTRIBUTE.to_owned()]).union(&known).cloned().collect();
    assert_eq!(asyncapi.properties(from_peers), known_from_peers);
    let reasons = asyncapi.at("/components/schemas/DeadLetterAttributes/properties/reasonCode/enum");
    let documented: BTreeSet<_> = reasons.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(documented, ReasonCode::ALL.iter().map(|reason| reason.as_str()).collect());
}

#[test]
fn every_documented_queue_is_in_the_template() {
    let (asyncapi, template) = (Document::asyncapi(), template());
    let deployed: BTreeSet<_> = of_type(&template, "AWS::SQS::Queue")
        .map(|(_, properties)| untagged(&properties["QueueName"]).as_str().unwrap())
        .collect();
    for (name, channel) in asyncapi.members(asyncapi.at("/channels")).filter(|(name, _)| *name != "relay") {
        let address = channel["address"].as_str().unwrap().replace("{environment}", "${Environment}");
        assert!(deployed.contains(address.as_str()), "{name}: {address}");
    }
}
