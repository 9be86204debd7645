//! The receipts and connections tables, as operators look through them: whole partitions and whole tables, page by page.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use backbone::connection::ConnectionRow;
use backbone::did::AgentDid;
use backbone::receipt::StoredReceipt;
use backbone::stores::{StoreError, Waiting};

use crate::attributes::{Item, Row, text};
use crate::connections_table::{AGENT, connection_row};
use crate::outside::{Invocation, unavailable};
use crate::receipt_items::{ITEM, SENDER, WAITING_PREFIX, stored_receipt, waiting_receipt};
use crate::settings::{CONNECTIONS_TABLE, RECEIPTS_TABLE};

/// One page of something, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, K> {
    /// What is on it.
    pub items: Vec<T>,
    /// The last key that was looked at, `None` if nothing is behind it.
    pub next: Option<K>,
}

/// An item of an agent's receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentReceipt {
    /// The latest state of a receipt.
    State(StoredReceipt),
    /// A state that waits for its sender.
    Waiting(Waiting),
    /// An item by its name, and what is wrong with it.
    Unreadable(String, String),
}

/// An agent's row of the connections table, or what is wrong with it.
pub type AgentConnection = (String, Result<ConnectionRow, StoreError>);

impl Invocation<'_> {
    /// The receipts about an agent's messages: their latest states and those that wait. `after` is a page's
    /// [`next`](Page::next).
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn receipts_of(
        &self,
        agent: &AgentDid,
        after: Option<&str>,
    ) -> Result<Page<AgentReceipt, String>, StoreError> {
        const OPERATION: &str = "receipts_of";
        let query =
            self.receipts_query(OPERATION, agent)?.key_condition_expression("senderAgentDid = :sender");
        self.receipts_page(OPERATION, query, agent, after).await
    }

    /// An agent's mailbox, oldest first. `after` is a page's [`next`](Page::next).
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn mailbox_of(
        &self,
        agent: &AgentDid,
        after: Option<&str>,
    ) -> Result<Page<AgentReceipt, String>, StoreError> {
        const OPERATION: &str = "mailbox_of";
        let query = self
            .receipts_query(OPERATION, agent)?
            .key_condition_expression("senderAgentDid = :sender AND begins_with(#item, :waiting)")
            .expression_attribute_names("#item", ITEM)
            .expression_attribute_values(":waiting", text(WAITING_PREFIX));
        self.receipts_page(OPERATION, query, agent, after).await
    }

    /// The rows of all agents that are, or lately were, connected. `after` is a page's [`next`](Page::next).
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn all_connections(
        &self,
        after: Option<&str>,
    ) -> Result<Page<AgentConnection, String>, StoreError> {
        const OPERATION: &str = "all_connections";
        let mut scan = self.dynamodb().scan().table_name(self.setting(OPERATION, CONNECTIONS_TABLE)?);
        if let Some(after) = after {
            scan = scan.exclusive_start_key(AGENT, text(after));
        }
        let page =
            self.in_time(OPERATION, async { scan.send().await.map_err(unavailable(OPERATION)) }).await?;
        let rows = page.items.unwrap_or_default();
        let items = rows.iter().map(|item| Row { operation: OPERATION, item });
        Ok(Page {
            items: items
                .map(|row| (row.find_text(AGENT).unwrap_or_default().to_owned(), connection_row(row)))
                .collect(),
            next: page.last_evaluated_key.and_then(|key| Some(key.get(AGENT)?.as_s().ok()?.clone())),
        })
    }

    fn receipts_query(
        &self,
        operation: &'static str,
        agent: &AgentDid,
    ) -> Result<QueryFluentBuilder, StoreError> {
        let query = self.dynamodb().query().table_name(self.setting(operation, RECEIPTS_TABLE)?);
        Ok(query.expression_attribute_values(":sender", text(agent.as_str())).consistent_read(true))
    }

    async fn receipts_page(
        &self,
        operation: &'static str,
        mut query: QueryFluentBuilder,
        agent: &AgentDid,
        after: Option<&str>,
    ) -> Result<Page<AgentReceipt, String>, StoreError> {
        if let Some(after) = after {
            query = query
                .exclusive_start_key(SENDER, text(agent.as_str()))
                .exclusive_start_key(ITEM, text(after));
        }
        let page =
            self.in_time(operation, async { query.send().await.map_err(unavailable(operation)) }).await?;
        Ok(Page {
            items: page.items.unwrap_or_default().iter().map(|item| agent_receipt(operation, item)).collect(),
            next: page.last_evaluated_key.and_then(|key| Some(key.get(ITEM)?.as_s().ok()?.clone())),
        })
    }
}

fn agent_receipt(operation: &'static str, item: &Item) -> AgentReceipt {
    let row = Row { operation, item };
    let name = row.find_text(ITEM).unwrap_or_default();
    let read = if name.starts_with(WAITING_PREFIX) {
        waiting_receipt(row).map(AgentReceipt::Waiting)
    } else {
        stored_receipt(row).map(AgentReceipt::State)
    };
    read.unwrap_or_else(|error| AgentReceipt::Unreadable(name.to_owned(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::receipt_items::tests::receipt;
    use crate::stub::{Answer, Stub};

    #[tokio::test]
    async fn pages_follow_each_other_and_a_broken_item_is_shown_as_such() {
        let agent = receipt(None).sender;
        let page = json!({
            "Items": [{ "senderAgentDid": { "S": agent.as_str() }, "item": { "S": "waiting#x" } }],
            "LastEvaluatedKey": { "senderAgentDid": { "S": agent.as_str() }, "item": { "S": "waiting#x" } },
        });
        let stub = Stub::answering([Answer::ok(&page), Answer::ok(&json!({}))]).await;
        let first = stub.invocation().mailbox_of(&agent, None).await.unwrap();
        let AgentReceipt::Unreadable(name, _) = &first.items[0] else { panic!("{first:?}") };
        assert_eq!((name.as_str(), first.next.as_deref()), ("waiting#x", Some("waiting#x")));
        let second = stub.invocation().mailbox_of(&agent, first.next.as_deref()).await.unwrap();
        assert_eq!((second.items.len(), second.next), (0, None));
        let bodies = stub.bodies();
        assert_eq!(bodies[0].get("ExclusiveStartKey"), None);
        assert_eq!(bodies[1]["ExclusiveStartKey"]["item"]["S"], "waiting#x");
    }

    #[tokio::test]
    async fn a_connections_row_that_cannot_be_read_hides_no_other() {
        let page = json!({ "Items": [
            { "agentDid": { "S": "a" }, "connectionId": { "S": "half" } },
            { "agentDid": { "S": "b" }, "connectedAt": { "N": "1" } },
        ] });
        let stub = Stub::answering([Answer::ok(&page)]).await;
        let rows = stub.invocation().all_connections(None).await.unwrap().items;
        assert!(rows[0].0 == "a" && rows[0].1.is_err());
        assert!(rows[1].0 == "b" && rows[1].1.is_ok());
    }
}
