//! No log line of a run holds a token, a proof, a body or a secret.
//!
//! nextest runs this last and alone (`.config/nextest.toml`), so that the lines are those of every other test too.

use std::collections::BTreeSet;

use acceptance::admin_api::AdminApi;
use acceptance::connector::{Connector, RECEIPTS_PATH, Request, SignedRequest, Status};
use acceptance::eventually::PATIENCE;
use acceptance::leaks::Leaks;
use acceptance::registry_event::{of_session, post};
use acceptance::stack::Stack;
use acceptance::stamp;
use serde_json::Value;

use crate::cross_proxy::{paired_apart, post_at, two_stacks};
use crate::fixture::{Duo, arrives, dead_letter, logged_times, says, text};

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
        let mut body: Value = serde_json::from_str(&receipt.rust_body()).unwrap();
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

/// A line, or several like it, with which a function says that it has done something of what was asked of it.
struct Sign {
    function: String,
    /// Of its message.
    words: &'static str,
    /// Of its fields.
    field: Option<(&'static str, String)>,
    times: usize,
}

impl Sign {
    fn of(function: &str, words: &'static str, field: Option<(&'static str, &str)>) -> Self {
        let field = field.map(|(name, value)| (name, value.to_owned()));
        Self { function: function.to_owned(), words, field, times: 1 }
    }

    fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// An invocation's lines are written when it has ended, and all at once. So what went before is there, too.
    async fn is_seen(&self, stack: &Stack, since_ms: u64) {
        let what = format!("{}: {}", self.function, self.words);
        let fits = |line: &Value| {
            let field = self.field.as_ref();
            says(line, self.words) && field.is_none_or(|(name, value)| line[*name] == value.as_str())
        };
        logged_times(self.times, stack, &self.function, since_ms, &what, fits).await;
    }
}

const OFFERED: &str = "offered a frame to API Gateway";
const BURIED: &str = "a message went to the dead-letter queue";

/// Posts events as the registry does and as nobody may, and queues one that nobody understands.
async fn say_events(duo: &Duo, leaks: &mut Leaks) -> Vec<Sign> {
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
    let letter = dead_letter(&duo.stack, &duo.stack.outputs.events_dlq_url, &unknown.to_string()).await;
    let function = &duo.stack.outputs.registry_events_function;
    vec![
        Sign::of(function, "answered a request", None).times(2),
        Sign::of(function, BURIED, Some(("message.id", &text(&letter, "originalMessageId")))),
    ]
}

/// Posts requests and opens a socket, both of them also as nobody may.
async fn say_what_is_refused(duo: &Duo, leaks: &mut Leaks) -> Vec<Sign> {
    let spoiled = spoiled(duo, leaks);
    let refused = spoiled.len();
    for (request, status) in spoiled {
        let signed = request.sign(duo.recipient.identity());
        add_request(leaks, &signed);
        assert_eq!(duo.recipient.send_signed(&signed).await.unwrap().status, status);
    }
    let no_proof = marker(leaks);
    assert!(duo.sender.connect_with(|request| request.header("X-Claw-Proof", &no_proof)).await.is_err());
    vec![
        Sign::of(&duo.stack.outputs.receipt_function, "refused a request", None).times(refused),
        Sign::of(&duo.stack.outputs.authorizer_function, "refused a handshake", None),
    ]
}

