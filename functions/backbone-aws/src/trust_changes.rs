//! The trust table, as operators change it.
//!
//! An agent is known as long as it has a pair. Pairs and the counts of both agents change in one transaction, so
//! that the counts stay right whoever pairs and unpairs at the same time.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, ReturnValue, TransactWriteItem, Update};
use backbone::did::AgentDid;
use backbone::stores::{Clock, StoreError};
use backbone::trust::{Pair, PairHomes, PairSide};

use crate::attributes::{Item, Row, item, number, text};
use crate::batch_read::{ItemKey, read_items};
use crate::outside::{Invocation, unavailable};
use crate::settings::TRUST_TABLE;
use crate::trust_table::{
    FIRST_ORIGIN, KEY, PAIRS, REASON, REVOKED_AT, SECOND_ORIGIN, agent_key, known_key, pair_key,
};

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
    /// Pairs two agents. If they are paired already, the homes that are named replace those that are known.
    ///
    /// # Errors
    ///
    /// If the store does not answer; the pair may exist then.
    pub async fn put_pair(&self, one: &PairSide, other: &PairSide) -> Result<PairChange, StoreError> {
        const OPERATION: &str = "put_pair";
        let table = self.setting(OPERATION, TRUST_TABLE)?;
        let key = pair_key(&Pair::of(&one.agent, &other.agent));
        let homes = PairHomes::of(one, other);
        let row = item([(KEY, text(key.as_str())), ("pairedAt", number(self.now_ms()))]);
        let pair = Put::builder()
            .table_name(table)
            .set_item(Some(row.into_iter().chain(home_attributes(&homes)).collect()))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", KEY)
            .build()
            .map(|put| TransactWriteItem::builder().put(put).build());
        let change = self.change_pair(OPERATION, pair, "1", [&one.agent, &other.agent]).await?;
        if change == PairChange::Changed || one.agent == other.agent || homes.are_unknown() {
            return Ok(change);
        }
        self.put_homes(OPERATION, &key, &homes).await
    }

    /// Writes the homes that are known into the row of a pair that exists. The agents' counts stay as they are.
    async fn put_homes(
        &self,
        operation: &'static str,
        key: &str,
        homes: &PairHomes,
    ) -> Result<PairChange, StoreError> {
        let attributes = home_attributes(homes);
        let assignments: Vec<_> = attributes.keys().map(|name| format!("{name} = :{name}")).collect();
        let mut write = self
            .dynamodb()
            .update_item()
            .table_name(self.setting(operation, TRUST_TABLE)?)
            .key(KEY, text(key))
            .update_expression(format!("SET {}", assignments.join(", ")))
            .condition_expression("attribute_exists(#key)")
            .expression_attribute_names("#key", KEY)
            .return_values(ReturnValue::AllOld);
        for (name, value) in &attributes {
            write = write.expression_attribute_values(format!(":{name}"), value.clone());
        }
        // A pair that was removed in between is an error: what was asked for is to be asked for again.
        let answer =
            self.in_time(operation, async { write.send().await.map_err(unavailable(operation)) }).await?;
        let before = answer.attributes.unwrap_or_default();
        let is_as_before = attributes.iter().all(|(name, value)| before.get(name) == Some(value));
        Ok(if is_as_before { PairChange::Unchanged } else { PairChange::Changed })
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

    /// Takes an agent's revocation back; says whether there was one. Those of its tokens stay.
    ///
    /// # Errors
    ///
    /// If the store does not answer; the agent may be allowed then.
    pub async fn allow_agent(&self, agent: &AgentDid) -> Result<bool, StoreError> {
        const OPERATION: &str = "allow_agent";
        let write = self
            .dynamodb()
            .delete_item()
            .table_name(self.setting(OPERATION, TRUST_TABLE)?)
            .key(KEY, text(agent_key(agent)))
            .return_values(ReturnValue::AllOld);
        let answer =
            self.in_time(OPERATION, async { write.send().await.map_err(unavailable(OPERATION)) }).await?;
        Ok(answer.attributes.is_some_and(|old| !old.is_empty()))
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

/// The attributes of a pair's row that say where its agents are at home.
fn home_attributes(homes: &PairHomes) -> Item {
    [(FIRST_ORIGIN, &homes.first), (SECOND_ORIGIN, &homes.second)]
        .into_iter()
        .filter_map(|(name, home)| Some((name.to_owned(), text(home.as_ref()?.as_str()))))
        .collect()
}

/// Whether the transaction was refused by its condition, and not because another one was under way.
fn is_condition(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else { return false };
    canceled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

#[cfg(test)]
mod tests {
    use backbone::home::ProxyOrigin;
    use serde_json::{Value, json};

    use super::*;
    use crate::stub::{Answer, Stub};

    fn did(ulid: &str) -> AgentDid {
        AgentDid::parse(&format!("did:cdi:a.com:agent:{ulid}")).unwrap()
    }

    fn agents() -> [AgentDid; 2] {
        [did("01KN0HGEG0QK6E4CV6JTD76TK7"), did("01KN0HGEG0G5PGG168DAWPBYT2")]
    }

    /// The two agents as sides of a pair, the first of them at home at `origin`.
    fn sides(origin: Option<&str>) -> [PairSide; 2] {
        let [one, other] = agents();
        let home = origin.map(|origin| ProxyOrigin::parse(origin).unwrap());
        [PairSide { agent: one, home }, PairSide::of_unknown_home(other)]
    }

    async fn put(stub: &Stub, [one, other]: [PairSide; 2]) -> Result<PairChange, StoreError> {
        stub.invocation().put_pair(&one, &other).await
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
        assert_eq!(put(&stub, sides(Some("https://a.com"))).await.unwrap(), PairChange::Changed);
        assert_eq!(stub.invocation().remove_pair(&one, &other).await.unwrap(), PairChange::Changed);
        let bodies = stub.bodies();
        let pair = json!({ "S": format!("pair#{other}|{one}") });
        let row = &bodies[0]["TransactItems"][0]["Put"]["Item"];
        assert_eq!(row["key"], pair);
        assert_eq!(row["secondOrigin"], json!({ "S": "https://a.com" }), "{one} sorts second");
        assert!(row.get("firstOrigin").is_none(), "{other} is at home nobody said where");
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
        let stub = Stub::answering([canceled("ConditionalCheckFailed")]).await;
        assert_eq!(put(&stub, sides(None)).await.unwrap(), PairChange::Unchanged);
        assert_eq!(stub.seen().len(), 1, "nothing is known that could be written");
        let stub = Stub::answering([canceled("TransactionConflict")]).await;
        assert!(put(&stub, sides(None)).await.is_err());
    }

    #[tokio::test]
    async fn a_pair_that_exists_learns_its_homes_and_is_not_counted_again() {
        let exists = || canceled("ConditionalCheckFailed");
        for (before, change) in [
            (json!({}), PairChange::Changed),
            (json!({ "secondOrigin": { "S": "https://b.com" } }), PairChange::Changed),
            (json!({ "secondOrigin": { "S": "https://a.com" } }), PairChange::Unchanged),
        ] {
            let stub = Stub::answering([exists(), Answer::ok(&json!({ "Attributes": before }))]).await;
            assert_eq!(put(&stub, sides(Some("https://a.com"))).await.unwrap(), change);
            let update = &stub.bodies()[1];
            assert_eq!(update["UpdateExpression"], "SET secondOrigin = :secondOrigin");
            assert_eq!(
                update["ExpressionAttributeValues"],
                json!({ ":secondOrigin": { "S": "https://a.com" } })
            );
            assert_eq!(update["ConditionExpression"], "attribute_exists(#key)");
        }
        let stub = Stub::answering([exists(), Answer::condition_failed(&json!({}))]).await;
        assert!(put(&stub, sides(Some("https://a.com"))).await.is_err(), "it was removed in between");
    }

    #[tokio::test]
    async fn an_agent_needs_no_pair_with_itself() {
        let [side, _] = sides(Some("https://a.com"));
        let stub = Stub::answering([Answer::HangUp]).await;
        assert_eq!(put(&stub, [side.clone(), side]).await.unwrap(), PairChange::Unchanged);
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
