//! One id goes with a receipt from its POST to its last push: in the answer, in every line, through queue and mailbox.

use acceptance::connector::{RECEIPTS_PATH, Receipt, Request, Status};
use acceptance::eventually::PATIENCE;
use acceptance::registry_event::{self, of_session};
use acceptance::stamp;
use serde_json::Value;

use crate::fixture::{self, Duo, log_of};

/// Posts `receipt` under a new id, which is returned.
async fn post(duo: &Duo, receipt: &Receipt) -> String {
    let id = format!("correlation-{}", stamp::new_ulid());
    let request = Request::post_receipt(receipt).header("x-request-id", &id);
    let answer = duo.recipient.send(request).await.unwrap();
    assert_eq!((answer.status, answer.header("x-request-id")), (202, Some(id.as_str())));
    id
}

/// Waits for a line of `function` with `message` in which `field` is `value`, and returns its correlation id.
async fn logged(duo: &Duo, function: &str, since_ms: u64, message: &str, field: &str, value: &str) -> String {
    let fits = |line: &Value| line["message"] == message && line[field] == value;
    let line = fixture::logged(&duo.stack, function, since_ms, message, fits).await;
    line["correlation.id"].as_str().unwrap_or_else(|| panic!("no correlation id: {line}")).to_owned()
}

#[tokio::test]
async fn a_receipt_is_followed_from_its_post_to_its_push() {
    let (duo, since_ms) = (Duo::paired().await, stamp::now_ms());
    let mut session = duo.sender.connect().await.unwrap();
    let receipt = duo.receipt(Status::DeadLettered, Some("webhook answered 500"));
    let id = post(&duo, &receipt).await;
    session.next_receipt(PATIENCE).await.unwrap();
    let (posted, pushed) = (&duo.stack.outputs.receipt_function, &duo.stack.outputs.consumer_function);
    let about = receipt.request_id.as_str();
    assert_eq!(logged(&duo, posted, since_ms, "accepted a receipt", "receipt.id", about).await, id);
    assert_eq!(logged(&duo, posted, since_ms, "answered a request", "correlation.id", &id).await, id);
    let offered = "offered a frame to API Gateway";
    assert_eq!(logged(&duo, pushed, since_ms, offered, "receipt.id", about).await, id);
    for function in [posted, pushed] {
        let lines = log_of(&duo.stack, function, since_ms).await.unwrap();
        for line in lines.iter().filter(|line| line["receipt.id"] == about) {
            assert_eq!(line["correlation.id"], id.as_str(), "{line}");
        }
    }
}

/// The mailbox keeps the id: the drain is the connect's doing, and its lines about the receipt are the receipt's.
#[tokio::test]
async fn a_receipt_that_has_waited_is_pushed_under_the_id_of_its_post() {
    let (duo, since_ms) = (Duo::paired().await, stamp::now_ms());
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    let id = post(&duo, &receipt).await;
    let (consumer, about) = (&duo.stack.outputs.consumer_function, receipt.request_id.as_str());
    let waits = "a receipt waits for its sender";
    assert_eq!(logged(&duo, consumer, since_ms, waits, "receipt.id", about).await, id);
    let mut session = duo.sender.connect().await.unwrap();
    session.next_receipt(PATIENCE).await.unwrap();
    let offered = "offered a frame to API Gateway";
    assert_eq!(logged(&duo, consumer, since_ms, offered, "receipt.id", about).await, id);
}

#[tokio::test]
async fn a_refusal_and_a_socket_are_found_by_their_ids() {
    let (duo, since_ms) = (Duo::paired().await, stamp::now_ms());
    let id = format!("correlation-{}", stamp::new_ulid());
    let request = Request::post(RECEIPTS_PATH, "{").header("x-request-id", &id);
    let answer = duo.recipient.send(request).await.unwrap();
    assert_eq!(answer.json["error"]["requestId"], id.as_str());
    let function = &duo.stack.outputs.receipt_function;
    let fits = |line: &Value| line["correlation.id"] == id.as_str() && line["level"] == "WARN";
    let refused = fixture::logged(&duo.stack, function, since_ms, "the refusal's line", fits).await;
    assert_eq!(refused["error.code"], "PROXY_RELAY_RECEIPT_INVALID_INPUT");

    let _session = duo.sender.connect().await.unwrap();
    let authorizer = &duo.stack.outputs.authorizer_function;
    let id = logged(&duo, authorizer, since_ms, "let an agent in", "agent.did", duo.sender.did()).await;
    let connection = &duo.stack.outputs.connection_function;
    let handled = "handled a socket event";
    assert_eq!(logged(&duo, connection, since_ms, handled, "correlation.id", &id).await, id);
}

/// The id goes through the events queue, too.
#[tokio::test]
async fn an_event_is_followed_from_its_post_to_its_end() {
    let (duo, since_ms) = (Duo::strangers().await, stamp::now_ms());
    let service = &duo.stack.internal_service;
    let event = of_session("agent.auth.issued", duo.sender.did()).to_string();
    let posted = registry_event::post(&duo.stack, Some((&service.id, &service.secret)), event).await.unwrap();
    let id = posted.header("x-request-id").unwrap();
    let function = &duo.stack.outputs.registry_events_function;
    for message in ["answered a request", "handled an event"] {
        assert_eq!(logged(&duo, function, since_ms, message, "correlation.id", id).await, id);
    }
}
