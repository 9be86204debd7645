//! The receipts table: the latest state of each receipt, and the mailboxes. Its items are in
//! [`receipt_items`](crate::receipt_items).

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use backbone::did::AgentDid;
use backbone::receipt::{Receipt, ReceiptKey, StoredReceipt};
use backbone::stores::{
    DeliveryState, MailboxItem, ReceiptStore, Recorded, StoreError, UnreadableItem, Waiting,
};
use backbone::trust::Pair;

use crate::attributes::{Item, Row, number, text};
use crate::batch_read::{ItemKey, read_items};
use crate::connections_table::{AGENT, connection_key, connection_row};
use crate::outside::{Invocation, unavailable};
use crate::receipt_items::{
    CORRELATION_ID, FRAME_ID, ITEM, PROCESSED_AT, SENDER, WAITING_PREFIX, stored_item, stored_key,
    stored_receipt, waiting_item, waiting_item_name, waiting_receipt,
};
use crate::settings::{CONNECTIONS_TABLE, RECEIPTS_TABLE, TRUST_TABLE};
use crate::trust_table::{KEY, agent_key, pair_homes, pair_key};

/// The condition of a state that was pushed. The same state may be written again: it may have waited before. Of two
/// recipients that speak of one message the first stays (contract 3.2), whatever the other's consumer has read.
///
/// The placeholders are short because they are sent with every receipt.
const IF_NOT_LATER: &str = "attribute_not_exists(processedAt) OR recipientAgentDid = :to \
     AND (processedAt < :at OR processedAt = :at AND frameId <= :id)";

/// The condition of a state that waits. It does not replace the same state once that is pushed: of two consumers of
/// one event, the one that found the sender offline must not undo what the other has done.
const IF_NOT_LATER_NOR_PUSHED: &str = "attribute_not_exists(processedAt) OR recipientAgentDid = :to \
     AND (processedAt < :at OR processedAt = :at \
     AND (frameId < :id OR frameId = :id AND attribute_not_exists(pushedAt)))";

/// The condition of a state that replaces a certain one. What it writes itself may be there too: the answer to an earlier
/// attempt was lost.
const IF_SEEN_SO: &str = "(processedAt = :seenAt AND frameId = :seenId AND pushedAt = :seenPushedAt) \
     OR (processedAt = :at AND frameId = :id AND pushedAt = :pushedAt)";
const IF_SEEN_SO_TO_WAIT: &str = "(processedAt = :seenAt AND frameId = :seenId AND pushedAt = :seenPushedAt) \
     OR (processedAt = :at AND frameId = :id AND attribute_not_exists(pushedAt))";

