//! What AWS and the registry answer.
//!
//! Every agent has an open socket unless the scene says otherwise, all agents are paired, nobody is revoked, no receipt has
//! been seen before but those that wait, and the registry said yes to every session a moment ago.

use std::sync::Arc;

use acceptance::stamp;
use serde_json::{Value, json};

use super::Operation;
use super::calls::item_bytes;

const RECEIPTS_TABLE: &str = "clawdentity-receipts-prod";
/// How the functions are told to name the tables.
pub(crate) const TABLES: [(&str, &str); 5] = [
    ("CONNECTIONS_TABLE", "clawdentity-connections-prod"),
    ("RECEIPTS_TABLE", RECEIPTS_TABLE),
    ("DELIVERIES_TABLE", "clawdentity-deliveries-prod"),
    ("TRUST_TABLE", "clawdentity-trust-prod"),
    ("NONCES_TABLE", "clawdentity-nonces-prod"),
];
/// When every socket was opened: as `tests/events/consumer-connected.json` has it.
const CONNECTED_AT_MS: u64 = 1_775_000_000_123;
const HOUR_MS: u64 = 3_600_000;
/// `DynamoDB` answers a Query with so many bytes of items at most.
const PAGE_BYTES: usize = 1 << 20;
/// What the ids of all receipts that wait begin with; a number of 16 digits follows.
const WAITING_IDS: &str = "01KN0HGEG0";

/// What is different from run to run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scene {
    /// Nobody has a socket.
    pub(crate) away: bool,
    /// So many receipts wait for every sender.
    pub(crate) held: usize,
    /// The functions are told to speak TLS, as with AWS.
    pub(crate) over_tls: bool,
}

/// A scene with its registry.
#[derive(Clone)]
pub(super) struct World {
    scene: Scene,
    keys: Arc<str>,
}

impl World {
    pub(super) fn new(scene: Scene, keys: &Value) -> Self {
        Self { scene, keys: keys.to_string().into() }
    }

    /// `Null` is an answer without a body; `None` a call nobody has foreseen.
    pub(super) fn act(&self, operation: &Operation, request: &Value) -> Option<Value> {
        Some(match operation.name() {
            "BatchGetItem" => self.batch_get(request),
            "GetItem" => {
                let table = request["TableName"].as_str()?;
                self.item(table, &request["Key"]).map_or_else(|| json!({}), |item| json!({ "Item": item }))
            }
            "UpdateItem" => json!({ "Attributes": { "requests": { "N": "10" } } }),
            "PutItem" | "DeleteItem" | "ChangeMessageVisibility" | "PostToConnection" => json!({}),
            "Query" => self.page(request),
            // Nothing that is measured here may end as a dead letter.
            "SendMessage" if request["QueueUrl"].as_str().is_some_and(|url| url.contains("-dlq-")) => {
                return None;
            }
            "SendMessage" => json!({
                "MessageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
                "MD5OfMessageBody": "8afa50cb1f277585ee983666124df424",
            }),
            "DeleteConnection" | "registry: session" => Value::Null,
            "registry: keys" => serde_json::from_str(&self.keys).ok()?,
            _ => return None,
        })
    }

    fn batch_get(&self, request: &Value) -> Value {
        let tables = request["RequestItems"].as_object().into_iter().flatten();
        let responses = tables.map(|(table, asked)| {
            let keys = asked["Keys"].as_array().into_iter().flatten();
            (table.clone(), keys.filter_map(|key| self.item(table, key)).collect::<Value>())
        });
        json!({ "Responses": responses.collect::<serde_json::Map<_, _>>(), "UnprocessedKeys": {} })
    }

    fn item(&self, table: &str, key: &Value) -> Option<Value> {
        let now_ms = stamp::now_ms();
        let mut item = match kind(table, key) {
            "connection" if !self.scene.away => json!({
                "connectionId": { "S": "Q7xYdcC5oAMCJ9w=" },
                "connectedAt": number(CONNECTED_AT_MS),
                "leaseExpiresAt": number(now_ms + HOUR_MS),
                "quickSupersedes": number(0), "shortLives": number(0), "shortLivesSince": number(0),
                "lastDrainAt": number(0), "expiresAt": number(now_ms / 1_000),
            }),
            "known" => json!({ "pairs": number(1) }),
            "pair" => json!({}),
            "registry#keys" => json!({ "body": { "S": *self.keys }, "fetchedAt": number(now_ms) }),
            "registry#crl" => json!({ "fetchedAt": number(now_ms) }),
            "access" => json!({ "acceptedAtMs": number(now_ms), "expiresAt": number(now_ms / 1_000 + 900) }),
            "receipt" => {
                let place = place(key["item"]["S"].as_str()?).filter(|place| *place < self.scene.held)?;
                held(&key["senderAgentDid"], place, now_ms)
            }
            _ => return None,
        };
        item.as_object_mut()?.extend(key.as_object()?.clone());
        Some(item)
    }

