//! Whatever a stranger sends gets a clear error and touches nothing else.

use acceptance::admin_api::{AdminApi, Invoked};
use acceptance::connector::{HttpAnswer, RECEIPTS_PATH, Receipt, Request, Status, http_client};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::stamp;
use serde_json::{Value, json};

use crate::fixture::{Duo, forged};

async fn refused(duo: &Duo, request: Request, status: u16, code: &str) {
    let answer = duo.recipient.send(request).await.unwrap();
    assert_eq!((answer.status, answer.error_code()), (status, Some(code)), "{}", answer.body);
    assert_envelope(&answer);
}

fn assert_envelope(answer: &HttpAnswer) {
    let error = &answer.json["error"];
    assert!(!error["message"].as_str().unwrap().is_empty());
    assert_eq!(error["requestId"].as_str(), answer.header("x-request-id"));
}

/// The next good request works, whatever came before it.
async fn still_works(duo: &Duo) {
    let mut session = duo.sender.connect().await.unwrap();
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
    assert_eq!(session.next_receipt(PATIENCE).await.unwrap().frame.original_frame_id, receipt.request_id);
    assert_eq!(session.receipts().len(), 1, "nothing that was refused may arrive");
}

#[tokio::test]
async fn requests_that_prove_nothing_are_refused() {
    let duo = Duo::paired().await;
    let post = || Request::post_receipt(&duo.receipt(Status::DeliveredToWebhook, None));
    let other =
        Request::post_receipt(&duo.receipt(Status::DeadLettered, None)).sign(duo.recipient.identity());
    refused(&duo, post().without_header("Authorization"), 401, "PROXY_AUTH_MISSING_TOKEN").await;
    refused(&duo, post().scheme("Bearer"), 401, "PROXY_AUTH_INVALID_SCHEME").await;
    refused(&duo, post().header("Authorization", "Claw x.y.z"), 401, "PROXY_AUTH_INVALID_AIT").await;
    refused(
        &duo,
        post().header("Authorization", &forged(duo.recipient.identity())),
        401,
        "PROXY_AUTH_INVALID_AIT",
    )
    .await;
    refused(&duo, post().timestamp("soon"), 401, "PROXY_AUTH_INVALID_TIMESTAMP").await;
    let old = (stamp::now_s() - 301).to_string();
    refused(&duo, post().timestamp(&old), 401, "PROXY_AUTH_TIMESTAMP_SKEW").await;
    refused(&duo, post().without_header("X-Claw-Nonce"), 401, "PROXY_AUTH_INVALID_NONCE").await;
    refused(&duo, post().without_header("X-Claw-Proof"), 401, "PROXY_AUTH_INVALID_PROOF").await;
    refused(&duo, post().body_after_signing(other.body), 401, "PROXY_AUTH_INVALID_PROOF").await;
    refused(&duo, post().signed_path("/prod/v1/relay/delivery-receipts"), 401, "PROXY_AUTH_INVALID_PROOF")
        .await;
    refused(&duo, post().without_header("X-Claw-Agent-Access"), 401, "PROXY_AGENT_ACCESS_REQUIRED").await;
    refused(&duo, post().header("X-Claw-Agent-Access", "clw_agt_x"), 401, "PROXY_AGENT_ACCESS_INVALID").await;
    let long = "x".repeat(10_000);
    refused(&duo, post().header("Authorization", &format!("Claw {long}")), 401, "PROXY_AUTH_INVALID_SCHEME")
        .await;
    refused(&duo, post().header("X-Claw-Proof", &long), 401, "PROXY_AUTH_INVALID_PROOF").await;
    let long_nonce = duo.recipient.send(post().nonce(&long)).await.unwrap();
    assert_eq!(long_nonce.status, 202, "a nonce of any length is remembered by its hash");
    still_works_after(&duo, 1).await;
}