impl ReceiptStore for Invocation<'_> {
    /// An item that cannot be read is logged and counts as absent, so that it fails nothing but what it is about: its
    /// receipt is pushed again, and [`record`](ReceiptStore::record) decides whether it is replaced. One without a readable
    /// recipient is not: its receipts become dead letters.
    async fn read_for_delivery(
        &self,
        receipts: &[ReceiptKey],
        agents: &[AgentDid],
        pairs: &[Pair],
    ) -> Result<DeliveryState, StoreError> {
        const OPERATION: &str = "read_for_delivery";
        let receipts_table = self.setting(OPERATION, RECEIPTS_TABLE)?;
        let connections_table = self.setting(OPERATION, CONNECTIONS_TABLE)?;
        let trust_table = self.setting(OPERATION, TRUST_TABLE)?;
        let receipt_keys = receipts.iter().map(|key| stored_key(receipts_table, key));
        let connection_keys = agents.iter().map(|agent| connection_key(connections_table, agent));
        let revocation_keys = agents.iter().map(|agent| ItemKey::new(trust_table, [(KEY, agent_key(agent))]));
        let pair_keys = pairs.iter().map(|pair| ItemKey::new(trust_table, [(KEY, pair_key(pair))]));
        let keys: Vec<_> =
            receipt_keys.chain(connection_keys).chain(revocation_keys).chain(pair_keys).collect();
        let found = self.in_time(OPERATION, read_items(self.dynamodb(), OPERATION, keys)).await?;

        let rows = |table| rows_of(&found, table, OPERATION);
        let revoked: Vec<_> = rows(trust_table).filter_map(|row| row.find_text(KEY)).collect();
        Ok(DeliveryState {
            connections: rows(connections_table)
                .filter_map(|row| {
                    let agent = row.parse(AGENT, AgentDid::parse);
                    readable(row, AGENT, "", agent.and_then(|agent| Ok((agent, connection_row(row)?))))
                })
                .collect(),
            receipts: rows(receipts_table)
                .filter_map(|row| readable(row, SENDER, ITEM, stored_receipt(row)))
                .map(|stored| (stored.receipt.key(), stored))
                .collect(),
            revoked: agents
                .iter()
                .filter(|agent| revoked.contains(&agent_key(agent).as_str()))
                .cloned()
                .collect(),
            pairs: pairs
                .iter()
                .filter_map(|pair| {
                    let key = pair_key(pair);
                    let row = rows(trust_table).find(|row| row.find_text(KEY) == Some(&key))?;
                    Some((pair.clone(), readable(row, "", KEY, pair_homes(row))?))
                })
                .collect(),
        })
    }

    /// A state is later if its time is, at the same time if its frame id is larger, and the same state if it is pushed
    /// and the other waits.
    async fn record(&self, row: &StoredReceipt) -> Result<Recorded, StoreError> {
        let condition = if row.pushed_at_ms.is_some() { IF_NOT_LATER } else { IF_NOT_LATER_NOR_PUSHED };
        let recipient = text(row.receipt.recipient.as_str());
        self.put_stored("record", row, condition, vec![(":to", recipient)]).await
    }

    /// What is replaced must have been pushed; a waiting state is left to [`record`](ReceiptStore::record).
    async fn replace(&self, seen: &StoredReceipt, row: &StoredReceipt) -> Result<Recorded, StoreError> {
        let mut compared = vec![
            (":seenAt", number(seen.receipt.processed_at_ms)),
            (":seenId", text(seen.receipt.frame_id().to_string())),
            (":seenPushedAt", number(seen.pushed_at_ms.unwrap_or_default())),
        ];
        let condition = match row.pushed_at_ms {
            Some(pushed_at_ms) => {
                compared.push((":pushedAt", number(pushed_at_ms)));
                IF_SEEN_SO
            }
            None => IF_SEEN_SO_TO_WAIT,
        };
        self.put_stored("replace", row, condition, compared).await
    }

    /// One call, unless it waited already under another id, which is then put back. In between, or if that fails, it waits
    /// under the wrong id and is not lost.
    async fn keep_waiting(&self, waiting: &Waiting) -> Result<(), StoreError> {
        let replaced = self.put_waiting(waiting_item(waiting)).await?;
        match replaced.and_then(|mut item| item.remove(CORRELATION_ID)) {
            Some(id) if id.as_s().ok() != waiting.correlation_id.as_ref() => {
                let mut item = waiting_item(waiting);
                item.insert(CORRELATION_ID.to_owned(), id);
                self.put_waiting(item).await.map(drop)
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn stop_waiting(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.remove_item("stop_waiting", &receipt.sender, waiting_item_name(receipt)).await
    }

    /// One call, unless the items are so large that DynamoDB gives out fewer of them at once.
    async fn waiting(&self, agent: &AgentDid, limit: usize) -> Result<Vec<MailboxItem>, StoreError> {
        const OPERATION: &str = "waiting";
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let read = self
                .dynamodb()
                .query()
                .table_name(self.setting(OPERATION, RECEIPTS_TABLE)?)
                .key_condition_expression("senderAgentDid = :sender AND begins_with(#item, :waiting)")
                .expression_attribute_names("#item", ITEM)
                .expression_attribute_values(":sender", text(agent.as_str()))
                .expression_attribute_values(":waiting", text(WAITING_PREFIX))
                .consistent_read(true)
                .scan_index_forward(true)
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(after);
            let page =
                self.in_time(OPERATION, async { read.send().await.map_err(unavailable(OPERATION)) }).await?;
            items.extend(page.items.unwrap_or_default().iter().map(mailbox_item));
            after = page.last_evaluated_key;
            if after.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    async fn remove_unreadable(&self, agent: &AgentDid, item: &str) -> Result<(), StoreError> {
        self.remove_item("remove_unreadable", agent, item.to_owned()).await
    }

    async fn find(&self, key: &ReceiptKey) -> Result<Option<StoredReceipt>, StoreError> {
        const OPERATION: &str = "find";
        let read = self
            .dynamodb()
            .get_item()
            .table_name(self.setting(OPERATION, RECEIPTS_TABLE)?)
            .key(SENDER, text(key.sender.as_str()))
            .key(ITEM, text(key.request_id.to_string()))
            .consistent_read(true);
        let answer =
            self.in_time(OPERATION, async { read.send().await.map_err(unavailable(OPERATION)) }).await?;
        answer.item.map(|item| stored_receipt(Row { operation: OPERATION, item: &item })).transpose()
    }
}

impl Invocation<'_> {
    async fn put_stored(
        &self,
        operation: &'static str,
        row: &StoredReceipt,
        condition: &'static str,
        compared: Vec<(&'static str, AttributeValue)>,
    ) -> Result<Recorded, StoreError> {
        let item = stored_item(row);
        // A frame id is a hash: the item has it already.
        let values = [(":at", PROCESSED_AT), (":id", FRAME_ID)]
            .into_iter()
            .filter_map(|(placeholder, name)| Some((placeholder, item.get(name)?.clone())))
            .chain(compared)
            .map(|(placeholder, value)| (placeholder.to_owned(), value))
            .collect();
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(operation, RECEIPTS_TABLE)?)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values));
        self.in_time(operation, async {
            let Err(error) = write.send().await else { return Ok(Recorded::Stored) };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Recorded::Stale),
                _ => Err(unavailable(operation)(error)),
            }
        })
        .await
    }

    /// Puts an item into a mailbox and returns the one that had its name.
    async fn put_waiting(&self, item: Item) -> Result<Option<Item>, StoreError> {
        const OPERATION: &str = "keep_waiting";
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, RECEIPTS_TABLE)?)
            .set_item(Some(item))
            .return_values(ReturnValue::AllOld);
        let answer =
            self.in_time(OPERATION, async { write.send().await.map_err(unavailable(OPERATION)) }).await?;
        Ok(answer.attributes)
    }

    async fn remove_item(
        &self,
        operation: &'static str,
        sender: &AgentDid,
        item: String,
    ) -> Result<(), StoreError> {
        let write = self
            .dynamodb()
            .delete_item()
            .table_name(self.setting(operation, RECEIPTS_TABLE)?)
            .key(SENDER, text(sender.as_str()))
            .key(ITEM, text(item));
        self.in_time(operation, async { write.send().await.map(drop).map_err(unavailable(operation)) }).await
    }
}

