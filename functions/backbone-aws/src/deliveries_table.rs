//! The deliveries table: system deliveries that wait for their acknowledgement, key `recipientAgentDid` and
//! `deliveryId`.
//!
//! | attribute | holds |
//! |---|---|
//! | `fromAgentDid`, `deliverySource`, `payload` (JSON), `createdAt` (ms) | what is told |
//! | `attempts`, `pushedTo` | how often it was pushed, and to which connection last |
//! | `nextAt` (ms) | when it is looked at again; every turn moves it, so it also tells one turn from another |
//! | `waitsUntil` (s) | when its retention is over and it is given up |
//! | `expiresAt` (s) | for DynamoDB's own clean-up, later than that: nothing is to vanish that nobody has given up |

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::limits::DELIVERY_KEPT_AFTER_RETENTION_S;
use backbone::stores::{DeliveryPage, DeliveryStore, Kept, StoreError, TurnNote};
use backbone::system_delivery::{DeliveryKey, DeliverySource, StoredDelivery, SystemDelivery};

use crate::attributes::{Item, Row, item, number, text};
use crate::outside::{Invocation, unavailable};
use crate::settings::DELIVERIES_TABLE;

const RECIPIENT: &str = "recipientAgentDid";
const DELIVERY_ID: &str = "deliveryId";

/// Another turn moves `nextAt`, and a delivery that is gone has none.
const IF_AS_SEEN: &str = "nextAt = :seen";

