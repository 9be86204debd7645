//! More receipts than the page reads at once.

use std::collections::HashMap;

use acceptance::stack::{PrivateTable, Stack, TableKeys};
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue::{self, N, S};
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures_util::stream::{self, StreamExt};
use serde_json::json;

use super::{overview, serve};

const READ_MAX: usize = 5_000;
/// How many items DynamoDB takes at once.
const PAGE: usize = 25;

fn row(sender: &str, number: usize) -> HashMap<String, AttributeValue> {
    let id = stamp::new_ulid();
    let attributes = [
        ("senderAgentDid", S(sender.to_owned())),
        ("item", S(id.clone())),
        ("requestId", S(id)),
        ("recipientAgentDid", S("did:cdi:a.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7".to_owned())),
        ("status", S("delivered_to_webhook".to_owned())),
        ("processedAt", N((1_775_000_000_000 + number).to_string())),
    ];
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

async fn fill(table: &PrivateTable, rows: Vec<HashMap<String, AttributeValue>>) {
    let client = table.client();
    let requests: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let put = PutRequest::builder().set_item(Some(row)).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        })
        .collect();
    stream::iter(requests.chunks(PAGE))
        .for_each_concurrent(4, async |page| {
            client.batch_write_item().request_items(&table.name, page.to_vec()).send().await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn one_senders_receipts_are_found_among_too_many() {
    let mut stack = Stack::running();
    let table = PrivateTable::create(&stack, TableKeys::RECEIPTS).await.unwrap();
    fill(&table, (0..READ_MAX).map(|number| row("did:cdi:a.com:agent:many", number)).collect()).await;
    stack.page_url = serve(&stack, &[], &[("ReceiptsTable", table.name.as_str())]).await;
    let all = overview(&stack, "").await;
    assert_eq!((&all["counts"]["accepted"], &all["notes"]), (&json!(READ_MAX), &json!([])));
    assert_eq!(
        (all["receipts"]["shown"].as_array().unwrap().len(), &all["receipts"]["total"]),
        (200, &json!(5_000))
    );

    // The last row of a scan is one of these, or one of the many.
    let few = "did:cdi:a.com:agent:few";
    fill(&table, (0..3).map(|number| row(few, number)).collect()).await;
    let found = overview(&stack, few).await;
    assert_eq!(found["receipts"]["total"], 3);
    assert_eq!(found["notes"].as_array().unwrap().len(), 1, "it says that this is not everything");
}
