//! The main job: a receipt posted by the recipient's connector arrives at the sender's.

use acceptance::connector::{RECEIPTS_PATH, Receipt, Request, Session, Status};
use acceptance::eventually::eventually;
use acceptance::stamp;
use serde_json::json;

use crate::fixture::{Duo, arrives, dead_letter, text};

fn assert_both_connectors_can_read(session: &Session) {
    for arrival in session.frames() {
        assert!(arrival.rust.is_ok() && arrival.typescript.is_ok(), "{arrival:?}");
    }
    assert_eq!(session.end(), None);
}

#[tokio::test]
async fn both_kinds_arrive_exactly_once_and_a_repetition_is_silent() {
    let duo = Duo::paired().await;
    let mut session = duo.sender.connect().await.unwrap();
    let delivered = duo.receipt(Status::DeliveredToWebhook, None);
    let dead = duo.receipt(Status::DeadLettered, Some("webhook answered 500"));
    for receipt in [&delivered, &dead] {
        let answer = duo.recipient.post_receipt(receipt).await.unwrap();
        assert_eq!((answer.status, answer.json), (202, json!({ "accepted": true })));
        arrives(&mut session, receipt).await;
    }
    pushed(&duo, &delivered).await;
    assert_eq!(duo.recipient.post_receipt(&delivered).await.unwrap().status, 202);
    // The next receipt is behind the repetition in the same queue; nothing else has come before it.
    let later = duo.receipt(Status::DeliveredToWebhook, None);
    duo.recipient.post_receipt(&later).await.unwrap();
    arrives(&mut session, &later).await;
    duo.stack.receipts_queue().drained().await.unwrap();
    assert_eq!(session.receipts().len(), 3);
    assert_both_connectors_can_read(&session);
}

#[tokio::test]
async fn both_connectors_bodies_and_the_first_designs_names_are_understood() {
    let duo = Duo::paired().await;
    let mut session = duo.sender.connect().await.unwrap();
    let typescript = duo.receipt(Status::DeadLettered, Some("x"));
    let body = typescript.typescript_body(&stamp::now_iso());
    let answer = duo.recipient.send(Request::post(RECEIPTS_PATH, body)).await.unwrap();
    assert_eq!(answer.status, 202);
    arrives(&mut session, &typescript).await;

    let first = duo.receipt(Status::DeliveredToWebhook, None);
    let body = json!({
        "frameId": first.request_id.to_lowercase(), "fromAgentDid": first.sender_agent_did,
        "toAgentDid": first.recipient_agent_did, "status": "processed_by_openclaw",
    });
    let answer = duo.recipient.send(Request::post(RECEIPTS_PATH, body.to_string())).await.unwrap();
    assert_eq!(answer.status, 202);
    arrives(&mut session, &first).await;
}

#[tokio::test]
async fn a_changed_state_is_news_and_carries_a_frame_id_of_its_own() {
    let duo = Duo::paired().await;
    let mut session = duo.sender.connect().await.unwrap();
    let dead = duo.receipt(Status::DeadLettered, Some("x"));
    duo.recipient.post_receipt(&dead).await.unwrap();
    let first = arrives(&mut session, &dead).await;
    let alive = Receipt { status: Status::DeliveredToWebhook, reason: None, ..dead };
    duo.recipient.post_receipt(&alive).await.unwrap();
    let second = arrives(&mut session, &alive).await;
    assert_ne!(first.frame.id, second.frame.id);
}

#[tokio::test]
async fn a_receipt_for_a_sender_who_is_away_arrives_after_the_connect() {
    let duo = Duo::paired().await;
    let waiting = duo.receipt(Status::DeliveredToWebhook, None);
    assert_eq!(duo.recipient.post_receipt(&waiting).await.unwrap().status, 202);
    duo.stack.receipts_queue().drained().await.unwrap();
    let mut session = duo.sender.connect().await.unwrap();
    arrives(&mut session, &waiting).await;
    duo.stack.receipts_queue().drained().await.unwrap();
    assert_eq!(session.receipts().len(), 1);
    assert_both_connectors_can_read(&session);
}

#[tokio::test]
async fn a_receipt_can_be_looked_up_by_its_sender_only() {
    let duo = Duo::paired().await;
    let receipt = duo.receipt(Status::DeadLettered, Some("gave up"));
    let unknown = duo.sender.get_receipt(&receipt.request_id, duo.recipient.did()).await.unwrap();
    assert_eq!((unknown.status, unknown.json), (404, json!({ "found": false })));

    duo.recipient.post_receipt(&receipt).await.unwrap();
    let found = eventually("the receipt's row", async || {
        let answer = duo.sender.get_receipt(&receipt.request_id, duo.recipient.did()).await.unwrap();
        if answer.status == 200 { Ok(answer.json) } else { Err(answer.body) }
    })
    .await;
    assert_eq!(found["found"], true);
    let fields = &found["receipt"];
    assert_eq!(fields["requestId"], receipt.request_id.as_str());
    assert_eq!(fields["senderAgentDid"], duo.sender.did());
    assert_eq!(fields["recipientAgentDid"], duo.recipient.did());
    assert_eq!(fields["state"], "dead_lettered");
    assert_eq!(fields["reason"], "gave up");
    assert!(fields["statusUpdatedAt"].as_str().unwrap().ends_with('Z'));
    assert!(fields["expiresAtMs"].as_u64().unwrap() > stamp::now_ms());
    assert_eq!(fields["deliveryId"].as_str().unwrap().len(), 26);

    let others = duo.recipient.get_receipt(&receipt.request_id, duo.sender.did()).await.unwrap();
    assert_eq!((others.status, others.json), (404, json!({ "found": false })));
}

#[tokio::test]
async fn what_can_never_be_handled_is_kept_with_its_reason() {
    let duo = Duo::paired().await;
    let body = format!("no receipt {}", stamp::new_ulid());
    duo.stack.receipts_queue().send(&body).await.unwrap();
    let letter = dead_letter(&duo.stack, &duo.stack.outputs.receipts_dlq_url, &body).await;
    let text = |name: &str| text(&letter, name);
    assert_eq!((text("reasonCode").as_str(), text("receiveCount").as_str()), ("not_json", "1"));
    assert!(!text("reason").contains("no receipt"), "a reason never quotes the body");
    assert!(text("firstSeenAt").parse::<u64>().unwrap() > 0);
    assert!(!text("originalMessageId").is_empty() && !text("correlationId").is_empty());
}

/// Waits until the receipt's row says that its frame was taken.
async fn pushed(duo: &Duo, receipt: &Receipt) {
    let client = duo.stack.dynamodb();
    eventually("the receipt's push on record", async || {
        let row = client
            .get_item()
            .table_name(&duo.stack.outputs.receipts_table)
            .key("senderAgentDid", string(&receipt.sender_agent_did))
            .key("item", string(&receipt.request_id))
            .send()
            .await
            .map_err(|problem| format!("{problem:?}"))?;
        let item = row.item.ok_or("no row")?;
        item.contains_key("pushedAt").then_some(()).ok_or_else(|| format!("{item:?}"))
    })
    .await;
}

fn string(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())
}