async fn still_works_after(duo: &Duo, accepted: usize) {
    let mut session = duo.sender.connect().await.unwrap();
    for _ in 0..accepted {
        session.next_receipt(PATIENCE).await.unwrap();
    }
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
    assert_eq!(session.next_receipt(PATIENCE).await.unwrap().frame.original_frame_id, receipt.request_id);
}

#[tokio::test]
async fn a_replay_is_refused_by_every_instance() {
    let duo = Duo::paired().await;
    let signed =
        Request::post_receipt(&duo.receipt(Status::DeliveredToWebhook, None)).sign(duo.recipient.identity());
    assert_eq!(duo.recipient.send_signed(&signed).await.unwrap().status, 202);
    // Sixteen at once need as many instances, most of which have never seen the nonce.
    let replays = (0..16).map(|_| duo.recipient.send_signed(&signed));
    for answer in futures_util::future::join_all(replays).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.error_code()), (401, Some("PROXY_AUTH_REPLAY")));
    }
}

#[tokio::test]
async fn bodies_that_are_no_receipts_are_refused() {
    let duo = Duo::paired().await;
    let good = duo.receipt(Status::DeliveredToWebhook, None);
    let post = |body: Vec<u8>| Request::post(RECEIPTS_PATH, body);
    let invalid = "PROXY_RELAY_RECEIPT_INVALID_INPUT";
    for body in ["", "null", "[]", "{\"requestId\":", "\"x\"", "{}"] {
        refused(&duo, post(body.into()), 400, invalid).await;
    }
    // Under a text type the gateway may have replaced what is no UTF-8, and then the proof does not hold either.
    let no_text = duo.recipient.send(post(vec![0xff, 0xfe, 0x00, 0x80])).await.unwrap();
    assert!(matches!(no_text.status, 400 | 401), "{}", no_text.body);
    let binary = post(vec![0xff, 0x00]).header("Content-Type", "application/octet-stream");
    refused(&duo, binary, 400, invalid).await;
    let odd_id = Receipt { request_id: "not-a-ulid".into(), ..good.clone() };
    refused(&duo, post(odd_id.rust_body().into()), 400, invalid).await;
    let odd_did = Receipt { sender_agent_did: "did:web:x".into(), ..good.clone() };
    refused(&duo, post(odd_did.rust_body().into()), 400, invalid).await;
    refused(&duo, post(vec![b' '; 16 * 1024 + 1]), 413, "PROXY_RELAY_RECEIPT_TOO_LARGE").await;
    refused(&duo, post(vec![b'x'; 1024 * 1024]), 413, "PROXY_RELAY_RECEIPT_TOO_LARGE").await;
    let turned = Receipt {
        sender_agent_did: good.recipient_agent_did.clone(),
        recipient_agent_did: good.sender_agent_did.clone(),
        ..good
    };
    refused(&duo, Request::post_receipt(&turned), 403, "PROXY_RELAY_RECEIPT_FORBIDDEN").await;
    refused(&duo, Request::get(RECEIPTS_PATH), 400, "PROXY_RELAY_RECEIPT_INVALID_QUERY").await;
    still_works(&duo).await;
}

#[tokio::test]
async fn agents_that_are_not_paired_are_refused() {
    let duo = Duo::strangers().await;
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    refused(&duo, Request::post_receipt(&receipt), 403, "PROXY_AUTH_FORBIDDEN").await;
    let third = Duo::paired().await;
    duo.stack.pair(duo.recipient.did(), third.recipient.did()).await.unwrap();
    refused(&duo, Request::post_receipt(&receipt), 403, "PROXY_AUTH_FORBIDDEN").await;
    let look_up = Request::get_receipt(&receipt.request_id, duo.sender.did());
    refused(&duo, look_up, 403, "PROXY_AUTH_FORBIDDEN").await;
}

#[tokio::test]
async fn a_revoked_agent_is_refused_everywhere() {
    let duo = Duo::paired().await;
    duo.stack.revoke(duo.recipient.did()).await.unwrap();
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    refused(&duo, Request::post_receipt(&receipt), 401, "PROXY_AUTH_REVOKED").await;
    let look_up = Request::get_receipt(&receipt.request_id, duo.sender.did());
    refused(&duo, look_up, 401, "PROXY_AUTH_REVOKED").await;
}

