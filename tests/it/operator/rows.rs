//! What rows that seldom are there make of an answer, in tables of these tests' own.

use acceptance::stack::{Description, PrivateTable, Stack, TableKeys};
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue::{self, N, S};
use backbone::limits::CONNECTION_OPENING_MS;
use serde_json::json;

const AGENT: &str = "did:cdi:registry.example.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";
const OTHER: &str = "did:cdi:registry.example.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";

async fn table(keys: TableKeys, rows: &[&[(&str, AttributeValue)]]) -> PrivateTable {
    let table = PrivateTable::create(&Stack::running(), keys).await.unwrap();
    for row in rows {
        let item = row.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        table.client().put_item().table_name(&table.name).set_item(Some(item)).send().await.unwrap();
    }
    table
}

fn described(outputs: &[(&str, &PrivateTable)]) -> Description {
    let change = |description: &mut serde_json::Value| {
        for (output, table) in outputs {
            description["outputs"][*output] = json!(table.name);
        }
    };
    Description::changed(change).unwrap()
}

fn text(value: &str) -> AttributeValue {
    S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    N(value.to_string())
}

#[tokio::test]
async fn a_socket_that_may_be_opening_is_not_given_up_for_gone() {
    let now_ms = stamp::now_ms();
    // Most of the time is over in which API Gateway may say 410 of a socket that opens.
    let connected_at_ms = now_ms - 10_000;
    let row = [
        ("agentDid", text(AGENT)),
        ("connectionId", text("bm90b3BlbnlldA=")),
        ("connectedAt", number(connected_at_ms)),
        ("leaseExpiresAt", number(now_ms + 7_200_000)),
    ];
    let connections = table(TableKeys::CONNECTIONS, &[&row]).await;
    let description = described(&[("ConnectionsTable", &connections)]);
    let cut = Stack::running().command(&["connections", "cut", AGENT, "--json"], Some(&description)).await;
    let cut = cut.unwrap();
    let expected = json!({
        "agentDid": AGENT, "connectionId": "bm90b3BlbnlldA=", "closed": false, "opening": false,
    });
    assert_eq!((cut.code, cut.json()), (0, expected), "{cut:?}");
    let could_open_until_ms = connected_at_ms + CONNECTION_OPENING_MS;
    assert!(stamp::now_ms() >= could_open_until_ms, "it has asked again until the socket could not open");
    let again = Stack::running().command(&["connections", "cut", AGENT], Some(&description)).await.unwrap();
    assert_eq!(again.code, 3, "its row is cleared: {again:?}");
}

#[tokio::test]
async fn a_mailbox_has_deliveries_and_nothing_that_is_past_its_retention() {
    let (now_ms, now_s) = (stamp::now_ms(), stamp::now_s());
    let ids = [(); 4].map(|()| stamp::new_ulid());
    let waiting = |id: &str, expires_at_s: u64| {
        [
            ("senderAgentDid", text(AGENT)),
            ("item", text(&format!("waiting#{now_ms:013}#{id}#{id}"))),
            ("requestId", text(id)),
            ("recipientAgentDid", text(OTHER)),
            ("status", text("delivered_to_webhook")),
            ("processedAt", number(now_ms)),
            ("frameId", text(id)),
            ("expiresAt", number(expires_at_s)),
        ]
    };
    let delivery = |id: &str, waits_until_s: u64| {
        [
            ("recipientAgentDid", text(AGENT)),
            ("deliveryId", text(id)),
            ("fromAgentDid", text(OTHER)),
            ("deliverySource", text("proxy.events.queue.pair_accepted")),
            ("payload", text("{}")),
            ("createdAt", number(now_ms)),
            ("attempts", number(2)),
            ("nextAt", number(now_ms)),
            ("waitsUntil", number(waits_until_s)),
            ("expiresAt", number(waits_until_s + 86_400)),
        ]
    };
    let rows = [waiting(&ids[0], now_s + 600), waiting(&ids[1], now_s - 1)];
    let receipts = table(TableKeys::RECEIPTS, &rows.each_ref().map(<[_; 8]>::as_slice)).await;
    let rows = [delivery(&ids[2], now_s + 600), delivery(&ids[3], now_s - 1)];
    let deliveries = table(TableKeys::DELIVERIES, &rows.each_ref().map(<[_; 10]>::as_slice)).await;
    let description = described(&[("ReceiptsTable", &receipts), ("DeliveriesTable", &deliveries)]);
    let mailbox = Stack::running().command(&["mailbox", AGENT, "--json"], Some(&description)).await.unwrap();
    let shown = mailbox.json();
    let named = |list: &str, field: &str| {
        shown[list].as_array().unwrap().iter().map(|one| one[field].clone()).collect::<Vec<_>>()
    };
    assert_eq!((mailbox.code, named("waiting", "requestId")), (0, vec![json!(ids[0])]), "{shown}");
    assert_eq!((named("deliveries", "deliveryId"), &shown["expired"]), (vec![json!(ids[2])], &json!(1)));
    assert_eq!(shown["deliveries"][0]["attempts"], 2);
    let text = Stack::running().command(&["mailbox", AGENT], Some(&description)).await.unwrap().stdout;
    assert!(text.contains("1 waiting, and 1 system deliveries; the agent is not connected"), "{text}");
}