impl DeliveryStore for Invocation<'_> {
    async fn keep_delivery(&self, delivery: &SystemDelivery, expires_at_s: u64) -> Result<Kept, StoreError> {
        const OPERATION: &str = "keep_delivery";
        let write = self
            .put_delivery(OPERATION, delivery_item(delivery, expires_at_s, 0))?
            .condition_expression("attribute_not_exists(recipientAgentDid)");
        self.in_time(OPERATION, async {
            let Err(error) = write.send().await else { return Ok(Kept::New) };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Kept::Known),
                _ => Err(unavailable(OPERATION)(error)),
            }
        })
        .await
    }

    async fn restore_delivery(
        &self,
        delivery: &SystemDelivery,
        expires_at_s: u64,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "restore_delivery";
        let write = self.put_delivery(OPERATION, delivery_item(delivery, expires_at_s, now_ms))?;
        self.in_time(OPERATION, async { write.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }

    async fn find_delivery(&self, key: &DeliveryKey) -> Result<Option<StoredDelivery>, StoreError> {
        const OPERATION: &str = "find_delivery";
        let read = self
            .dynamodb()
            .get_item()
            .table_name(self.setting(OPERATION, DELIVERIES_TABLE)?)
            .key(RECIPIENT, text(key.recipient.as_str()))
            .key(DELIVERY_ID, text(key.delivery_id.to_string()))
            .consistent_read(true);
        let answer =
            self.in_time(OPERATION, async { read.send().await.map_err(unavailable(OPERATION)) }).await?;
        answer.item.map(|item| stored_delivery(Row { operation: OPERATION, item: &item })).transpose()
    }

    async fn deliveries(
        &self,
        agent: &AgentDid,
        after: Option<Id>,
        limit: usize,
    ) -> Result<DeliveryPage, StoreError> {
        const OPERATION: &str = "deliveries";
        let read = self
            .dynamodb()
            .query()
            .table_name(self.setting(OPERATION, DELIVERIES_TABLE)?)
            .key_condition_expression("recipientAgentDid = :recipient")
            .expression_attribute_values(":recipient", text(agent.as_str()))
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let read = match after {
            Some(after) => read
                .exclusive_start_key(RECIPIENT, text(agent.as_str()))
                .exclusive_start_key(DELIVERY_ID, text(after.to_string())),
            None => read,
        };
        let page =
            self.in_time(OPERATION, async { read.send().await.map_err(unavailable(OPERATION)) }).await?;
        let readable = |item| {
            let row = Row { operation: OPERATION, item };
            let read = stored_delivery(row);
            read.inspect_err(|error| row.log_unreadable(RECIPIENT, DELIVERY_ID, error)).ok()
        };
        let next = page.last_evaluated_key.as_ref();
        Ok(DeliveryPage {
            deliveries: page.items.iter().flatten().filter_map(readable).collect(),
            next: next
                .map(|item| Row { operation: OPERATION, item }.parse(DELIVERY_ID, Id::parse))
                .transpose()?,
        })
    }

    async fn note_turn(&self, seen: &StoredDelivery, note: &TurnNote) -> Result<(), StoreError> {
        const OPERATION: &str = "note_turn";
        let write = self
            .dynamodb()
            .update_item()
            .table_name(self.setting(OPERATION, DELIVERIES_TABLE)?)
            .key(RECIPIENT, text(seen.delivery.recipient.as_str()))
            .key(DELIVERY_ID, text(seen.delivery.delivery_id.to_string()))
            .condition_expression(IF_AS_SEEN)
            .expression_attribute_values(":seen", number(seen.next_at_ms))
            .expression_attribute_values(":attempts", number(note.attempts))
            .expression_attribute_values(":nextAt", number(note.next_at_ms));
        let write = match &note.pushed_to {
            Some(connection_id) => write
                .update_expression("SET attempts = :attempts, nextAt = :nextAt, pushedTo = :pushedTo")
                .expression_attribute_values(":pushedTo", text(connection_id)),
            None => write.update_expression("SET attempts = :attempts, nextAt = :nextAt"),
        };
        self.update_if(OPERATION, write).await
    }

    async fn remove_delivery(&self, seen: &StoredDelivery) -> Result<(), StoreError> {
        const OPERATION: &str = "remove_delivery";
        let write = self
            .dynamodb()
            .delete_item()
            .table_name(self.setting(OPERATION, DELIVERIES_TABLE)?)
            .key(RECIPIENT, text(seen.delivery.recipient.as_str()))
            .key(DELIVERY_ID, text(seen.delivery.delivery_id.to_string()))
            .condition_expression(IF_AS_SEEN)
            .expression_attribute_values(":seen", number(seen.next_at_ms));
        self.in_time(OPERATION, async {
            let Err(error) = write.send().await else { return Ok(()) };
            match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(unavailable(OPERATION)(error)),
            }
        })
        .await
    }

    /// The agent is part of the key, so nobody can acknowledge what was sent to somebody else.
    async fn acknowledge(&self, agent: &AgentDid, delivery: Id) -> Result<(), StoreError> {
        const OPERATION: &str = "acknowledge";
        let write = self
            .dynamodb()
            .delete_item()
            .table_name(self.setting(OPERATION, DELIVERIES_TABLE)?)
            .key(RECIPIENT, text(agent.as_str()))
            .key(DELIVERY_ID, text(delivery.to_string()));
        self.in_time(OPERATION, async { write.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }
}

impl Invocation<'_> {
    fn put_delivery(&self, operation: &'static str, item: Item) -> Result<PutItemFluentBuilder, StoreError> {
        let table = self.setting(operation, DELIVERIES_TABLE)?;
        Ok(self.dynamodb().put_item().table_name(table).set_item(Some(item)))
    }
}

/// The item of a delivery that was never pushed.
fn delivery_item(delivery: &SystemDelivery, expires_at_s: u64, next_at_ms: u64) -> Item {
    item([
        (RECIPIENT, text(delivery.recipient.as_str())),
        (DELIVERY_ID, text(delivery.delivery_id.to_string())),
        ("fromAgentDid", text(delivery.from.as_str())),
        ("deliverySource", text(delivery.source.as_str())),
        ("payload", text(delivery.payload.to_string())),
        ("createdAt", number(delivery.created_at_ms)),
        ("attempts", number(0_u32)),
        ("nextAt", number(next_at_ms)),
        ("waitsUntil", number(expires_at_s)),
        ("expiresAt", number(expires_at_s.saturating_add(DELIVERY_KEPT_AFTER_RETENTION_S))),
    ])
}

fn stored_delivery(row: Row<'_>) -> Result<StoredDelivery, StoreError> {
    Ok(StoredDelivery {
        delivery: SystemDelivery {
            delivery_id: row.parse(DELIVERY_ID, Id::parse)?,
            recipient: row.parse(RECIPIENT, AgentDid::parse)?,
            from: row.parse("fromAgentDid", AgentDid::parse)?,
            source: row.parse("deliverySource", DeliverySource::parse)?,
            payload: row.parse("payload", |payload| serde_json::from_str(payload).ok())?,
            created_at_ms: row.number("createdAt")?,
        },
        attempts: u32::try_from(row.number("attempts")?).unwrap_or(u32::MAX),
        pushed_to: row.find_text("pushedTo").map(str::to_owned),
        next_at_ms: row.number("nextAt")?,
        expires_at_s: row.number("waitsUntil")?,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::stub::{Answer, Stub};

    fn stored() -> StoredDelivery {
        let did = |ulid| AgentDid::parse(&format!("did:cdi:a.com:agent:{ulid}")).unwrap();
        let delivery = SystemDelivery {
            delivery_id: Id::parse("01KN33X0KRM9Q3MFS6RVPP6F7F").unwrap(),
            recipient: did("01KN0HGEG0G5PGG168DAWPBYT2"),
            from: did("01KN0HGEG0QK6E4CV6JTD76TK7"),
            source: DeliverySource::PairAccepted,
            payload: json!({ "system": { "name": "\u{1f980}" } }),
            created_at_ms: 1_775_000_000_000,
        };
        StoredDelivery { delivery, attempts: 0, pushed_to: None, next_at_ms: 0, expires_at_s: 9 }
    }

    fn wire(stored: &StoredDelivery) -> Value {
        let mut item = delivery_item(&stored.delivery, stored.expires_at_s, stored.next_at_ms);
        item.insert("attempts".to_owned(), number(stored.attempts));
        item.extend(stored.pushed_to.as_ref().map(|id| ("pushedTo".to_owned(), text(id))));
        let typed = |value: &AttributeValue| {
            value.as_s().map_or_else(|_| json!({ "N": value.as_n().unwrap() }), |text| json!({ "S": text }))
        };
        item.iter().map(|(name, value)| (name.clone(), typed(value))).collect()
    }

    #[tokio::test]
    async fn a_delivery_is_kept_once_and_outlives_its_retention() {
        for (answer, expected) in
            [(Answer::ok(&json!({})), Kept::New), (Answer::condition_failed(&json!({})), Kept::Known)]
        {
            let stub = Stub::answering([answer]).await;
            assert_eq!(stub.invocation().keep_delivery(&stored().delivery, 9).await.unwrap(), expected);
            let body = &stub.bodies()[0];
            assert_eq!(body["ConditionExpression"], "attribute_not_exists(recipientAgentDid)");
            assert_eq!(body["Item"], wire(&stored()));
            assert_eq!(body["Item"]["expiresAt"]["N"], (9 + 24 * 60 * 60).to_string());
        }
    }

    #[tokio::test]
    async fn a_delivery_is_read_back_strongly_consistent() {
        let expected =
            StoredDelivery { attempts: 3, pushed_to: Some("c=".to_owned()), next_at_ms: 7, ..stored() };
        let stub =
            Stub::answering([Answer::ok(&json!({ "Item": wire(&expected) })), Answer::ok(&json!({}))]).await;
        let key = expected.delivery.key();
        assert_eq!(stub.invocation().find_delivery(&key).await.unwrap(), Some(expected));
        assert_eq!(stub.invocation().find_delivery(&key).await.unwrap(), None);
        assert_eq!(stub.bodies()[0]["ConsistentRead"], true);
    }

    #[tokio::test]
    async fn a_page_passes_over_what_cannot_be_read_and_says_where_the_next_begins() {
        let mut broken = wire(&stored());
        broken["payload"] = json!({ "S": "{" });
        let last =
            json!({ "recipientAgentDid": broken["recipientAgentDid"], "deliveryId": broken["deliveryId"] });
        let page = json!({ "Items": [wire(&stored()), broken], "LastEvaluatedKey": last });
        let stub = Stub::answering([Answer::ok(&page), Answer::ok(&json!({ "Items": [] }))]).await;
        let (agent, id) = (stored().delivery.recipient, stored().delivery.delivery_id);
        let first = stub.invocation().deliveries(&agent, None, 2).await.unwrap();
        assert_eq!(first, DeliveryPage { deliveries: vec![stored()], next: Some(id) });
        let second = stub.invocation().deliveries(&agent, first.next, 2).await.unwrap();
        assert_eq!(second, DeliveryPage::default());
        let bodies = stub.bodies();
        assert_eq!((&bodies[0]["ConsistentRead"], &bodies[0]["Limit"]), (&json!(true), &json!(2)));
        assert_eq!(bodies[1]["ExclusiveStartKey"]["deliveryId"]["S"], id.to_string());
    }

    #[tokio::test]
    async fn whoever_is_noted_first_is_right() {
        let stub = Stub::answering([Answer::condition_failed(&json!({}))]).await;
        let seen = StoredDelivery { next_at_ms: 7, ..stored() };
        let note = TurnNote { attempts: 4, pushed_to: Some("c=".to_owned()), next_at_ms: 8 };
        stub.invocation().note_turn(&seen, &note).await.unwrap();
        stub.invocation().note_turn(&seen, &TurnNote { pushed_to: None, ..note }).await.unwrap();
        stub.invocation().remove_delivery(&seen).await.unwrap();
        for body in stub.bodies() {
            assert_eq!(body["ConditionExpression"], "nextAt = :seen");
            assert_eq!(body["ExpressionAttributeValues"][":seen"]["N"], "7");
        }
        assert_eq!(stub.bodies()[0]["ExpressionAttributeValues"][":nextAt"]["N"], "8");
    }

    #[tokio::test]
    async fn an_acknowledgement_names_its_agent() {
        let stub = Stub::answering([Answer::ok(&json!({}))]).await;
        let delivery = stored().delivery;
        stub.invocation().acknowledge(&delivery.recipient, delivery.delivery_id).await.unwrap();
        let key = &stub.bodies()[0]["Key"];
        assert_eq!(key["recipientAgentDid"]["S"], delivery.recipient.as_str());
        assert_eq!(key["deliveryId"]["S"], delivery.delivery_id.to_string());
    }
}
