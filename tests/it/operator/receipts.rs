//! A receipt is followed through its life.

use acceptance::connector::Status;
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::stack::Description;
use serde_json::Value;

use super::{ask, come_in_order, steps};
use crate::fixture::Duo;

/// Follows a receipt until its timeline has these steps in this order.
async fn followed(duo: &Duo, request_id: &str, expected: &[&str]) -> Value {
    eventually("the timeline", async || {
        let ended = ask(&duo.stack, &["receipts", "show", "--agent", duo.sender.did(), request_id]).await;
        if ended.code != 0 {
            return Err(format!("{ended:?}"));
        }
        let shown = ended.json();
        let all = come_in_order(&steps(&shown), expected);
        all.then(|| shown.clone()).ok_or_else(|| shown.to_string())
    })
    .await
}

#[tokio::test]
async fn a_receipt_is_followed_to_its_push() {
    let duo = Duo::paired().await;
    let mut session = duo.sender.connect().await.unwrap();
    let receipt = duo.receipt(Status::DeadLettered, Some("webhook answered 500"));
    duo.recipient.post_receipt(&receipt).await.unwrap();
    session.next_receipt(PATIENCE).await.unwrap();

    let shown = followed(&duo, &receipt.request_id, &["accepted", "queued", "pushed"]).await;
    assert_eq!(steps(&shown), ["accepted", "queued", "pushed"], "and nothing else");
    assert_eq!(shown["stored"]["reason"], "webhook answered 500");
    assert_eq!((&shown["inMailbox"], &shown["deadLetters"]), (&false.into(), &serde_json::json!([])));
    let pushed = &shown["timeline"][2];
    assert!(!pushed["connectionId"].as_str().unwrap().is_empty());
    let ids: Vec<_> = (1..=2).map(|index| &shown["timeline"][index]["correlationId"]).collect();
    assert!(ids[0].is_string() && ids[0] == ids[1], "one id from the POST to the push: {ids:?}");

    // Its recipient's DID is not its sender's.
    let wrong = ["receipts", "show", "--agent", duo.recipient.did(), &receipt.request_id];
    // Without queues: somebody else may be looking at the dead letters.
    let quiet = Description::changed(|description| {
        let outputs = description["outputs"].as_object_mut().unwrap();
        outputs.retain(|name, _| !name.ends_with("DlqUrl"));
    });
    let wrong = [&wrong[..], &["--json"]].concat();
    let wrong = duo.stack.command(&wrong, Some(&quiet.unwrap())).await.unwrap();
    assert_eq!(wrong.code, 3, "{wrong:?}");
    assert!(wrong.json()["now"].as_str().unwrap().starts_with("no receipt of this sender"), "{wrong:?}");

    // Posted once more, it is not told as pushed twice.
    duo.recipient.post_receipt(&receipt).await.unwrap();
    let again = followed(&duo, &receipt.request_id, &["pushed", "accepted", "queued", "repeated"]).await;
    assert_eq!(steps(&again).iter().filter(|step| **step == "pushed").count(), 1, "{again}");

    let list = |more: &[&'static str]| {
        let arguments = [&["receipts", "list", "--agent", duo.sender.did()][..], more].concat();
        let stack = duo.stack.clone();
        async move { ask(&stack, &arguments).await.json()["receipts"].as_array().unwrap().len() }
    };
    assert_eq!(list(&[]).await, 1);
    assert_eq!(list(&["--status", "pushed", "--since", "1h"]).await, 1);
    assert_eq!(list(&["--status", "delivered_to_webhook"]).await, 0);
    assert_eq!(list(&["--since", "2999-01-01T00:00:00Z"]).await, 0);
}

#[tokio::test]
async fn a_receipt_is_followed_through_the_mailbox() {
    let duo = Duo::paired().await;
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    duo.recipient.post_receipt(&receipt).await.unwrap();
    let waiting = followed(&duo, &receipt.request_id, &["accepted", "queued", "waiting"]).await;
    assert_eq!(waiting["inMailbox"], true);
    let mailbox = ask(&duo.stack, &["mailbox", duo.sender.did()]).await.json();
    assert_eq!(mailbox["connected"], false);
    assert_eq!(mailbox["waiting"][0]["requestId"], receipt.request_id.as_str());

    let mut session = duo.sender.connect().await.unwrap();
    session.next_receipt(PATIENCE).await.unwrap();
    let pushed = eventually("an empty mailbox", async || {
        let shown = followed(&duo, &receipt.request_id, &["waiting", "pushed"]).await;
        (shown["inMailbox"] == false).then(|| shown.clone()).ok_or_else(|| shown.to_string())
    })
    .await;
    let by_post = &pushed["timeline"][1]["correlationId"];
    assert!(by_post.is_string(), "{pushed}");
    assert!(
        pushed["timeline"]
            .as_array()
            .unwrap()
            .iter()
            .all(|step| { step["correlationId"].is_null() || step["correlationId"] == *by_post })
    );
    assert_eq!(
        ask(&duo.stack, &["mailbox", duo.sender.did()]).await.json()["waiting"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_refused_receipt_is_found_by_what_it_was_about() {
    let duo = Duo::strangers().await;
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    let answer = duo.recipient.post_receipt(&receipt).await.unwrap();
    assert_eq!(answer.status, 403);
    let shown = followed(&duo, &receipt.request_id, &["refused"]).await;
    assert_eq!(shown["timeline"][0]["detail"], answer.error_code().unwrap());
    assert_eq!(shown["stored"], Value::Null);
    let code = answer.error_code().unwrap();
    let now = shown["now"].as_str().unwrap();
    assert!(now.starts_with(&format!("refused: {code};")), "{now}");
}
