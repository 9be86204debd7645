//! Receipts between two stacks in two accounts, and what else somebody with a peer's account could send.

use acceptance::admin_api::{AdminApi, Invoked};
use acceptance::connector::{Connector, RECEIPTS_PATH, Receipt, Request, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::load::QueuedReceipt;
use acceptance::stack::{Stack, text_attribute};
use acceptance::stamp;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::MessageAttributeValue;
use backbone::front_door::ORIGIN_HEADER;
use backbone::timestamp::to_iso;
use serde_json::{Value, json};

use crate::fixture::{
    Duo, arrives, connection_row, dead_letter, dead_letter_about, http_event, logged, text,
};

/// An account that is nobody's peer.
const STRANGER: &str = "333333333333";

/// The stack that all tests use, and its peer.
pub(crate) fn two_stacks() -> (Stack, Stack) {
    let stack = Stack::running();
    let peer = stack.peer.clone().expect("`cargo xtask test` starts two stacks");
    (stack, *peer)
}

/// A new sender at home at the one stack and a new recipient at the other, paired at both.
pub(crate) async fn paired_apart(sender_home: &Stack, recipient_home: &Stack) -> Duo {
    let duo = Duo::apart(sender_home, recipient_home).await;
    for stack in [sender_home, recipient_home] {
        pair(stack, &duo, &sender_home.proxy_url, &recipient_home.proxy_url).await;
    }
    duo
}

async fn pair(at: &Stack, duo: &Duo, sender_home: &str, recipient_home: &str) {
    at.pair_at_homes((duo.sender.did(), sender_home), (duo.recipient.did(), recipient_home)).await.unwrap();
}

/// What a request to the proxy `at` is answered: status and body.
///
/// The local API Gateway has HTTP APIs of its own account only. In the other one the deployed function is invoked with
/// what API Gateway would hand it; sockets are the same in both.
async fn ask(at: &Stack, connector: &Connector, request: Request) -> (u64, Value) {
    if at.peer.is_some() {
        let answer = connector.send(request).await.unwrap();
        return (answer.status.into(), answer.json);
    }
    let mut event = http_event(&request.sign(connector.identity()));
    event["headers"][ORIGIN_HEADER] = at.origin_secret.as_str().into();
    let answer = AdminApi::of(at).invoke(&at.outputs.receipt_function, &event).await.unwrap();
    let Invoked::Answered(answer) = answer else { panic!("{answer:?}") };
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

/// The recipient posts at its own proxy.
pub(crate) async fn post_at(at: &Stack, duo: &Duo, receipt: &Receipt) {
    let answer = ask(at, &duo.recipient, Request::post_receipt(receipt)).await;
    assert_eq!(answer, (202, json!({ "accepted": true })));
}

#[tokio::test]
async fn a_receipt_arrives_once_at_its_senders_home_in_either_direction() {
    let (here, there) = two_stacks();
    for (sender_home, recipient_home) in [(&here, &there), (&there, &here)] {
        let duo = paired_apart(sender_home, recipient_home).await;
        let mut session = duo.sender.connect().await.unwrap();
        let first = duo.receipt(Status::DeadLettered, Some("webhook answered 500"));
        post_at(recipient_home, &duo, &first).await;
        arrives(&mut session, &first).await;
        look_up(sender_home, &duo, &first).await;
        post_at(recipient_home, &duo, &first).await;
        let second = duo.receipt(Status::DeliveredToWebhook, None);
        post_at(recipient_home, &duo, &second).await;
        arrives(&mut session, &second).await;
        peer_queue(sender_home).drained().await.unwrap();
        assert_eq!(session.receipts().len(), 2, "the repetition is silent");
        assert!(session.frames().iter().all(|frame| frame.rust.is_ok() && frame.typescript.is_ok()));
    }
}

/// Waits for the receipt's row at its sender's home.
async fn look_up(at: &Stack, duo: &Duo, receipt: &Receipt) {
    let found = eventually("the receipt's row", async || {
        let request = Request::get_receipt(&receipt.request_id, duo.recipient.did());
        let (status, body) = ask(at, &duo.sender, request).await;
        if status == 200 { Ok(body) } else { Err(body.to_string()) }
    })
    .await;
    assert_eq!(found["receipt"]["state"], receipt.status.name());
}

#[tokio::test]
async fn a_receipt_waits_at_its_senders_home() {
    let (here, there) = two_stacks();
    let duo = paired_apart(&here, &there).await;
    let waiting = duo.receipt(Status::DeliveredToWebhook, None);
    post_at(&there, &duo, &waiting).await;
    look_up(&here, &duo, &waiting).await;
    let mut session = duo.sender.connect().await.unwrap();
    arrives(&mut session, &waiting).await;
}

#[tokio::test]
async fn what_the_recipient_says_of_a_home_counts_only_where_the_pair_says_nothing() {
    let (here, there) = two_stacks();
    let duo = Duo::apart(&here, &there).await;
    there.pair(duo.sender.did(), duo.recipient.did()).await.unwrap();
    pair(&here, &duo, &here.proxy_url, &there.proxy_url).await;
    let mut session = duo.sender.connect().await.unwrap();
    let with_home = |receipt: &Receipt, home: &str| {
        let mut body: Value = serde_json::from_str(&receipt.rust_body()).unwrap();
        body["senderProxyUrl"] = json!(home);
        Request::post(RECEIPTS_PATH, body.to_string())
    };
    let named = duo.receipt(Status::DeliveredToWebhook, None);
    let (status, _) = ask(&there, &duo.recipient, with_home(&named, &here.proxy_url)).await;
    assert_eq!(status, 202);
    arrives(&mut session, &named).await;
    let (status, body) = ask(&there, &duo.recipient, with_home(&named, "nowhere")).await;
    assert_eq!(status, 400);
    assert_eq!(body["error"]["code"], "PROXY_RELAY_RECEIPT_INVALID_INPUT");
    assert_eq!(body["error"]["details"]["field"], "senderProxyUrl");

    pair(&there, &duo, &here.proxy_url, &there.proxy_url).await;
    let contradicted = duo.receipt(Status::DeliveredToWebhook, None);
    let astray = with_home(&contradicted, "https://elsewhere.example.com");
    assert_eq!(ask(&there, &duo.recipient, astray).await.0, 202);
    arrives(&mut session, &contradicted).await;
}

#[tokio::test]
async fn a_receipt_for_an_unknown_home_is_accepted_and_kept() {
    let (here, _) = two_stacks();
    let duo = Duo::apart(&here, &here).await;
    let since_ms = stamp::now_ms();
    pair(&here, &duo, "https://elsewhere.example.com", &here.proxy_url).await;
    let receipt = duo.receipt(Status::DeadLettered, Some("gave up"));
    post_at(&here, &duo, &receipt).await;
    let letter = dead_letter_about(&here, &here.outputs.receipts_dlq_url, &receipt.request_id).await;
    assert_eq!(text(&letter, "reasonCode"), "unknown_origin");
    assert!(text(&letter, "reason").contains("https://elsewhere.example.com"));
    assert_eq!(
        (text(&letter, "version").as_str(), text(&letter, "originProxy")),
        ("1", here.proxy_url.clone())
    );
    let body: Value = serde_json::from_str(letter.body().unwrap()).unwrap();
    assert_eq!(body["type"], "delivery_receipt");
    assert_eq!(body["senderAgentDid"], duo.sender.did());
    counted(&here, &here.outputs.receipt_function, "UnknownOrigin", since_ms).await;
}

#[tokio::test]
async fn what_a_peer_may_not_say_is_kept_and_touches_nothing() {
    let (here, there) = two_stacks();
    let since_ms = stamp::now_ms();
    let duo = paired_apart(&here, &there).await;
    let mut session = duo.sender.connect().await.unwrap();
    let elsewhere = "https://elsewhere.example.com";
    let strangers = Duo::apart(&here, &there).await;
    let ours = Duo::apart(&here, &here).await;
    pair(&here, &ours, &here.proxy_url, &here.proxy_url).await;
    let circle = Duo::apart(&there, &there).await;
    pair(&here, &circle, &there.proxy_url, &there.proxy_url).await;

    let forged = |duo: &Duo| duo.receipt(Status::DeadLettered, Some("forged"));
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    // Believed, it would cut the socket that is open now.
    let row = connection_row(&here, duo.sender.did()).await.unwrap();
    let connected_at_ms = row["connectedAt"].as_n().unwrap().parse().unwrap();
    let close = json!({ "type": "close", "agentDid": duo.sender.did(),
        "connectionId": row["connectionId"].as_s().unwrap(), "connectedAt": to_iso(connected_at_ms) });
    let future = QueuedReceipt::accepted_at(&forged(&duo), "2125-01-01T00:00:00.000Z").body();
    for (reason, origin, body) in [
        ("peer_not_paired", Some(there.proxy_url.as_str()), now(&forged(&strangers))),
        ("peer_foreign_home", Some(there.proxy_url.as_str()), now(&forged(&ours))),
        ("peer_loop", Some(there.proxy_url.as_str()), now(&forged(&circle))),
        ("peer_unknown", Some(elsewhere), now(&forged(&duo))),
        ("peer_unknown", None, now(&forged(&duo))),
        ("peer_time", Some(there.proxy_url.as_str()), future),
        ("peer_type", Some(there.proxy_url.as_str()), close.to_string()),
        ("not_json", Some(there.proxy_url.as_str()), format!("no receipt {}", stamp::new_ulid())),
    ] {
        as_peer(&here, &there.access_key, &body, origin).send().await.unwrap();
        let letter = dead_letter(&here, &here.outputs.peer_dlq_url, &body).await;
        assert_eq!(text(&letter, "reasonCode"), reason);
        assert_eq!(letter.body(), Some(body.as_str()), "a redrive is a plain move");
        let kept = letter.message_attributes().unwrap().get("originProxy");
        assert_eq!(kept.and_then(MessageAttributeValue::string_value), origin);
    }
    let genuine = duo.receipt(Status::DeliveredToWebhook, None);
    post_at(&there, &duo, &genuine).await;
    arrives(&mut session, &genuine).await;
    assert_eq!(session.receipts().len(), 1, "nothing that was forged may arrive");
    session.answers(PATIENCE).await.unwrap();
    assert_eq!(session.end(), None, "nothing that was forged may close a socket");
    counted(&here, &here.outputs.consumer_function, "PeerRefused", since_ms).await;
}

#[tokio::test]
async fn the_peer_queue_is_open_to_peers_and_to_nothing_but_sending() {
    let (here, there) = two_stacks();
    let duo = paired_apart(&here, &there).await;
    let body = now(&duo.receipt(Status::DeliveredToWebhook, None));
    let refused = as_peer(&here, STRANGER, &body, Some(&there.proxy_url)).send().await.unwrap_err();
    assert_eq!(refused.into_service_error().meta().code(), Some("AccessDenied"));
    let peers_view = here.seen_by(&there.access_key).sqs();
    let received = peers_view.receive_message().queue_url(&here.outputs.peer_queue_url).send().await;
    assert_eq!(received.unwrap_err().into_service_error().meta().code(), Some("AccessDenied"));
    for queue_url in
        [&here.outputs.receipts_queue_url, &here.outputs.receipts_dlq_url, &here.outputs.peer_dlq_url]
    {
        let sent = peers_view.send_message().queue_url(queue_url).message_body(&body).send().await;
        assert_eq!(sent.unwrap_err().into_service_error().meta().code(), Some("AccessDenied"), "{queue_url}");
    }
}

/// A message to the peer queue of `stack`, from whoever has `access_key`.
fn as_peer(stack: &Stack, access_key: &str, body: &str, origin: Option<&str>) -> SendMessageFluentBuilder {
    let sending = stack
        .seen_by(access_key)
        .sqs()
        .send_message()
        .queue_url(&stack.outputs.peer_queue_url)
        .message_body(body)
        .message_attributes("version", text_attribute("1"));
    match origin {
        Some(origin) => sending.message_attributes("originProxy", text_attribute(origin)),
        None => sending,
    }
}

/// The queue message of a receipt accepted now.
fn now(receipt: &Receipt) -> String {
    QueuedReceipt::accepted_now(receipt).body()
}

fn peer_queue(stack: &Stack) -> acceptance::stack::Queue {
    acceptance::stack::Queue::new(stack.sqs(), &stack.outputs.peer_queue_url)
}

/// Waits until a function has counted a metric.
async fn counted(stack: &Stack, function: &str, metric: &str, since_ms: u64) {
    let is_count = |line: &Value| line["_aws"].is_object() && line[metric].is_number();
    logged(stack, function, since_ms, metric, is_count).await;
}
