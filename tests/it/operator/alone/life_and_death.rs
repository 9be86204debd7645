//! A receipt is followed through failed pushes, death and a redrive, and nobody gets it twice.

use acceptance::admin_api::AdminApi;
use acceptance::connector::Status;
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::fault_proxy::{Fault, FaultProxy, Operation, Refusal};
use serde_json::{Value, json};
use url::Url;

use super::super::{ask, come_in_order, steps};
use crate::fixture::{Duo, and_give_back};

const VARIABLE: &str = "CONNECTIONS_ENDPOINT";
/// As often as the SDK asks in one go.
const ATTEMPTS: usize = 4;

async fn followed(duo: &Duo, request_id: &str, expected: &[&str]) -> Value {
    eventually("the timeline", async || {
        let ended = ask(&duo.stack, &["receipts", "show", "--agent", duo.sender.did(), request_id]).await;
        let shown = if ended.code == 0 { ended.json() } else { return Err(format!("{ended:?}")) };
        come_in_order(&steps(&shown), expected).then(|| shown.clone()).ok_or_else(|| shown.to_string())
    })
    .await
}

#[tokio::test]
async fn a_receipt_that_died_is_redriven_and_delivered_once() {
    let duo = Duo::paired().await;
    let mut session = duo.sender.connect().await.unwrap();
    let (api, consumer) = (AdminApi::of(&duo.stack), &duo.stack.outputs.consumer_function);
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);

    let endpoint = &duo.stack.outputs.connections_endpoint;
    let origin = Url::parse(endpoint).unwrap().origin().ascii_serialization();
    let proxy = FaultProxy::before(&origin).await.unwrap();
    proxy.inject(Operation::PostToConnection, Fault::Refused(Refusal::bare(500)), ATTEMPTS);
    proxy.inject(Operation::PostToConnection, Fault::Refused(Refusal::bare(413)), 1);
    let faulty = endpoint.replace(&origin, proxy.url());
    let before = api.set_variable(consumer, VARIABLE, &faulty).await.unwrap();
    let dying = async {
        assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
        let steps = ["queued", "push_failed", "shown_again", "too_large", "dead"];
        // Whoever looks at dead letters holds them for a moment.
        eventually("the letter that the timeline ends with", async || {
            let dead = followed(&duo, &receipt.request_id, &steps).await;
            if dead["deadLetters"][0].is_object() { Ok(dead) } else { Err(dead.to_string()) }
        })
        .await
    };
    let undo = async { drop(api.set_variable(consumer, VARIABLE, &before).await.unwrap()) };
    let dead = and_give_back(dying, undo).await;
    assert_eq!(dead["deadLetters"][0]["reasonCode"], "frame_too_large");
    assert!(session.receipts().is_empty());

    let of_agent = ["dead-letters", "redrive", "--agent", duo.sender.did()];
    let left = ask(&duo.stack, &of_agent).await;
    let counts = &left.json()["counts"][0];
    assert_eq!((left.code, &counts["done"], &counts["leftAlone"]), (4, &0.into(), &1.into()), "{left:?}");
    let redrive = [&of_agent[..], &["--id", &receipt.request_id]].concat();
    let redriven = ask(&duo.stack, &redrive).await;
    assert_eq!((redriven.code, &redriven.json()["counts"][0]["done"]), (0, &1.into()), "{redriven:?}");
    let received = session.next_receipt(PATIENCE).await.unwrap();
    assert_eq!(received.frame.original_frame_id, receipt.request_id);
    let alive = followed(&duo, &receipt.request_id, &["dead", "redriven", "pushed"]).await;
    assert_eq!(alive["deadLetters"], json!([]));

    // The same letter once more, as if the redrive had died between sending and deleting.
    let letter = json!({
        "type": "delivery_receipt", "requestId": receipt.request_id, "senderAgentDid": duo.sender.did(),
        "recipientAgentDid": duo.recipient.did(), "status": "delivered_to_webhook",
        "processedAt": alive["stored"]["processedAt"],
    });
    duo.stack.receipts_dlq().send(&letter.to_string()).await.unwrap();
    let again = ask(&duo.stack, &redrive).await;
    assert_eq!((again.code, &again.json()["counts"][0]["done"]), (0, &1.into()), "{again:?}");
    followed(&duo, &receipt.request_id, &["pushed", "repeated"]).await;
    assert_eq!(session.receipts().len(), 1);
    assert_eq!(ask(&duo.stack, &redrive).await.code, 3);
}
