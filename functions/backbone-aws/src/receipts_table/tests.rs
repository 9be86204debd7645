use backbone::home::ProxyOrigin;
use serde_json::{Value, json};

use super::*;
use crate::receipt_items::tests::receipt;
use crate::stub::{Answer, Stub};

fn stored(pushed_at_ms: Option<u64>) -> StoredReceipt {
    StoredReceipt { receipt: receipt(Some("x")), pushed_at_ms, expires_at_s: 9 }
}

/// An item as DynamoDB writes it.
fn wire(item: &Item) -> Value {
    let attribute = |value: &AttributeValue| match (value.as_s(), value.as_n()) {
        (Ok(text), _) => json!({ "S": text }),
        (_, Ok(number)) => json!({ "N": number }),
        (Err(_), Err(_)) => panic!("all our attributes are texts and numbers"),
    };
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

#[tokio::test]
async fn a_lost_race_is_an_outcome() {
    let stub = Stub::answering([Answer::ok(&json!({})), Answer::condition_failed(&json!({}))]).await;
    assert_eq!(stub.invocation().record(&stored(Some(7))).await.unwrap(), Recorded::Stored);
    assert_eq!(stub.invocation().record(&stored(None)).await.unwrap(), Recorded::Stale);
    let conditions: Vec<_> = stub.bodies().iter().map(|body| body["ConditionExpression"].clone()).collect();
    assert!(!conditions[0].as_str().unwrap().contains("pushedAt"), "a pushed state replaces itself");
    assert!(conditions[1].as_str().unwrap().contains("attribute_not_exists(pushedAt)"));
}

/// Receipts are many and the placeholders of every one are sent: only what is compared goes along.
#[tokio::test]
async fn a_condition_compares_with_what_it_names() {
    let stub = Stub::answering([Answer::ok(&json!({}))]).await;
    let (invocation, pushed) = (stub.invocation(), stored(Some(7)));
    let _ = invocation.record(&pushed).await.unwrap();
    let _ = invocation.record(&stored(None)).await.unwrap();
    let _ = invocation.replace(&pushed, &stored(Some(8))).await.unwrap();
    let _ = invocation.replace(&pushed, &stored(None)).await.unwrap();
    for body in stub.bodies() {
        let condition = body["ConditionExpression"].as_str().unwrap();
        let mut named: Vec<_> = condition
            .split(|letter: char| letter != ':' && !letter.is_ascii_alphanumeric())
            .filter(|word| word.starts_with(':'))
            .collect();
        named.sort_unstable();
        named.dedup();
        let values = body["ExpressionAttributeValues"].as_object().unwrap();
        let mut sent: Vec<_> = values.keys().map(String::as_str).collect();
        sent.sort_unstable();
        assert_eq!(sent, named, "{condition}");
        if let Some(to) = values.get(":to") {
            assert_eq!(to, &body["Item"]["recipientAgentDid"]);
        }
    }
}

#[tokio::test]
async fn what_waits_keeps_its_id_and_costs_one_call() {
    let waits =
        |id: &str| Waiting { receipt: receipt(None), expires_at_s: 9, correlation_id: Some(id.to_owned()) };
    let old = |id| Answer::ok(&json!({ "Attributes": wire(&waiting_item(&waits(id))) }));
    let stub = Stub::answering([Answer::ok(&json!({})), old("a"), old("a"), Answer::ok(&json!({}))]).await;
    for (id, calls) in [("a", 1), ("a", 2), ("b", 4)] {
        stub.invocation().keep_waiting(&waits(id)).await.unwrap();
        assert_eq!(stub.seen().len(), calls);
    }
    let ids: Vec<_> = stub.bodies().iter().map(|body| body["Item"]["correlationId"]["S"].clone()).collect();
    assert_eq!(ids, ["a", "a", "b", "a"]);
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_told_apart() {
    let good = Waiting { receipt: receipt(None), expires_at_s: 9, correlation_id: None };
    let bad = json!({ "senderAgentDid": { "S": "s" }, "item": { "S": "waiting#0#x" } });
    let page = json!({ "Items": [bad, wire(&waiting_item(&good))], "Count": 2 });
    let stub = Stub::answering([Answer::ok(&page), Answer::ok(&json!({}))]).await;
    let items = stub.invocation().waiting(&receipt(None).sender, 2).await.unwrap();
    let MailboxItem::Unreadable(unreadable) = &items[0] else { panic!("{items:?}") };
    assert_eq!(unreadable.item, "waiting#0#x");
    assert!(unreadable.attributes.contains("senderAgentDid"));
    assert_eq!(items[1], MailboxItem::Readable(good));
    stub.invocation().remove_unreadable(&receipt(None).sender, "waiting#0#x").await.unwrap();
    let bodies = stub.bodies();
    assert_eq!((&bodies[0]["ConsistentRead"], &bodies[0]["Limit"]), (&json!(true), &json!(2)));
    assert_eq!(bodies[1]["Key"]["item"]["S"], "waiting#0#x");
}

#[tokio::test]
async fn a_page_that_dynamodb_cuts_short_is_not_the_end_of_a_mailbox() {
    let item = Waiting { receipt: receipt(None), expires_at_s: 9, correlation_id: None };
    let key = json!({ "senderAgentDid": { "S": "s" }, "item": { "S": "waiting#0#x" } });
    let page = |more: bool| {
        let mut page = json!({ "Items": [wire(&waiting_item(&item))], "Count": 1 });
        if more {
            page["LastEvaluatedKey"] = key.clone();
        }
        Answer::ok(&page)
    };
    let stub = Stub::answering([page(true), page(false)]).await;
    assert_eq!(stub.invocation().waiting(&item.receipt.sender, 3).await.unwrap().len(), 2);
    let bodies = stub.bodies();
    assert_eq!((&bodies[1]["Limit"], &bodies[1]["ExclusiveStartKey"]), (&json!(2), &key));
    let stub = Stub::answering([page(true)]).await;
    assert_eq!(stub.invocation().waiting(&item.receipt.sender, 1).await.unwrap().len(), 1);
    assert_eq!(stub.seen().len(), 1, "as many as were asked for");
}

#[tokio::test]
async fn a_batch_is_read_in_one_call_and_a_broken_item_fails_nobody_else() {
    let one = receipt(None);
    let (paired, broken_pair) = (Pair::of(&one.sender, &one.recipient), Pair::of(&one.sender, &one.sender));
    let mut broken = wire(&stored_item(&stored(None)));
    broken["status"] = json!({ "S": "?" });
    let answer = json!({ "Responses": {
        "receipts": [wire(&stored_item(&stored(Some(7)))), broken],
        "connections": [
            { "agentDid": { "S": one.sender.as_str() }, "connectionId": { "S": "c=" },
              "connectedAt": { "N": "1" }, "leaseExpiresAt": { "N": "2" } },
            { "agentDid": { "S": one.recipient.as_str() }, "connectionId": { "S": "half" } },
        ],
        "trust": [
            { "key": { "S": format!("agent#{}", one.recipient) } },
            { "key": { "S": format!("pair#{}", paired.key()) }, "firstOrigin": { "S": "https://a.com" } },
            { "key": { "S": format!("pair#{}", broken_pair.key()) }, "firstOrigin": { "S": "?" } },
        ],
    } });
    let stub = Stub::answering([Answer::ok(&answer)]).await;
    let agents = [one.sender.clone(), one.recipient.clone()];
    let pairs = [paired.clone(), broken_pair];
    let state = stub.invocation().read_for_delivery(&[one.key(), one.key()], &agents, &pairs).await.unwrap();
    assert_eq!(state.receipts.get(&one.key()), Some(&stored(Some(7))));
    assert_eq!(state.connections.keys().collect::<Vec<_>>(), [&one.sender]);
    assert_eq!(state.revoked.into_iter().collect::<Vec<_>>(), [one.recipient]);
    assert_eq!(state.pairs.keys().collect::<Vec<_>>(), [&paired]);
    assert_eq!(state.pairs[&paired].first, ProxyOrigin::parse("https://a.com"));
    assert_eq!(stub.seen().len(), 1);
}
