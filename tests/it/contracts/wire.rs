//! Real answers of the running stack against the contract files.

use acceptance::connector::{HttpAnswer, RECEIPTS_PATH, Request, Status, http_client};
use acceptance::eventually::eventually;
use acceptance::stack::text_attribute;
use acceptance::stamp;
use serde_json::Value;

use super::document::{Document, keys};
use crate::fixture::{Duo, dead_letter, text};

/// Checks an answer against what `operation` is documented to answer, and that it carries `request_id`.
fn check(operation: &str, answer: &HttpAnswer, status: u16, request_id: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("x-request-id"), Some(request_id));
    let openapi = Document::openapi();
    let (method, path) = operation.split_once(' ').unwrap();
    let responses = openapi.get(openapi.get(openapi.at("/paths"), path), method);
    let response = openapi.get(openapi.get(responses, "responses"), &status.to_string());
    let schema = openapi.resolve(&response["content"]["application/json"]["schema"]);
    openapi.check(schema, &answer.json).unwrap();
    if answer.error_code().is_none() {
        assert_eq!(keys(&answer.json), openapi.properties(schema), "{operation} {status}");
    }
}

#[tokio::test]
async fn answers_are_as_documented() {
    let duo = Duo::paired().await;
    let (post, get) = ("post /v1/relay/delivery-receipts", "get /v1/relay/delivery-receipts");
    let receipt = duo.receipt(Status::DeadLettered, Some("webhook answered 500"));
    let sent = async |request: Request, by_sender: bool| {
        let id = format!("contract-{}", stamp::new_ulid());
        let caller = if by_sender { &duo.sender } else { &duo.recipient };
        (caller.send(request.header("x-request-id", &id)).await.unwrap(), id)
    };
    for (request, status) in [
        (Request::post_receipt(&receipt), 202),
        (Request::post(RECEIPTS_PATH, "{"), 400),
        (Request::post_receipt(&receipt).without_header("Authorization"), 401),
        (Request::post_receipt(&receipt).timestamp("7"), 401),
        (Request::post(RECEIPTS_PATH, "x".repeat(20_000)), 413),
    ] {
        let (answer, id) = sent(request, false).await;
        check(post, &answer, status, &id);
    }
    let (answer, id) = sent(Request::post_receipt(&receipt), true).await;
    check(post, &answer, 403, &id);
    let (answer, id) = sent(Request::get(RECEIPTS_PATH), true).await;
    check(get, &answer, 400, &id);
    let (answer, id) = sent(Request::get_receipt(&stamp::new_ulid(), duo.recipient.did()), true).await;
    check(get, &answer, 404, &id);
    let stranger = Duo::strangers().await;
    let asked = Request::get_receipt(&receipt.request_id, duo.recipient.did()).header("x-request-id", &id);
    check(get, &stranger.sender.send(asked).await.unwrap(), 403, &id);

    let found = eventually("the receipt's row", async || {
        let (answer, id) = sent(Request::get_receipt(&receipt.request_id, duo.recipient.did()), true).await;
        if answer.status == 200 { Ok((answer, id)) } else { Err(answer.body) }
    });
    let (answer, id) = found.await;
    check(get, &answer, 200, &id);
    let of_receipt = Document::openapi().properties(Document::openapi().at("/components/schemas/Receipt"));
    assert_eq!(keys(&answer.json["receipt"]), of_receipt);

    let url = format!("{}/health", duo.stack.http_api_url);
    let asked = http_client().get(url).header("x-request-id", &id).send().await.unwrap();
    assert_eq!(asked.headers()["x-request-id"], id.as_str());
    let (openapi, body) = (Document::openapi(), asked.bytes().await.unwrap());
    let body: Value = serde_json::from_slice(&body).unwrap();
    openapi.check(openapi.at("/components/schemas/Health"), &body).unwrap();
}

#[tokio::test]
async fn a_dead_letter_is_as_documented_and_keeps_its_correlation_id() {
    let duo = Duo::paired().await;
    let (body, id) = (format!("no receipt {}", stamp::new_ulid()), format!("contract-{}", stamp::new_ulid()));
    duo.stack
        .sqs()
        .send_message()
        .queue_url(&duo.stack.outputs.receipts_queue_url)
        .message_body(&body)
        .message_attributes("version", text_attribute("9"))
        .message_attributes("correlationId", text_attribute(&id))
        .message_attributes("originProxy", text_attribute("https://peer.example"))
        .send()
        .await
        .unwrap();
    let letter = dead_letter(&duo.stack, &duo.stack.outputs.receipts_dlq_url, &body).await;
    let names = letter.message_attributes().unwrap().keys();
    let attributes: Value = names.map(|name| (name.clone(), Value::from(text(&letter, name)))).collect();
    let asyncapi = Document::asyncapi();
    let schema = asyncapi.at("/components/schemas/DeadLetterAttributes");
    asyncapi.check(schema, &attributes).unwrap();
    assert_eq!(keys(&attributes), asyncapi.properties(schema));
    assert_eq!((&attributes["version"], &attributes["reasonCode"]), (&"9".into(), &"unknown_version".into()));
    assert_eq!(attributes["correlationId"], id.as_str());
}
