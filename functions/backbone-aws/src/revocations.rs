//! The trust table, as `registry-events` changes it, and the connections table, as it goes through it.

use std::collections::{BTreeSet, HashSet};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::stores::{Clock, ConnectionPages, CrlSnapshot, LiveAgents, Revoking, StoreError, TrustChanges};
use backbone::trust::PairSide;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::attributes::{Row, number, text};
use crate::batch_read::{ItemKey, read_items};
use crate::connections_table::AGENT;
use crate::outside::{Invocation, unavailable};
use crate::settings::{CONNECTIONS_TABLE, TRUST_TABLE};
use crate::trust_table::{KEY, REASON, REGISTRY_CRL, REGISTRY_KEYS, REVOKED_AT, agent_key, jti_key};

/// Rows looked up in one operation: ten calls of DynamoDB, far from the time that an operation has.
const ROWS_PER_OPERATION: usize = 1_000;
/// Such operations under way at once. Every change of the revocation list looks all its entries up.
const OPERATIONS_AT_ONCE: usize = 4;

impl TrustChanges for Invocation<'_> {
    /// The first revocation's time and reason are those that an operator wants to see.
    async fn revoke_agent(&self, agent: &AgentDid, reason: Option<&str>) -> Result<Revoking, StoreError> {
        const OPERATION: &str = "revoke_agent";
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, TRUST_TABLE)?)
            .item(KEY, text(agent_key(agent)))
            .item(REVOKED_AT, number(self.now_ms()))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", KEY);
        let write = match reason {
            Some(reason) => write.item(REASON, text(reason)),
            None => write,
        };
        self.in_time(OPERATION, async {
            let Err(error) = write.send().await else { return Ok(Revoking::New) };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Revoking::Known),
                _ => Err(unavailable(OPERATION)(error)),
            }
        })
        .await
    }

    async fn revoke_token(&self, jti: Id, agent: &AgentDid) -> Result<(), StoreError> {
        const OPERATION: &str = "revoke_token";
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, TRUST_TABLE)?)
            .item(KEY, text(jti_key(jti)))
            .item(AGENT, text(agent.as_str()))
            .item(REVOKED_AT, number(self.now_ms()));
        self.in_time(OPERATION, async { write.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }

    async fn revoked_tokens(&self, jtis: &[Id]) -> Result<HashSet<Id>, StoreError> {
        let found = self.trust_rows_of("revoked_tokens", jtis, |jti| jti_key(*jti)).await?;
        Ok(found.into_iter().copied().collect())
    }

    async fn revoked_agents(&self, agents: &[AgentDid]) -> Result<BTreeSet<AgentDid>, StoreError> {
        let found = self.trust_rows_of("revoked_agents", agents, agent_key).await?;
        Ok(found.into_iter().cloned().collect())
    }

    async fn keep_keys(&self, body: &str, at_ms: u64) -> Result<(), StoreError> {
        const OPERATION: &str = "keep_keys";
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, TRUST_TABLE)?)
            .item(KEY, text(REGISTRY_KEYS))
            .item("body", text(body))
            .item("fetchedAt", number(at_ms));
        self.in_time(OPERATION, async { write.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }

    async fn keep_crl_snapshot(&self, snapshot: &CrlSnapshot) -> Result<(), StoreError> {
        const OPERATION: &str = "keep_crl_snapshot";
        let count = u64::try_from(snapshot.count).unwrap_or(u64::MAX);
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, TRUST_TABLE)?)
            .item(KEY, text(REGISTRY_CRL))
            .item("fetchedAt", number(snapshot.fetched_at_ms))
            .item("count", number(count))
            .item("hash", text(&snapshot.hash));
        let write = match snapshot.issued_at_s {
            Some(issued_at_s) => write.item("iat", number(issued_at_s)),
            None => write,
        };
        self.in_time(OPERATION, async { write.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }

    async fn keep_pair(&self, one: &PairSide, other: &PairSide) -> Result<(), StoreError> {
        let _ = self.put_pair(one, other).await?;
        Ok(())
    }
}

impl ConnectionPages for Invocation<'_> {
    /// One page of a scan, of at most 1 MB before the rows without a socket are left out.
    async fn live_agents(&self, after: Option<&AgentDid>) -> Result<LiveAgents, StoreError> {
        const OPERATION: &str = "live_agents";
        let mut scan = self
            .dynamodb()
            .scan()
            .table_name(self.setting(OPERATION, CONNECTIONS_TABLE)?)
            .filter_expression("attribute_exists(connectionId)")
            .projection_expression(AGENT)
            .consistent_read(true);
        if let Some(after) = after {
            scan = scan.exclusive_start_key(AGENT, text(after.as_str()));
        }
        let page =
            self.in_time(OPERATION, async { scan.send().await.map_err(unavailable(OPERATION)) }).await?;
        let agent = |item| Row { operation: OPERATION, item }.parse(AGENT, AgentDid::parse);
        Ok(LiveAgents {
            agents: page.items().iter().map(agent).collect::<Result<_, _>>()?,
            next: page.last_evaluated_key().map(agent).transpose()?,
        })
    }
}