    /// A page of a mailbox, as `DynamoDB` would cut it. No system deliveries wait.
    fn page(&self, request: &Value) -> Value {
        if request["TableName"] != RECEIPTS_TABLE {
            return json!({ "Count": 0, "ScannedCount": 0, "Items": [] });
        }
        let sender = &request["ExpressionAttributeValues"][":sender"];
        let now_ms = stamp::now_ms();
        let after = request["ExclusiveStartKey"]["item"]["S"].as_str().and_then(place);
        let first = after.map_or(0, |place| place + 1);
        let limit = request["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
        let size = limit.unwrap_or(usize::MAX).min(PAGE_BYTES / item_bytes(&waiting(sender, 0, now_ms)));
        let end = self.scene.held.min(first.saturating_add(size));
        let items: Vec<_> = (first..end).map(|place| waiting(sender, place, now_ms)).collect();
        let mut page = json!({ "Count": items.len(), "ScannedCount": items.len() });
        if let Some(last) = items.last().filter(|_| items.len() == size) {
            page["LastEvaluatedKey"] = json!({ "senderAgentDid": sender, "item": last["item"] });
        }
        page["Items"] = items.into();
        page
    }
}

/// A receipt at its place in a mailbox.
fn waiting(sender: &Value, place: usize, now_ms: u64) -> Value {
    let mut item = held(sender, place, now_ms);
    let id = item["requestId"]["S"].as_str().unwrap_or_default();
    let processed_at_ms = item["processedAt"]["N"].as_str().unwrap_or_default();
    item["item"] = json!({ "S": format!("waiting#{processed_at_ms}#{id}#{id}") });
    item
}

/// The latest state of a receipt that waits: what waits is that.
fn held(sender: &Value, place: usize, now_ms: u64) -> Value {
    let id = format!("{WAITING_IDS}{place:016}");
    let processed_at_ms = CONNECTED_AT_MS + u64::try_from(place).unwrap_or_default();
    json!({
        "senderAgentDid": sender, "item": { "S": id },
        "requestId": { "S": id }, "recipientAgentDid": sender, "status": { "S": "delivered_to_webhook" },
        "processedAt": number(processed_at_ms), "frameId": { "S": id },
        "expiresAt": number(now_ms / 1_000 + 604_800),
    })
}

/// Where the receipt of an item is in its mailbox, if it is one that waits.
fn place(item: &str) -> Option<usize> {
    let id = item.rsplit('#').next()?;
    id.strip_prefix(WAITING_IDS)?.parse().ok()
}

fn number(value: u64) -> Value {
    json!({ "N": value.to_string() })
}

/// What an item is, by its table and its key.
fn kind<'a>(table: &str, key: &'a Value) -> &'a str {
    let part = |name: &str| key[name]["S"].as_str();
    if table.contains("-connections-") {
        return "connection";
    }
    match part("key").or(part("what")) {
        Some(name @ ("registry#keys" | "registry#crl")) => name,
        Some(name) => name.split_once('#').map_or(name, |(kind, _)| kind),
        None => "receipt",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Calls;
    use super::*;

    const SENDER: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";

    fn query(held: usize, more: &Value) -> (Value, Calls) {
        let mut request = json!({
            "TableName": RECEIPTS_TABLE, "ExpressionAttributeValues": { ":sender": { "S": SENDER } },
        });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let world = World::new(Scene { held, ..Scene::default() }, &json!({}));
        let operation = Operation::named("Query");
        let answer = world.act(&operation, &request).unwrap();
        let calls = Calls::of(&operation, &request, &answer);
        (answer, calls)
    }

    #[test]
    fn reading_a_mailbox_is_charged_by_what_it_holds() {
        let units = |held, more: Value| query(held, &more).1.read_units;
        assert_eq!(units(0, json!({})), 1);
        assert_eq!(units(0, json!({ "Limit": 25 })), 1);
        assert!(units(100_000, json!({ "Limit": 25 })) > 1);
        assert_eq!(units(100_000, json!({})), 256, "1 MB in units of 4 kB");
    }

    #[test]
    fn a_mailbox_is_read_page_by_page_to_its_end() {
        let (mut start, mut sizes) = (json!({ "Limit": 25 }), Vec::new());
        loop {
            let (page, _) = query(60, &start);
            sizes.push(page["Items"].as_array().unwrap().len());
            if page["LastEvaluatedKey"].is_null() {
                break;
            }
            start["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
        assert_eq!(sizes, [25, 25, 10]);
    }

    #[test]
    fn what_waits_is_the_latest_state_of_its_receipt() {
        let (page, _) = query(10, &json!({}));
        let waiting = &page["Items"][9];
        let key = json!({ "senderAgentDid": { "S": SENDER }, "item": waiting["requestId"] });
        let world = World::new(Scene { held: 10, ..Scene::default() }, &json!({}));
        let latest = world.item(RECEIPTS_TABLE, &key).unwrap();
        assert_eq!(
            (&latest["processedAt"], &latest["item"]),
            (&waiting["processedAt"], &waiting["requestId"])
        );
        let key = json!({ "senderAgentDid": { "S": SENDER }, "item": { "S": "01KN0HGEG00000000000000010" } });
        assert_eq!(world.item(RECEIPTS_TABLE, &key), None, "only ten wait");
    }
}
