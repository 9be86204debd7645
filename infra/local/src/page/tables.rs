//! What is stored, read as far as a person looks.
//!
//! The functions' tables are described where they are written (`backbone-aws`). Here an item that cannot be read is
//! shown as far as it can be, as that is when somebody wants to see it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::types::AttributeValue;

use super::problem::Problem;
use super::stack::StackDescription;

/// How many items of a table are read at most. A page cannot show more, and a scan of the local DynamoDB that takes
/// seconds would hold up the functions.
const ITEMS_MAX: usize = 5_000;

const TABLES: &str = "the local DynamoDB";

/// The tables of a stack.
pub(super) struct Tables {
    client: Client,
    receipts: String,
    connections: String,
    trust: String,
}

/// Items of a table.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    /// Whether there are more than were read.
    pub(super) truncated: bool,
}

/// One item.
#[derive(Clone, Debug, Default)]
pub(super) struct Item(HashMap<String, AttributeValue>);

impl Item {
    /// The text `name`, if it is there and a text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_s().ok().cloned()
    }

    /// The number `name`, if it is there and a whole number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_n().ok()?.parse().ok()
    }
}

impl<const N: usize> From<[(&str, AttributeValue); N]> for Item {
    fn from(attributes: [(&str, AttributeValue); N]) -> Self {
        Self(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl Tables {
    pub(super) fn of(stack: &StackDescription) -> Self {
        Self {
            client: Client::new(&stack.sdk_config()),
            receipts: stack.output(StackDescription::RECEIPTS_TABLE).to_owned(),
            connections: stack.output(StackDescription::CONNECTIONS_TABLE).to_owned(),
            trust: stack.output(StackDescription::TRUST_TABLE).to_owned(),
        }
    }

    /// Receipts and waiting items. Where there are too many, those of `sender` come in addition.
    pub(super) async fn receipts(&self, sender: Option<&str>) -> Result<Items, Problem> {
        let mut found = self.scan(&self.receipts, None).await?;
        let Some(sender) = sender.filter(|_| found.truncated) else { return Ok(found) };
        let pages = self
            .client
            .query()
            .table_name(&self.receipts)
            .key_condition_expression("senderAgentDid = :sender")
            .expression_attribute_values(":sender", AttributeValue::S(sender.to_owned()))
            .into_paginator()
            .send();
        let of_sender = collect(pages, |page| page.items.unwrap_or_default()).await?;
        found.items.extend(of_sender.items);
        Ok(found)
    }

    /// One row per agent that has ever connected.
    pub(super) async fn connections(&self) -> Result<Items, Problem> {
        self.scan(&self.connections, None).await
    }

    /// The revocations of agents.
    pub(super) async fn revocations(&self) -> Result<Items, Problem> {
        self.scan(&self.trust, Some("agent#")).await
    }

    /// All items, or those whose `key` begins with `prefix`.
    async fn scan(&self, table: &str, prefix: Option<&str>) -> Result<Items, Problem> {
        let mut scan = self.client.scan().table_name(table);
        if let Some(prefix) = prefix {
            scan = scan
                .filter_expression("begins_with(#key, :prefix)")
                .expression_attribute_names("#key", "key")
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
        }
        collect(scan.into_paginator().send(), |page: ScanOutput| page.items.unwrap_or_default()).await
    }
}

/// Reads pages until there are enough items.
async fn collect<P, E: std::error::Error + Send + Sync + 'static>(
    mut pages: aws_smithy_async::future::pagination_stream::PaginationStream<Result<P, E>>,
    items_of: impl Fn(P) -> Vec<HashMap<String, AttributeValue>>,
) -> Result<Items, Problem> {
    let mut found = Items::default();
    while let Some(page) = pages.next().await {
        let page = page.map_err(Problem::unavailable(TABLES))?;
        found.items.extend(items_of(page).into_iter().map(Item));
        if found.items.len() > ITEMS_MAX {
            found.items.truncate(ITEMS_MAX);
            found.truncated = true;
            break;
        }
    }
    Ok(found)
}