impl Invocation<'_> {
    /// Those of `wanted` whose row in the trust table exists, strongly consistent.
    async fn trust_rows_of<'w, T>(
        &self,
        operation: &'static str,
        wanted: &'w [T],
        key: impl Fn(&T) -> String,
    ) -> Result<Vec<&'w T>, StoreError> {
        let table = self.setting(operation, TRUST_TABLE)?;
        let reads: Vec<_> = wanted
            .chunks(ROWS_PER_OPERATION)
            .map(|wanted| {
                let keys: Vec<_> =
                    wanted.iter().map(|wanted| ItemKey::new(table, [(KEY, key(wanted))])).collect();
                self.in_time(operation, read_items(self.dynamodb(), operation, keys))
            })
            .collect();
        let pages: Vec<_> = stream::iter(reads).buffered(OPERATIONS_AT_ONCE).try_collect().await?;
        let rows = pages.iter().filter_map(|found| found.get(table)).flatten();
        let found: HashSet<_> = rows.filter_map(|item| Row { operation, item }.find_text(KEY)).collect();
        Ok(wanted.iter().filter(|wanted| found.contains(key(wanted).as_str())).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stub::{Answer, NOW_MS, Stub};

    const ONE: &str = "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";
    const OTHER: &str = "did:cdi:a.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";

    fn did(text: &str) -> AgentDid {
        AgentDid::parse(text).unwrap()
    }

    #[tokio::test]
    async fn an_earlier_revocation_stays_as_it_was() {
        let stub = Stub::answering([Answer::ok(&json!({})), Answer::condition_failed(&json!({}))]).await;
        let invocation = stub.invocation();
        assert_eq!(invocation.revoke_agent(&did(ONE), Some("lost")).await.unwrap(), Revoking::New);
        assert_eq!(invocation.revoke_agent(&did(ONE), None).await.unwrap(), Revoking::Known);
        let body = &stub.bodies()[0];
        assert_eq!(body["ConditionExpression"], "attribute_not_exists(#key)");
        let expected = json!({ "key": { "S": format!("agent#{ONE}") }, "reason": { "S": "lost" },
            "revokedAt": { "N": NOW_MS.to_string() } });
        assert_eq!(body["Item"], expected);
        let stub = Stub::answering([Answer::Http(400, "{}".to_owned())]).await;
        assert!(stub.invocation().revoke_agent(&did(ONE), None).await.is_err(), "an unknown answer is none");
    }

    #[tokio::test]
    async fn who_is_revoked_is_read_from_the_rows() {
        let rows = json!([{ "key": { "S": format!("agent#{OTHER}") } }]);
        let stub = Stub::answering([Answer::ok(&json!({ "Responses": { "trust": rows } }))]).await;
        let revoked = stub.invocation().revoked_agents(&[did(ONE), did(OTHER)]).await.unwrap();
        assert_eq!(revoked, BTreeSet::from([did(OTHER)]));
        assert_eq!(stub.bodies()[0]["RequestItems"]["trust"]["ConsistentRead"], true);
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_an_empty_one_is_not_the_last() {
        let first = json!({ "Items": [], "LastEvaluatedKey": { "agentDid": { "S": ONE } } });
        let last = json!({ "Items": [{ "agentDid": { "S": OTHER } }] });
        let stub = Stub::answering([Answer::ok(&first), Answer::ok(&last)]).await;
        let page = stub.invocation().live_agents(None).await.unwrap();
        assert_eq!(page, LiveAgents { agents: Vec::new(), next: Some(did(ONE)) });
        let page = stub.invocation().live_agents(page.next.as_ref()).await.unwrap();
        assert_eq!(page, LiveAgents { agents: vec![did(OTHER)], next: None });
        let bodies = stub.bodies();
        assert_eq!(bodies[0]["ConsistentRead"], true);
        assert_eq!(bodies[1]["ExclusiveStartKey"], json!({ "agentDid": { "S": ONE } }));
    }

    #[tokio::test]
    async fn the_registrys_word_is_kept_with_its_time() {
        let stub = Stub::answering([Answer::ok(&json!({}))]).await;
        let snapshot =
            CrlSnapshot { fetched_at_ms: NOW_MS, issued_at_s: None, count: 0, hash: "h".to_owned() };
        stub.invocation().keep_crl_snapshot(&snapshot).await.unwrap();
        stub.invocation().keep_keys("{}", NOW_MS).await.unwrap();
        let bodies = stub.bodies();
        let expected = json!({ "key": { "S": "registry#crl" }, "fetchedAt": { "N": NOW_MS.to_string() },
            "count": { "N": "0" }, "hash": { "S": "h" } });
        assert_eq!(bodies[0]["Item"], expected);
        assert_eq!(bodies[1]["Item"]["body"]["S"], "{}");
    }
}
