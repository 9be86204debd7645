//! The other events, the ways in, and what becomes of what nobody understands.

use std::time::UNIX_EPOCH;
use std::{env, fs};

use acceptance::admin_api::{AdminApi, Invoked};
use acceptance::connector::{HttpAnswer, Status};
use acceptance::eventually::PATIENCE;
use acceptance::registry_event::{enveloped, of_session, pair_accepted, post, revoked};
use acceptance::stack::{STACK_VARIABLE, Stack};
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue;
use backbone::timestamp::from_iso;
use serde_json::{Value, json};

use crate::fixture::{Duo, dead_letter, events_handled, logged, receipts_handled, says, text};

async fn post_as_service(stack: &Stack, body: String) -> HttpAnswer {
    let service = &stack.internal_service;
    post(stack, Some((&service.id, &service.secret)), body).await.unwrap()
}

#[tokio::test]
async fn a_pair_that_was_accepted_may_send_receipts_and_its_initiator_is_told() {
    let duo = Duo::strangers().await;
    let session = duo.sender.connect().await.unwrap();
    let event = pair_accepted(duo.sender.did(), duo.recipient.did(), &duo.stack.proxy_url);
    // Twice, as a queue may do it.
    for _ in 0..2 {
        duo.stack.events_queue().send(&event.to_string()).await.unwrap();
    }
    let told = session.frame(PATIENCE, |arrival| arrival.text.contains("\"deliver\"")).await.unwrap();
    assert!(told.rust.is_ok() && told.typescript.is_ok(), "{told:?}");
    let frame: Value = serde_json::from_str(&told.text).unwrap();
    assert_eq!(frame["deliverySource"], "proxy.events.queue.pair_accepted");
    let profile = &frame["payload"]["system"]["responderProfile"];
    assert_eq!((&profile["humanName"], &profile["displayName"]), (&json!("Ira"), &json!("Ira")));

    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
    session.frame(PATIENCE, |arrival| arrival.text.contains(&receipt.request_id)).await.unwrap();
    events_handled(&duo.stack, duo.sender.did()).await;
    receipts_handled(&duo.stack, duo.sender.did()).await;
    let shown = duo.stack.operator(&["trust", "show", duo.sender.did()]).await.unwrap();
    assert!(shown.contains("pairs    1"), "counted once: {shown}");
    session.answers(PATIENCE).await.unwrap();
    // One that comes after the acknowledgement of the first is delivered again, and known by its id.
    let mut deliveries = session.frames().into_iter().filter(|arrival| arrival.text.contains("\"deliver\""));
    assert!(deliveries.all(|again| again.text == told.text), "{told:?}");
}

#[tokio::test]
async fn who_joined_a_group_is_told() {
    let duo = Duo::strangers().await;
    let session = duo.sender.connect().await.unwrap();
    let event = enveloped(
        "group.member.joined",
        &json!({
            "recipientAgentDid": duo.sender.did(), "joinedAgentDid": duo.recipient.did(),
            "joinedAgentName": "beta", "groupId": format!("grp_{}", stamp::new_ulid()),
            "groupName": "crew", "role": "member", "joinedAt": stamp::now_iso(),
        }),
    );
    duo.stack.events_queue().send(&event.to_string()).await.unwrap();
    let told = session.frame(PATIENCE, |arrival| arrival.text.contains("\"deliver\"")).await.unwrap();
    assert!(told.rust.is_ok() && told.typescript.is_ok(), "{told:?}");
    let frame: Value = serde_json::from_str(&told.text).unwrap();
    assert_eq!(frame["payload"]["message"], "beta joined crew.");
}

#[tokio::test]
async fn what_is_not_understood_is_kept_with_its_reason() {
    let stack = Stack::running();
    let agent = format!("did:cdi:127.0.0.1:agent:{}", stamp::new_ulid());
    let nameless =
        enveloped("agent.auth.revoked", &json!({ "reason": "agent_revoked", "agentId": stamp::now_iso() }));
    for (body, reason_code) in [
        (format!("nonsense {}", stamp::new_ulid()), "not_json"),
        (of_session("agent.auth.promoted", &agent).to_string(), "unknown_type"),
        (revoked(&agent, "bad_mood").to_string(), "unknown_reason"),
        (nameless.to_string(), "invalid_field"),
    ] {
        stack.events_queue().send(&body).await.unwrap();
        let letter = dead_letter(&stack, &stack.outputs.events_dlq_url, &body).await;
        let text = |name: &str| text(&letter, name);
        assert_eq!(
            (text("reasonCode").as_str(), text("receiveCount").as_str()),
            (reason_code, "1"),
            "{body}"
        );
        assert!(!text("reason").contains("nonsense"), "a reason never quotes the body");
    }
}

