//! The web page of the local stack, asked as programs ask, and looked at and clicked in a real browser.

mod browser;
mod large_table;
mod looked_at;
mod redrive_faults;

use acceptance::connector::{HttpAnswer, Status, http_client};
use acceptance::eventually::eventually;
use acceptance::stack::{Stack, text_attribute};
use acceptance::stamp;
use local::page::{self, StackDescription};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixture::Duo;

/// Puts a message among the dead letters as the consumer does; its id there.
async fn bury(stack: &Stack, body: &str, correlation_id: &str) -> String {
    let attributes = [
        ("reasonCode", "frame_too_large"),
        ("reason", "buried by a test"),
        ("receiveCount", "1"),
        ("version", "1"),
        ("correlationId", correlation_id),
    ];
    let mut sending =
        stack.sqs().send_message().queue_url(&stack.outputs.receipts_dlq_url).message_body(body);
    for (name, value) in attributes {
        sending = sending.message_attributes(name, text_attribute(value));
    }
    sending.send().await.unwrap().message_id.unwrap()
}

/// Serves the page of another stack: this one, but for some parts. Its URL, which is good until the test ends.
async fn serve(stack: &Stack, parts: &[(&str, &str)], outputs: &[(&str, &str)]) -> String {
    let mut description = json!({
        "awsEndpoint": stack.aws_endpoint, "region": stack.region, "stackName": stack.stack_name,
        "proxyUrl": stack.proxy_url, "registryUrl": stack.registry_url,
        "outputs": {
            "ReceiptsTable": stack.outputs.receipts_table, "ConnectionsTable": stack.outputs.connections_table,
            "TrustTable": stack.outputs.trust_table,
        },
    });
    for (name, value) in parts {
        description[*name] = json!(value);
    }
    for (name, value) in outputs {
        description["outputs"][*name] = json!(value);
    }
    let description: StackDescription = serde_json::from_value(description).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = page::router(&description, port);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://127.0.0.1:{port}")
}

async fn overview(stack: &Stack, find: &str) -> Value {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("find", find).finish();
    let answer = http_client().get(format!("{}/api/overview?{query}", stack.page_url)).send().await;
    let answer = HttpAnswer::read(answer).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json
}

/// The dead letters that `find` finds.
async fn dead_letters(stack: &Stack, find: &str) -> Vec<Value> {
    overview(stack, find).await["deadLetters"]["shown"].as_array().unwrap().clone()
}

/// Asks for a redrive with these headers; its answer.
async fn redrive(stack: &Stack, letter: &str, headers: &[(&str, &str)]) -> HttpAnswer {
    let url = format!("{}/api/dead-letters/{letter}/redrive", stack.page_url);
    let request =
        headers.iter().fold(http_client().post(url), |request, (name, value)| request.header(*name, *value));
    HttpAnswer::read(request.send().await).await.unwrap()
}

#[tokio::test]
async fn only_the_page_itself_can_redrive() {
    let stack = Stack::running();
    let correlation_id = format!("page-{}", stamp::new_ulid());
    let body = format!("no receipt {correlation_id}");
    let letter = format!("receipts/{}", bury(&stack, &body, &correlation_id).await);

    let origin = stack.page_url.as_str();
    let (own, mark) = (("Origin", origin), ("X-Local-Page", "redrive"));
    let foreign = ("Origin", "http://foreign.example");
    for headers in [&[][..], &[own], &[mark], &[foreign, mark], &[("Origin", "null"), mark]] {
        let refused = redrive(&stack, &letter, headers).await;
        assert_eq!((refused.status, refused.error_code()), (403, Some("FOREIGN_ORIGIN")), "{headers:?}");
    }
    let rebound = http_client().get(format!("{origin}/api/overview")).header("Host", "rebound.example");
    assert_eq!(rebound.send().await.unwrap().status(), 403);
    assert_eq!(dead_letters(&stack, &correlation_id).await.len(), 1, "nothing has touched it");

    let none = redrive(&stack, "nowhere/x", &[own, mark]).await;
    assert_eq!((none.status, none.error_code()), (404, Some("UNKNOWN_QUEUE")));
    let gone = redrive(&stack, "receipts/x", &[own, mark]).await;
    assert_eq!((gone.status, gone.error_code()), (409, Some("LETTER_NOT_FOUND")));

    // Another test may look through the same queue at this moment.
    let redriven = eventually("the redrive", async || {
        let answer = redrive(&stack, &letter, &[own, mark]).await;
        if answer.status == 200 { Ok(answer.json) } else { Err(answer.body) }
    })
    .await;
    assert!(!redriven["messageId"].as_str().unwrap().is_empty());
    // No receipt still, it is buried again: with the body, the version and the correlation id that it had.
    let buried = eventually("the letter's return", async || {
        let letters = dead_letters(&stack, &correlation_id).await;
        let again = letters.iter().find(|letter| letter["reasonCode"] == "not_json").cloned();
        again.ok_or_else(|| format!("{letters:?}"))
    })
    .await;
    assert_eq!((&buried["body"], &buried["version"]), (&json!(body), &json!("1")));
    assert_eq!(dead_letters(&stack, &correlation_id).await.len(), 1, "it was moved, not copied");

    let url = format!("{origin}/api/trace/{correlation_id}");
    let told = eventually("the consumer's line about it", async || {
        let answer = HttpAnswer::read(http_client().get(&url).send().await).await.unwrap();
        let lines = answer.json.as_array().cloned().unwrap_or_default();
        lines.into_iter().find(|line| line["service"] == "consumer").ok_or(answer.body)
    })
    .await;
    assert_eq!(told["correlationId"], correlation_id.as_str());
}

#[tokio::test]
async fn everything_loads_from_the_page_itself_and_tells_no_secret() {
    let stack = Stack::running();
    let duo = Duo::paired().await;
    let page = http_client().get(&stack.page_url).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(!html.contains("://"), "something is loaded from elsewhere");

    let shown = overview(&stack, duo.sender.did()).await;
    let agent = &shown["agents"]["shown"][0];
    assert_eq!((&agent["name"], &agent["did"]), (&json!("sender"), &json!(duo.sender.did())));
    let text = overview(&stack, "").await.to_string();
    for secret in ["clw_agt_", "eyJ", "accessToken"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_receipt_is_shown_where_it_is() {
    let duo = Duo::paired().await;
    let receipt = duo.receipt(Status::DeadLettered, Some("<b>gave up</b>"));
    assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
    let stage = async |stage: &str| {
        eventually(stage, async || {
            let shown = overview(&duo.stack, duo.sender.did()).await;
            let found = shown["receipts"]["shown"].as_array().unwrap().clone();
            let found = found.into_iter().find(|found| found["requestId"] == receipt.request_id.as_str());
            match found {
                Some(found) if found["stage"] == stage => Ok((found, shown["agents"]["shown"].clone())),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    };
    let (waiting, agents) = stage("waiting").await;
    assert_eq!((&waiting["status"], &waiting["reason"]), (&json!("dead_lettered"), &json!("<b>gave up</b>")));
    let away = agents.as_array().unwrap().iter().find(|agent| agent["did"] == duo.sender.did()).unwrap();
    assert_eq!((&away["waiting"], away.get("socket")), (&json!(1), None));

    let _session = duo.sender.connect().await.unwrap();
    let (pushed, agents) = stage("pushed").await;
    assert!(pushed["pushedAtMs"].as_u64() >= pushed["acceptedAtMs"].as_u64());
    assert!(agents[0]["socket"]["connectionId"].is_string(), "{agents}");
    assert_eq!(agents[0]["waiting"], 0);
}
