//! No log line of a run holds a token, a proof, a body or a secret.
//!
//! nextest runs this last and alone (`.config/nextest.toml`), so that the lines are those of every other test too.

use acceptance::admin_api::AdminApi;
use acceptance::connector::{Connector, RECEIPTS_PATH, Request, SignedRequest, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::leaks::Leaks;
use acceptance::registry_event::{of_session, post};
use acceptance::stack::Stack;
use acceptance::stamp;

use crate::fixture::{Duo, dead_letter};

/// Looks out for all that a caller shows of itself.
fn add_caller(leaks: &mut Leaks, caller: &Connector) {
    let identity = caller.identity();
    leaks.add("a passport", &identity.ait);
    leaks.add("an access token", &identity.access_token);
}

/// Looks out for all that goes with one request.
fn add_request(leaks: &mut Leaks, request: &SignedRequest) {
    for name in ["Authorization", "X-Claw-Agent-Access", "X-Claw-Nonce", "X-Claw-Proof"] {
        let value = request.header(name).unwrap_or_default();
        if value.len() > 20 {
            leaks.add(name, value);
        }
    }
    let body = String::from_utf8(request.body.clone()).unwrap();
    if body.len() > 20 {
        leaks.add("a body", &body);
    }
}

/// A text that occurs nowhere else.
fn marker(leaks: &mut Leaks) -> String {
    let marker = format!("mark-{}", stamp::new_ulid());
    leaks.add("a text of a client", &marker);
    marker
}

/// Requests that are refused, each for another reason, with a marker wherever a text fits.
fn spoiled(duo: &Duo, leaks: &mut Leaks) -> Vec<(Request, u16)> {
    let receipt = duo.receipt(Status::DeadLettered, Some(&marker(leaks)));
    let good = || Request::post_receipt(&receipt);
    let with = |leaks: &mut Leaks, field: &str| {
        let mut body: serde_json::Value = serde_json::from_str(&receipt.rust_body()).unwrap();
        body[field] = marker(leaks).into();
        Request::post(RECEIPTS_PATH, body.to_string())
    };
    let tampered = format!("Claw {}x", duo.recipient.identity().ait);
    vec![
        (Request::post(RECEIPTS_PATH, format!(r#"{{"requestId":"{}"#, marker(leaks))), 400),
        (with(leaks, "requestId"), 400),
        (with(leaks, "senderAgentDid"), 400),
        (with(leaks, "status"), 400),
        (Request::post(RECEIPTS_PATH, marker(leaks).repeat(600)), 413),
        (Request::get(&format!("{RECEIPTS_PATH}?requestId={}", marker(leaks))), 400),
        (good().body_after_signing(marker(leaks)), 401),
        (good().header("Authorization", &tampered), 401),
        (good().header("Authorization", &format!("Claw {}", marker(leaks))), 401),
        (good().header("Authorization", &format!("Bearer {}", marker(leaks))), 401),
        (good().header("X-Claw-Agent-Access", &format!("clw_agt_{}", marker(leaks))), 401),
        (good().header("X-Claw-Proof", &marker(leaks)), 401),
        (good().timestamp(&marker(leaks)), 401),
    ]
}

/// Posts events as the registry does and as nobody may, and queues one that nobody understands.
async fn say_events(duo: &Duo, leaks: &mut Leaks) {
    let service = &duo.stack.internal_service;
    leaks.add("the secret of CloudFront", &duo.stack.origin_secret);
    leaks.add("the secret of the registry", &service.secret);
    let guess = marker(leaks);
    let mut event = of_session("agent.auth.refreshed", duo.sender.did());
    event["data"]["extra"] = marker(leaks).into();
    for (secret, status) in [(service.secret.as_str(), 202), (&guess, 401)] {
        let answer = post(&duo.stack, Some((&service.id, secret)), event.to_string()).await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let mut unknown = of_session("agent.auth.promoted", duo.sender.did());
    unknown["data"]["extra"] = marker(leaks).into();
    duo.stack.events_queue().send(&unknown.to_string()).await.unwrap();
    dead_letter(&duo.stack, &duo.stack.outputs.events_dlq_url, &unknown.to_string()).await;
}

/// Sends a little of everything and says what must not be found.
async fn say_everything(duo: &Duo) -> Leaks {
    let mut leaks = Leaks::default();
    add_caller(&mut leaks, &duo.sender);
    add_caller(&mut leaks, &duo.recipient);
    for (request, status) in spoiled(duo, &mut leaks) {
        let signed = request.sign(duo.recipient.identity());
        add_request(&mut leaks, &signed);
        assert_eq!(duo.recipient.send_signed(&signed).await.unwrap().status, status);
    }
    let no_proof = marker(&mut leaks);
    assert!(duo.sender.connect_with(|request| request.header("X-Claw-Proof", &no_proof)).await.is_err());

    let mut session = duo.sender.connect().await.unwrap();
    for frame in ["enqueue", "deliver_ack", "heartbeat", "nonsense"] {
        let text = serde_json::json!({
            "v": 1, "type": frame, "id": stamp::new_ulid(), "ts": stamp::now_iso(), "ackId": stamp::new_ulid(),
            "accepted": true, "toAgentDid": duo.recipient.did(), "payload": marker(&mut leaks), "reason": marker(&mut leaks),
        });
        session.send_text(text.to_string());
    }
    session.send_text(marker(&mut leaks));
    let receipt = duo.receipt(Status::DeadLettered, Some(&marker(&mut leaks)));
    let signed = Request::post_receipt(&receipt).sign(duo.recipient.identity());
    add_request(&mut leaks, &signed);
    assert_eq!(duo.recipient.send_signed(&signed).await.unwrap().status, 202);
    session.next_receipt(PATIENCE).await.unwrap();
    say_events(duo, &mut leaks).await;
    let junk = marker(&mut leaks);
    duo.stack.receipts_queue().send(&junk).await.unwrap();
    dead_letter(&duo.stack, &duo.stack.outputs.receipts_dlq_url, &junk).await;
    leaks
}

#[tokio::test]
async fn no_line_holds_a_token_a_proof_a_body_or_a_secret() {
    let duo = Duo::paired().await;
    let leaks = say_everything(&duo).await;
    let outputs = &duo.stack.outputs;
    for (function, known) in [
        (&outputs.authorizer_function, "refused a handshake"),
        (&outputs.connection_function, "handled a socket event"),
        (&outputs.receipt_function, "refused a request"),
        (&outputs.consumer_function, "a message went to the dead-letter queue"),
        (&outputs.registry_events_function, "a message went to the dead-letter queue"),
    ] {
        assert_nothing_leaked(&duo.stack, function, known, &leaks).await;
    }
    // What the stack of the other account has to say was caused by other tests.
    let peer = duo.stack.peer.as_ref().expect("`cargo xtask test` starts two stacks");
    for (function, known) in [
        (&peer.outputs.receipt_function, "accepted a receipt"),
        (&peer.outputs.consumer_function, "offered a frame to API Gateway"),
    ] {
        assert_nothing_leaked(peer, function, known, &leaks).await;
    }
}

/// Reads all lines of a function, once one of them contains `known`.
#[expect(clippy::print_stdout, reason = "how much was looked at is worth reading")]
async fn assert_nothing_leaked(stack: &Stack, function: &str, known: &str, leaks: &Leaks) {
    let api = AdminApi::of(stack);
    let lines = eventually(known, async || {
        let lines = api.log_lines(function, 0).await.unwrap();
        let is_there = lines.iter().any(|line| line.contains(known));
        if is_there { Ok(lines) } else { Err(format!("{} lines", lines.len())) }
    });
    let lines = lines.await;
    let leaked: Vec<_> = lines.iter().filter_map(|line| Some((leaks.find(line)?, line))).collect();
    assert!(leaked.is_empty(), "{function}, {} of {} lines: {leaked:#?}", leaked.len(), lines.len());
    println!("{function}: {} lines, nothing in them", lines.len());
}

/// The test above can fail: what it looks for is found where it was put, by the same way of reading.
#[tokio::test]
async fn a_planted_line_is_found() {
    let duo = Duo::strangers().await;
    let mut leaks = Leaks::default();
    add_caller(&mut leaks, &duo.sender);
    let signed = Request::post_receipt(&duo.receipt(Status::DeadLettered, Some("a reason to look for")))
        .sign(duo.recipient.identity());
    add_request(&mut leaks, &signed);
    let identity = duo.sender.identity();
    let (header, _) = identity.ait.split_once('.').unwrap();
    let planted = [
        format!("token {}", identity.ait),
        format!("token {header}"),
        format!("access {}", identity.access_token),
        format!("proof {}", signed.header("X-Claw-Proof").unwrap()),
        serde_json::json!({ "message": String::from_utf8(signed.body.clone()).unwrap() }).to_string(),
    ];
    let (api, function) = (AdminApi::of(&duo.stack), format!("planted-{}", stamp::new_ulid()));
    api.put_log_lines(&function, &planted).await.unwrap();
    let lines = api.log_lines(&function, 0).await.unwrap();
    assert_eq!(lines, planted);
    assert!(lines.iter().all(|line| leaks.find(line).is_some()));
}