/// Reads an item of a mailbox, or says what it looks like.
fn mailbox_item(item: &Item) -> MailboxItem {
    let row = Row { operation: "waiting", item };
    match waiting_receipt(row) {
        Ok(waiting) => MailboxItem::Readable(waiting),
        Err(error) => {
            row.log_unreadable(SENDER, ITEM, &error);
            // In a fixed order, so that the same item is the same dead letter.
            let attributes: BTreeMap<_, _> = item.iter().collect();
            let name = row.find_text(ITEM).unwrap_or_default().to_owned();
            MailboxItem::Unreadable(UnreadableItem { item: name, attributes: format!("{attributes:?}") })
        }
    }
}

fn rows_of<'a>(
    found: &'a HashMap<String, Vec<Item>>,
    table: &'a str,
    operation: &'static str,
) -> impl Iterator<Item = Row<'a>> {
    found.get(table).into_iter().flatten().map(move |item| Row { operation, item })
}

/// What was read, or nothing and a line for the operator; `agent` and `item` are the attributes that name the row.
fn readable<T>(row: Row<'_>, agent: &str, item: &str, read: Result<T, StoreError>) -> Option<T> {
    read.inspect_err(|error| row.log_unreadable(agent, item, error)).ok()
}

#[cfg(test)]
mod tests;
