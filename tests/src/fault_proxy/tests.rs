use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;

use super::*;

/// A proxy in front of a server that answers with the target it was asked for.
async fn proxy() -> FaultProxy {
    let echo = async |headers: HeaderMap| headers["x-amz-target"].to_str().unwrap().to_owned();
    let router = Router::new().route("/", post(echo));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    FaultProxy::before(&endpoint).await.unwrap()
}

async fn put_item(proxy: &FaultProxy, body: &'static str) -> reqwest::Result<(u16, String)> {
    let target = ("x-amz-target", "DynamoDB_20120810.PutItem");
    let request = http_client().post(proxy.url()).header(target.0, target.1).body(body);
    let answer = request.timeout(Duration::from_secs(2)).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test]
async fn what_is_not_spoiled_is_passed_on() {
    let proxy = proxy().await;
    proxy.inject(Operation::GetItem, Fault::Lost(Silence::Reset), usize::MAX);
    proxy.inject_about(Operation::PutItem, "somebody else", Fault::Lost(Silence::Reset), usize::MAX);
    assert_eq!(put_item(&proxy, "x").await.unwrap(), (200, "DynamoDB_20120810.PutItem".to_owned()));
    assert_eq!(proxy.seen(Operation::PutItem), Seen { requests: 1, carried_out: 1 });
}

#[tokio::test]
async fn silences_and_spoilt_answers_are_told_from_refusals() {
    for (fault, carried_out) in [
        (Fault::Lost(Silence::Reset), 0),
        (Fault::Lost(Silence::Close), 0),
        (Fault::Lost(Silence::Hang), 0),
        (Fault::Unanswered(Silence::Reset), 1),
        (Fault::Spoiled(Spoiling::Stalled), 1),
        (Fault::Spoiled(Spoiling::Truncated), 1),
    ] {
        let proxy = proxy().await;
        proxy.inject(Operation::PutItem, fault, 1);
        let problem = put_item(&proxy, "x").await.unwrap_err();
        let silent = matches!(fault, Fault::Lost(Silence::Hang) | Fault::Spoiled(Spoiling::Stalled));
        assert_eq!(problem.is_timeout(), silent, "{fault:?}: {problem:?}");
        let seen = proxy.seen(Operation::PutItem);
        assert_eq!(seen, Seen { requests: 1, carried_out }, "{fault:?}");
        assert!(put_item(&proxy, "x").await.is_ok(), "{fault:?} is over");
    }
}

#[tokio::test]
async fn answers_can_be_slow_nonsense_or_no() {
    let proxy = proxy().await;
    let slow = Duration::from_millis(100);
    for fault in [
        Fault::Spoiled(Spoiling::Slow(slow)),
        Fault::Spoiled(Spoiling::NotJson),
        Fault::Refused(Refusal::bare(503)),
        Fault::Refused(Refusal::in_body(400, "a#Throttled")),
    ] {
        proxy.inject(Operation::PutItem, fault, 1);
    }
    let begun = Instant::now();
    assert_eq!(put_item(&proxy, "x").await.unwrap().1, "DynamoDB_20120810.PutItem");
    assert!(begun.elapsed() >= slow);
    assert_eq!(put_item(&proxy, "x").await.unwrap(), (200, "<html>".to_owned()));
    assert_eq!(put_item(&proxy, "x").await.unwrap().0, 503);
    let (status, body) = put_item(&proxy, "x").await.unwrap();
    assert_eq!((status, body.contains("a#Throttled")), (400, true));
    assert_eq!(proxy.seen(Operation::PutItem), Seen { requests: 4, carried_out: 2 });
}
