//! The trust table, as operators change it.
//!
//! An agent is known as long as it has a pair. Pairs and the counts of both agents change in one transaction, so
//! that the counts stay right whoever pairs and unpairs at the same time.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use backbone::did::AgentDid;
use backbone::stores::{Clock, StoreError};
use backbone::trust::Pair;

use crate::attributes::{Row, number, text};
use crate::batch_read::{ItemKey, read_items};
use crate::outside::{Invocation, unavailable};
use crate::settings::TRUST_TABLE;
use crate::trust_table::{KEY, PAIRS, agent_key, known_key, pair_key};

const REASON: &str = "reason";
const REVOKED_AT: &str = "revokedAt";

/// What became of a change to a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "there may have been nothing to change"]
pub enum PairChange {
    /// It was made.
    Changed,
    /// It was so already. An agent and itself need no pair and never have one.
    Unchanged,
}

/// Why and since when an agent is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// In somebody's words.
    pub reason: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub revoked_at_ms: Option<u64>,
}

/// What is known of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentTrust {
    /// Its revocation, if it is revoked.
    pub revocation: Option<Revocation>,
    /// In how many pairs it is.
    pub pairs: u64,
}

impl Invocation<'_> {
    /// Pairs two agents.
    ///
    /// # Errors
    ///
    /// If the store does not answer; the pair may exist then.
    pub async fn put_pair(&self, one: &AgentDid, other: &AgentDid) -> Result<PairChange, StoreError> {
        const OPERATION: &str = "put_pair";
        let table = self.setting(OPERATION, TRUST_TABLE)?;
        let pair = Put::builder()
            .table_name(table)
            .item(KEY, text(pair_key(&Pair::of(one, other))))
            .item("pairedAt", number(self.now_ms()))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", KEY)
            .build()
            .map(|put| TransactWriteItem::builder().put(put).build());
        self.change_pair(OPERATION, pair, "1", [one, other]).await
    }

    /// Parts two agents.
    ///
    /// # Errors
    ///
    /// If the store does not answer; the pair may be gone then.
    pub async fn remove_pair(&self, one: &AgentDid, other: &AgentDid) -> Result<PairChange, StoreError> {
        const OPERATION: &str = "remove_pair";
        let table = self.setting(OPERATION, TRUST_TABLE)?;
        let pair = Delete::builder()
            .table_name(table)
            .key(KEY, text(pair_key(&Pair::of(one, other))))
            .condition_expression("attribute_exists(#key)")
            .expression_attribute_names("#key", KEY)
            .build()
            .map(|delete| TransactWriteItem::builder().delete(delete).build());
        self.change_pair(OPERATION, pair, "-1", [one, other]).await
    }

    /// Revokes an agent, from its next request on.
    ///
    /// # Errors
    ///
    /// If the store does not answer; the agent may be revoked then.
    pub async fn revoke_agent(&self, agent: &AgentDid, reason: Option<&str>) -> Result<(), StoreError> {
        const OPERATION: &str = "revoke_agent";
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, TRUST_TABLE)?)
            .item(KEY, text(agent_key(agent)))
            .item(REVOKED_AT, number(self.now_ms()));
        let write = match reason {
            Some(reason) => write.item(REASON, text(reason)),
            None => write,
        };
        self.in_time(OPERATION, async { write.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }

    /// Takes an agent's revocation back. Those of its tokens stay.
    ///
    /// # Errors
    ///
    /// If the store does not answer; the agent may be allowed then.
    pub async fn allow_agent(&self, agent: &AgentDid) -> Result<(), StoreError> {
        const OPERATION: &str = "allow_agent";
        let write = self
            .dynamodb()
            .delete_item()
            .table_name(self.setting(OPERATION, TRUST_TABLE)?)
            .key(KEY, text(agent_key(agent)))
            .send();
        self.in_time(OPERATION, async { write.await.map(drop).map_err(unavailable(OPERATION)) }).await
    }

    /// What is known of an agent.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn agent_trust(&self, agent: &AgentDid) -> Result<AgentTrust, StoreError> {
        const OPERATION: &str = "agent_trust";
        let table = self.setting(OPERATION, TRUST_TABLE)?;
        let (revoked, known) = (agent_key(agent), known_key(agent));
        let keys = [&revoked, &known].map(|key| ItemKey::new(table, [(KEY, key.clone())]));
        let found = self.in_time(OPERATION, read_items(self.dynamodb(), OPERATION, keys)).await?;
        let rows: Vec<_> =
            found.get(table).into_iter().flatten().map(|item| Row { operation: OPERATION, item }).collect();
        let find = |key: &str| rows.iter().find(|row| row.find_text(KEY) == Some(key));
        let revocation = find(&revoked).map(|row| Revocation {
            reason: row.find_text(REASON).map(str::to_owned),
            revoked_at_ms: row.find_number(REVOKED_AT),
        });
        let pairs = find(&known).and_then(|row| row.find_number(PAIRS)).unwrap_or_default();
        Ok(AgentTrust { revocation, pairs })
    }

    /// Makes one change to a pair's row and adds `difference` to the count of each of its agents. The row's condition
    /// decides over all three.
    async fn change_pair(
        &self,
        operation: &'static str,
        pair: Result<TransactWriteItem, BuildError>,
        difference: &str,
        agents: [&AgentDid; 2],
    ) -> Result<PairChange, StoreError> {
        let [one, other] = agents;
        if one == other {
            return Ok(PairChange::Unchanged);
        }
        let table = self.setting(operation, TRUST_TABLE)?;
        let mut write =
            self.dynamodb().transact_write_items().transact_items(pair.map_err(unavailable(operation))?);
        for agent in agents {
            let count = Update::builder()
                .table_name(table)
                .key(KEY, text(known_key(agent)))
                .update_expression("ADD #pairs :difference")
                .expression_attribute_names("#pairs", PAIRS)
                .expression_attribute_values(":difference", AttributeValue::N(difference.to_owned()))
                .build()
                .map_err(unavailable(operation))?;
            write = write.transact_items(TransactWriteItem::builder().update(count).build());
        }
        self.in_time(operation, async {
            match write.send().await {
                Ok(_) => Ok(PairChange::Changed),
                Err(error) if error.as_service_error().is_some_and(is_condition) => Ok(PairChange::Unchanged),
                Err(error) => Err(unavailable(operation)(error)),
            }
        })
        .await
    }
}

