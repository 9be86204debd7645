//! What the receipts table holds about one sender.

use std::collections::{BTreeMap, BTreeSet};

use acceptance::stack::Stack;
use aws_sdk_dynamodb::types::AttributeValue;

const WAITING_PREFIX: &str = "waiting#";

/// A sender's partition, read whole.
#[derive(Debug, Default)]
pub(super) struct MailboxRows {
    /// Whether each receipt is on record as pushed, by the id of its message.
    pub(super) pushed: BTreeMap<String, bool>,
    /// The messages whose receipt waits.
    pub(super) waiting: BTreeSet<String>,
}

impl MailboxRows {
    pub(super) async fn of(stack: &Stack, sender_did: &str) -> Self {
        let mut pages = stack
            .dynamodb()
            .query()
            .table_name(&stack.outputs.receipts_table)
            .consistent_read(true)
            .key_condition_expression("senderAgentDid = :sender")
            .expression_attribute_values(":sender", AttributeValue::S(sender_did.to_owned()))
            .into_paginator()
            .items()
            .send();
        let mut rows = Self::default();
        while let Some(row) = pages.next().await {
            let row = row.unwrap();
            let message = row["requestId"].as_s().unwrap().clone();
            if row["item"].as_s().unwrap().starts_with(WAITING_PREFIX) {
                rows.waiting.insert(message);
            } else {
                rows.pushed.insert(message, row.contains_key("pushedAt"));
            }
        }
        rows
    }
}