/// Says something on a socket, posts a receipt that comes out of it, and queues what nobody understands.
async fn say_receipts(duo: &Duo, leaks: &mut Leaks) -> Vec<Sign> {
    let mut session = duo.sender.connect().await.unwrap();
    for frame in ["enqueue", "deliver_ack", "heartbeat", "nonsense"] {
        let text = serde_json::json!({
            "v": 1, "type": frame, "id": stamp::new_ulid(), "ts": stamp::now_iso(), "ackId": stamp::new_ulid(),
            "accepted": true, "toAgentDid": duo.recipient.did(), "payload": marker(leaks), "reason": marker(leaks),
        });
        session.send_text(text.to_string());
    }
    session.send_text(marker(leaks));
    let receipt = duo.receipt(Status::DeadLettered, Some(&marker(leaks)));
    let signed = Request::post_receipt(&receipt).sign(duo.recipient.identity());
    add_request(leaks, &signed);
    assert_eq!(duo.recipient.send_signed(&signed).await.unwrap().status, 202);
    session.next_receipt(PATIENCE).await.unwrap();
    let junk = marker(leaks);
    duo.stack.receipts_queue().send(&junk).await.unwrap();
    let letter = dead_letter(&duo.stack, &duo.stack.outputs.receipts_dlq_url, &junk).await;
    let outputs = &duo.stack.outputs;
    let about = Some(("receipt.id", receipt.request_id.as_str()));
    let socket =
        |route| Sign::of(&outputs.connection_function, "handled a socket event", Some(("route", route)));
    vec![
        Sign::of(&outputs.authorizer_function, "let an agent in", Some(("agent.did", duo.sender.did()))),
        socket("Enqueue"),
        // Each connector has one of its own, the one that is paired with somebody elsewhere, too.
        socket("Heartbeat").times(3),
        socket("Default").times(3),
        Sign::of(&outputs.receipt_function, "accepted a receipt", about),
        Sign::of(&outputs.consumer_function, OFFERED, about),
        Sign::of(
            &outputs.consumer_function,
            BURIED,
            Some(("message.id", &text(&letter, "originalMessageId"))),
        ),
    ]
}

/// Posts a receipt at `from` to a sender who is at home at `to`. What shows it at the one, and at the other.
async fn say_across(from: &Stack, to: &Stack, leaks: &mut Leaks) -> (Sign, [Sign; 3]) {
    let duo = paired_apart(to, from).await;
    add_caller(leaks, &duo.sender);
    add_caller(leaks, &duo.recipient);
    let mut session = duo.sender.connect().await.unwrap();
    let receipt = duo.receipt(Status::DeadLettered, Some(&marker(leaks)));
    post_at(from, &duo, &receipt).await;
    arrives(&mut session, &receipt).await;
    let about = Some(("receipt.id", receipt.request_id.as_str()));
    let let_in = ("agent.did", duo.sender.did());
    (
        Sign::of(&from.outputs.receipt_function, "accepted a receipt", about),
        [
            Sign::of(&to.outputs.authorizer_function, "let an agent in", Some(let_in)),
            Sign::of(&to.outputs.connection_function, "handled a socket event", None),
            Sign::of(&to.outputs.consumer_function, OFFERED, about),
        ],
    )
}

#[tokio::test]
async fn no_line_holds_a_token_a_proof_a_body_or_a_secret() {
    let since_ms = stamp::now_ms();
    let (duo, (here, there)) = (Duo::paired().await, two_stacks());
    let mut leaks = Leaks::default();
    add_caller(&mut leaks, &duo.sender);
    add_caller(&mut leaks, &duo.recipient);
    let mut ours = say_what_is_refused(&duo, &mut leaks).await;
    ours.extend(say_receipts(&duo, &mut leaks).await);
    ours.extend(say_events(&duo, &mut leaks).await);
    let (accepted_here, offered_there) = say_across(&here, &there, &mut leaks).await;
    let (accepted_there, offered_here) = say_across(&there, &here, &mut leaks).await;
    ours.extend([accepted_here].into_iter().chain(offered_here));
    let theirs = [accepted_there].into_iter().chain(offered_there).collect();
    for (stack, signs) in [(&here, ours), (&there, theirs)] {
        for sign in &signs {
            sign.is_seen(stack, since_ms).await;
        }
        let functions: BTreeSet<_> = signs.iter().map(|sign| &sign.function).collect();
        for function in functions {
            assert_nothing_leaked(stack, function, &leaks).await;
        }
    }
}

/// Reads all lines of a function, other tests' too.
#[expect(clippy::print_stdout, reason = "how much was looked at is worth reading")]
async fn assert_nothing_leaked(stack: &Stack, function: &str, leaks: &Leaks) {
    let lines = AdminApi::of(stack).log_lines(function, 0).await.unwrap();
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