#[tokio::test]
async fn events_are_taken_from_the_internal_service_only() {
    let stack = Stack::running();
    let (id, secret) = (stack.internal_service.id.as_str(), stack.internal_service.secret.as_str());
    let event = of_session("agent.auth.refreshed", &format!("did:cdi:127.0.0.1:agent:{}", stamp::new_ulid()));
    for credentials in
        [None, Some((id, "guess")), Some(("guess", secret)), Some((id, "")), Some((secret, id))]
    {
        let answer = post(&stack, credentials, event.to_string()).await.unwrap();
        assert_eq!(
            (answer.status, answer.error_code()),
            (401, Some("PROXY_EVENTS_UNAUTHORIZED")),
            "{credentials:?}"
        );
        assert_eq!(answer.json["error"]["requestId"], answer.headers["x-request-id"].to_str().unwrap());
    }
    let answer = post_as_service(&stack, event.to_string()).await;
    assert_eq!(
        (answer.status, &answer.json["events"][0]["accepted"]),
        (202, &json!(true)),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_posted_revocation_bites_and_a_bad_event_beside_it_stops_it() {
    let duo = Duo::paired().await;
    let session = duo.sender.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    let good = revoked(duo.sender.did(), "agent_revoked");
    let bad = revoked(duo.sender.did(), "bad_mood");
    let answer = post_as_service(&duo.stack, json!([good, bad]).to_string()).await;
    assert_eq!((answer.status, answer.error_code()), (400, Some("PROXY_EVENTS_INVALID_INPUT")));
    let details = &answer.json["error"]["details"];
    assert_eq!((&details["index"], &details["field"]), (&json!(1), &json!("data.reason")));
    // Behind whatever the refused POST might have sent.
    let other = of_session("agent.auth.refreshed", duo.sender.did());
    assert_eq!(post_as_service(&duo.stack, other.to_string()).await.status, 202);
    events_handled(&duo.stack, duo.sender.did()).await;
    session.answers(PATIENCE).await.unwrap();
    let shown = duo.stack.operator(&["trust", "show", duo.sender.did()]).await.unwrap();
    assert!(shown.contains("revoked  no") && session.end().is_none(), "{shown}");

    let answer = post_as_service(&duo.stack, json!({ "events": [good] }).to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    session.ended(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_too_much_is_refused() {
    let stack = Stack::running();
    let event = of_session("agent.auth.refreshed", &format!("did:cdi:127.0.0.1:agent:{}", stamp::new_ulid()));
    let answer = post_as_service(&stack, json!(vec![event.clone(); 11]).to_string()).await;
    assert_eq!((answer.status, answer.error_code()), (400, Some("PROXY_EVENTS_INVALID_INPUT")));
    let long = format!("{event}{}", " ".repeat(256 * 1024));
    let answer = post_as_service(&stack, long).await;
    assert_eq!((answer.status, answer.error_code()), (413, Some("PROXY_EVENTS_TOO_LARGE")));
}

#[tokio::test]
async fn an_event_of_no_known_shape_is_an_error() {
    let stack = Stack::running();
    let api = AdminApi::of(&stack);
    let answer =
        api.invoke(&stack.outputs.registry_events_function, &json!({ "what": "ever" })).await.unwrap();
    assert!(matches!(answer, Invoked::Failed(_)), "{answer:?}");
}

/// The registry's keys are there before anybody connects. Other tests have the same rows written again, so it counts when
/// the function first said that it has looked: the file that describes the stack to the tests is written later.
#[tokio::test]
async fn the_deployment_has_looked_at_the_registry() {
    let stack = Stack::running();
    let description = fs::metadata(env::var_os(STACK_VARIABLE).unwrap()).unwrap();
    let described = description.modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    let function = &stack.outputs.registry_events_function;
    let line =
        logged(&stack, function, 0, "a reconciliation", |line| says(line, "reconciled with the registry"))
            .await;
    let at_ms = from_iso(line["timestamp"].as_str().unwrap()).unwrap();
    assert!(u128::from(at_ms) <= described.as_millis(), "the first was somebody else's: {line}");

    let client = stack.dynamodb();
    for key in ["registry#keys", "registry#crl"] {
        let row = client
            .get_item()
            .table_name(&stack.outputs.trust_table)
            .key("key", AttributeValue::S(key.to_owned()))
            .send()
            .await
            .unwrap();
        assert!(row.item.is_some(), "no {key}");
    }
}