/// Whether the transaction was refused by its condition, and not because another one was under way.
fn is_condition(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else { return false };
    canceled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::stub::{Answer, Stub};

    fn did(ulid: &str) -> AgentDid {
        AgentDid::parse(&format!("did:cdi:a.com:agent:{ulid}")).unwrap()
    }

    fn agents() -> [AgentDid; 2] {
        [did("01KN0HGEG0QK6E4CV6JTD76TK7"), did("01KN0HGEG0G5PGG168DAWPBYT2")]
    }

    fn canceled(code: &str) -> Answer {
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "message": "Transaction cancelled",
            "CancellationReasons": [{ "Code": code }, { "Code": "None" }, { "Code": "None" }],
        });
        Answer::Http(400, body.to_string())
    }

    #[tokio::test]
    async fn a_pair_and_both_counts_change_together() {
        let [one, other] = agents();
        let stub = Stub::answering([Answer::ok(&json!({}))]).await;
        assert_eq!(stub.invocation().put_pair(&one, &other).await.unwrap(), PairChange::Changed);
        assert_eq!(stub.invocation().remove_pair(&one, &other).await.unwrap(), PairChange::Changed);
        let bodies = stub.bodies();
        let pair = json!({ "S": format!("pair#{other}|{one}") });
        assert_eq!(bodies[0]["TransactItems"][0]["Put"]["Item"]["key"], pair);
        assert_eq!(bodies[1]["TransactItems"][0]["Delete"]["Key"]["key"], pair);
        for (body, difference) in bodies.iter().zip(["1", "-1"]) {
            let updates: Vec<&Value> = (1..=2).map(|index| &body["TransactItems"][index]["Update"]).collect();
            for (update, agent) in updates.iter().zip([&one, &other]) {
                assert_eq!(update["Key"]["key"]["S"], format!("known#{agent}"));
                assert_eq!(update["ExpressionAttributeValues"][":difference"]["N"], difference);
            }
        }
    }

    #[tokio::test]
    async fn what_is_so_already_is_told_from_what_failed() {
        let [one, other] = agents();
        let stub = Stub::answering([canceled("ConditionalCheckFailed")]).await;
        assert_eq!(stub.invocation().put_pair(&one, &other).await.unwrap(), PairChange::Unchanged);
        let stub = Stub::answering([canceled("TransactionConflict")]).await;
        assert!(stub.invocation().put_pair(&one, &other).await.is_err());
    }

    #[tokio::test]
    async fn an_agent_needs_no_pair_with_itself() {
        let [one, _] = agents();
        let stub = Stub::answering([Answer::HangUp]).await;
        assert_eq!(stub.invocation().put_pair(&one, &one).await.unwrap(), PairChange::Unchanged);
        assert!(stub.seen().is_empty());
    }

    #[tokio::test]
    async fn what_is_known_of_an_agent_is_shown() {
        let [one, _] = agents();
        let rows = json!([
            { "key": { "S": agent_key(&one) }, "reason": { "S": "lost" }, "revokedAt": { "N": "7" } },
            { "key": { "S": known_key(&one) }, "pairs": { "N": "2" } },
        ]);
        let stub = Stub::answering([Answer::ok(&json!({ "Responses": { "trust": rows } }))]).await;
        let revocation = Revocation { reason: Some("lost".to_owned()), revoked_at_ms: Some(7) };
        let expected = AgentTrust { revocation: Some(revocation), pairs: 2 };
        assert_eq!(stub.invocation().agent_trust(&one).await.unwrap(), expected);
    }
}
