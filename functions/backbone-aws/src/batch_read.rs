//! Reading many items of several tables at once.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use backbone::stores::StoreError;

use crate::attributes::{Item, text};
use crate::outside::unavailable;

/// DynamoDB's own limit.
const KEYS_PER_CALL_MAX: usize = 100;

/// How often keys that came back unprocessed are asked for again.
const REPEATS_MAX: u32 = 6;

/// Before the first repetition; doubled before each further one.
const BACK_OFF_FIRST: Duration = Duration::from_millis(25);

/// The key of one item. All key attributes of all tables are texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ItemKey<'a> {
    table: &'a str,
    attributes: Vec<(&'static str, String)>,
}

impl<'a> ItemKey<'a> {
    pub(crate) fn new<const N: usize>(table: &'a str, attributes: [(&'static str, String); N]) -> Self {
        Self { table, attributes: attributes.into() }
    }

    fn into_item(self) -> Item {
        self.attributes.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }
}

/// DynamoDB kept leaving keys unprocessed.
#[derive(Debug, thiserror::Error)]
#[error("{keys} keys were still unprocessed after {REPEATS_MAX} repetitions")]
struct Unprocessed {
    keys: usize,
}

/// Reads all items of `keys` that exist, strongly consistent, by table. The same key may be named twice.
pub(crate) async fn read_items<'a>(
    client: &Client,
    operation: &'static str,
    keys: impl IntoIterator<Item = ItemKey<'a>>,
) -> Result<HashMap<String, Vec<Item>>, StoreError> {
    // DynamoDB refuses a call that names a key twice.
    let keys: BTreeSet<_> = keys.into_iter().collect();
    let mut pending: Vec<_> = keys.into_iter().map(|key| (key.table.to_owned(), key.into_item())).collect();
    let mut found: HashMap<String, Vec<Item>> = HashMap::new();
    let mut repeats = 0;
    while !pending.is_empty() {
        let later = pending.split_off(pending.len().min(KEYS_PER_CALL_MAX));
        let asked = by_table(std::mem::replace(&mut pending, later)).map_err(unavailable(operation))?;
        let answer = client.batch_get_item().set_request_items(Some(asked)).send().await;
        let answer = answer.map_err(unavailable(operation))?;
        for (table, items) in answer.responses.unwrap_or_default() {
            found.entry(table).or_default().extend(items);
        }
        let before = pending.len();
        for (table, keys) in answer.unprocessed_keys.unwrap_or_default() {
            pending.extend(keys.keys.into_iter().map(|key| (table.clone(), key)));
        }
        let unprocessed = pending.len() - before;
        if unprocessed > 0 {
            if repeats == REPEATS_MAX {
                return Err(unavailable(operation)(Unprocessed { keys: unprocessed }));
            }
            tokio::time::sleep(BACK_OFF_FIRST * 2_u32.pow(repeats)).await;
            repeats += 1;
        }
    }
    Ok(found)
}

fn by_table(
    keys: Vec<(String, Item)>,
) -> Result<HashMap<String, KeysAndAttributes>, aws_sdk_dynamodb::error::BuildError> {
    let mut tables: HashMap<String, Vec<Item>> = HashMap::new();
    for (table, key) in keys {
        tables.entry(table).or_default().push(key);
    }
    tables
        .into_iter()
        .map(|(table, keys)| {
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
            Ok((table, request))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::stub::{Answer, Stub};

    const TRUST: &str = "trust";

    fn key(name: &str) -> ItemKey<'static> {
        ItemKey::new(TRUST, [("key", name.to_owned())])
    }

    fn answer(found: &[&str], unprocessed: &[&str]) -> Answer {
        let keys =
            |names: &[&str]| names.iter().map(|name| json!({ "key": { "S": name } })).collect::<Vec<_>>();
        let unprocessed = if unprocessed.is_empty() {
            json!({})
        } else {
            json!({ TRUST: { "Keys": keys(unprocessed), "ConsistentRead": true } })
        };
        Answer::ok(&json!({ "Responses": { TRUST: keys(found) }, "UnprocessedKeys": unprocessed }))
    }

    fn keys_asked(body: &Value) -> Vec<&str> {
        let keys = body["RequestItems"][TRUST]["Keys"].as_array().unwrap();
        keys.iter().map(|key| key["key"]["S"].as_str().unwrap()).collect()
    }

    async fn read(stub: &Stub, keys: Vec<ItemKey<'_>>) -> Result<usize, StoreError> {
        let found = read_items(stub.invocation().aws.clients.dynamodb(), "test", keys).await?;
        Ok(found.get(TRUST).map_or(0, Vec::len))
    }

    #[tokio::test]
    async fn a_key_is_asked_for_once_and_strongly_consistent() {
        let stub = Stub::answering([answer(&["a"], &[])]).await;
        assert_eq!(read(&stub, vec![key("a"), key("b"), key("a")]).await.unwrap(), 1);
        let bodies = stub.bodies();
        assert_eq!(keys_asked(&bodies[0]), ["a", "b"]);
        assert_eq!(bodies[0]["RequestItems"][TRUST]["ConsistentRead"], true);
    }

    #[tokio::test]
    async fn what_came_back_unprocessed_is_asked_for_again() {
        let stub =
            Stub::answering([answer(&["a"], &["b", "c"]), answer(&["b"], &["c"]), answer(&["c"], &[])]).await;
        assert_eq!(read(&stub, vec![key("a"), key("b"), key("c")]).await.unwrap(), 3);
        let asked: Vec<_> = stub.bodies().iter().map(|body| keys_asked(body).join(" ")).collect();
        assert_eq!(asked, ["a b c", "b c", "c"]);
    }

    #[tokio::test]
    async fn a_key_that_is_never_processed_ends_in_an_error() {
        let stub = Stub::answering([answer(&[], &["a"])]).await;
        let error = read(&stub, vec![key("a")]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { operation: "test", .. }), "{error}");
        assert_eq!(stub.seen().len(), 7, "once, and six times again");
    }

    #[tokio::test]
    async fn more_keys_than_one_call_takes_are_read_in_several() {
        let stub = Stub::answering([answer(&["a"], &[])]).await;
        let keys = (0..250).map(|number| key(&number.to_string())).collect();
        assert_eq!(read(&stub, keys).await.unwrap(), 3);
        let counts: Vec<_> = stub.bodies().iter().map(|body| keys_asked(body).len()).collect();
        assert_eq!(counts, [100, 100, 50]);
    }

    #[tokio::test]
    async fn nothing_to_read_is_no_call() {
        let stub = Stub::answering([Answer::HangUp]).await;
        assert_eq!(read(&stub, Vec::new()).await.unwrap(), 0);
        assert!(stub.seen().is_empty());
    }
}