#[tokio::test]
async fn odd_requests_fail_no_invocation() {
    let since_ms = stamp::now_ms();
    let duo = Duo::paired().await;
    let base = &duo.stack.proxy_url;
    let unknown = http_client().get(format!("{base}/v1/nowhere")).send().await.unwrap();
    assert_eq!(unknown.status().as_u16(), 404);
    let health = http_client().get(format!("{base}/health")).send().await.unwrap();
    assert_eq!(health.status().as_u16(), 200);
    let odd_query =
        http_client().get(format!("{base}{RECEIPTS_PATH}?a=%00%ff&b=%22%3C%3E")).send().await.unwrap();
    assert_eq!(odd_query.status().as_u16(), 401);
    // What no HTTP client sends but an event may hold.
    let api = AdminApi::of(&duo.stack);
    for event in [
        json!({}),
        json!({ "rawPath": RECEIPTS_PATH, "requestContext": { "http": { "method": "POST" } } }),
        json!({ "rawPath": "//[::", "rawQueryString": "a=<\">", "headers": { "host": "[", "x": "\u{e9}\u{0}" },
                "requestContext": { "http": { "method": "GET" } } }),
        json!({ "rawPath": RECEIPTS_PATH, "body": "?", "isBase64Encoded": true,
                "headers": { "authorization": "Claw \u{e9}" }, "requestContext": { "http": { "method": "POST" } } }),
    ] {
        let answer = api.invoke(&duo.stack.outputs.receipt_function, &event).await.unwrap();
        assert!(matches!(answer, Invoked::Answered(_)), "{event}: {answer:?}");
    }
    let route = |route: &str| json!({ "requestContext": { "routeKey": route } });
    for event in [json!({}), route("$connect"), route("$disconnect"), route("heartbeat"), route("odd")] {
        let answer = api.invoke(&duo.stack.outputs.connection_function, &event).await.unwrap();
        assert!(matches!(answer, Invoked::Answered(_)), "{event}: {answer:?}");
    }
    for odd in ["Claw", "Claw \u{e9}", "Claw a.b.c", "Claw ..", "\""] {
        let refused = duo.sender.connect_with(|request| request.header("Authorization", odd)).await;
        assert_eq!(refused.err().and_then(|error| error.status()), Some(401), "{odd}");
    }
    still_works(&duo).await;

    let outputs = &duo.stack.outputs;
    for function in [&outputs.receipt_function, &outputs.connection_function, &outputs.consumer_function] {
        assert_eq!(failures(&api, function, since_ms).await, Vec::<String>::new(), "{function}");
    }
    // The only way for an authorizer to answer 401 is to fail with this word.
    let refusals = failures(&api, &outputs.authorizer_function, since_ms).await;
    assert!(!refusals.is_empty());
    for line in refusals {
        let message = serde_json::from_str::<Value>(&line).map(|line| line["message"].clone());
        assert_eq!(message.ok(), Some(json!("Unauthorized")), "{line}");
    }
}

/// What a function has logged of errors and panics since `since_ms`, once all its invocations until now are in the log.
async fn failures(api: &AdminApi, function: &str, since_ms: u64) -> Vec<String> {
    let lines = eventually("a log that is complete", async || {
        let lines = api.log_lines(function, since_ms).await.map_err(|problem| problem.to_string())?;
        let count = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
        let (begun, ended) = (count("START "), count("REPORT "));
        if begun > 0 && begun == ended { Ok(lines) } else { Err(format!("{begun} begun, {ended} ended")) }
    })
    .await;
    let is_failure = |line: &String| {
        line.contains("panicked") || line.contains("Task timed out") || line.contains("\"level\":\"ERROR\"")
    };
    lines.into_iter().filter(is_failure).collect()
}
