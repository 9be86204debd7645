//! The connections table: one row per agent, key `agentDid`.
//!
//! | attribute | holds |
//! |---|---|
//! | `connectionId`, `connectedAt`, `leaseExpiresAt` (ms) | the newest socket; once gone it loses its `connectionId` |
//! | `drainStartedAt`, `drainAnnouncedAt` (ms) | when that socket was drained first, and a drain of it last announced |
//! | `quickSupersedes`, `shortLives`, `shortLivesSince`, `lastDrainAt` (ms) | the history of the sockets before it |
//! | `expiresAt` (s) | for DynamoDB's own clean-up |

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use backbone::connection::{ConnectionHistory, ConnectionRef, ConnectionRow, Live};
use backbone::did::AgentDid;
use backbone::stores::{Claimed, ConnectionStore, StoreError};

use crate::attributes::{Row, number, text};
use crate::batch_read::ItemKey;
use crate::outside::{Invocation, unavailable};
use crate::settings::CONNECTIONS_TABLE;

/// The key attribute of this table.
pub(crate) const AGENT: &str = "agentDid";
const CONNECTION_ID: &str = "connectionId";

/// How long a row outlives its last lease, for the sake of its history, in seconds.
const KEPT_AFTER_LEASE_S: u64 = 7 * 24 * 60 * 60;

/// Where the row of `agent` is.
pub(crate) fn connection_key<'a>(table: &'a str, agent: &AgentDid) -> ItemKey<'a> {
    ItemKey::new(table, [(AGENT, agent.to_string())])
}

/// Reads a row.
pub(crate) fn connection_row(row: Row<'_>) -> Result<ConnectionRow, StoreError> {
    let live = match row.find_text(CONNECTION_ID) {
        Some(connection_id) => Some(Live {
            connection_id: connection_id.to_owned(),
            connected_at_ms: row.number("connectedAt")?,
            lease_expires_at_ms: row.number("leaseExpiresAt")?,
        }),
        None => None,
    };
    let ms = |name| Ok(row.optional_number(name)?.unwrap_or_default());
    let count = |name| Ok(u32::try_from(ms(name)?).unwrap_or(u32::MAX));
    Ok(ConnectionRow {
        live,
        drain_started_at_ms: row.optional_number("drainStartedAt")?,
        drain_announced_at_ms: row.optional_number("drainAnnouncedAt")?,
        history: ConnectionHistory {
            quick_supersedes: count("quickSupersedes")?,
            short_lives: count("shortLives")?,
            short_lives_since_ms: ms("shortLivesSince")?,
            last_drain_ms: ms("lastDrainAt")?,
        },
    })
}

impl ConnectionStore for Invocation<'_> {
    async fn connection(&self, agent: &AgentDid) -> Result<ConnectionRow, StoreError> {
        const OPERATION: &str = "connection";
        let read = self
            .dynamodb()
            .get_item()
            .table_name(self.setting(OPERATION, CONNECTIONS_TABLE)?)
            .key(AGENT, text(agent.as_str()))
            .consistent_read(true);
        let answer =
            self.in_time(OPERATION, async { read.send().await.map_err(unavailable(OPERATION)) }).await?;
        match &answer.item {
            Some(item) => connection_row(Row { operation: OPERATION, item }),
            None => Ok(ConnectionRow::default()),
        }
    }

    /// The condition compares the socket only: a history that changes in between does not matter. If the row names the
    /// newcomer already, the SDK has repeated a call whose answer was lost.
    async fn claim_connection(
        &self,
        newcomer: &ConnectionRef,
        lease_expires_at_ms: u64,
        history: &ConnectionHistory,
        seen: &ConnectionRow,
    ) -> Result<Claimed, StoreError> {
        const OPERATION: &str = "claim_connection";
        let write = self
            .connection_update(OPERATION, &newcomer.agent)?
            .update_expression(
                "SET connectionId = :id, connectedAt = :connectedAt, leaseExpiresAt = :leaseExpiresAt, \
                 quickSupersedes = :quickSupersedes, shortLives = :shortLives, \
                 shortLivesSince = :shortLivesSince, lastDrainAt = :lastDrainAt, expiresAt = :expiresAt \
                 REMOVE drainStartedAt, drainAnnouncedAt",
            )
            .expression_attribute_values(":id", text(newcomer.connection_id.as_str()))
            .expression_attribute_values(":connectedAt", number(newcomer.connected_at_ms))
            .expression_attribute_values(":leaseExpiresAt", number(lease_expires_at_ms))
            .expression_attribute_values(":quickSupersedes", number(history.quick_supersedes))
            .expression_attribute_values(":shortLives", number(history.short_lives))
            .expression_attribute_values(":shortLivesSince", number(history.short_lives_since_ms))
            .expression_attribute_values(":lastDrainAt", number(history.last_drain_ms))
            .expression_attribute_values(
                ":expiresAt",
                number(lease_expires_at_ms / 1_000 + KEPT_AFTER_LEASE_S),
            )
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let write = match &seen.live {
            Some(live) => write
                .condition_expression("connectionId = :seenId AND connectedAt = :seenConnectedAt")
                .expression_attribute_values(":seenId", text(live.connection_id.as_str()))
                .expression_attribute_values(":seenConnectedAt", number(live.connected_at_ms)),
            None => write.condition_expression("attribute_not_exists(connectionId)"),
        };
        self.in_time(OPERATION, async {
            let Err(error) = write.send().await else { return Ok(Claimed::Claimed) };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    let current = refused.item().and_then(|item| item.get(CONNECTION_ID)?.as_s().ok());
                    let ours = current.is_some_and(|current| *current == newcomer.connection_id);
                    Ok(if ours { Claimed::Claimed } else { Claimed::Changed })
                }
                _ => Err(unavailable(OPERATION)(error)),
            }
        })
        .await
    }

    async fn clear_connection(&self, agent: &AgentDid, connection_id: &str) -> Result<(), StoreError> {
        const OPERATION: &str = "clear_connection";
        let write = self
            .connection_update(OPERATION, agent)?
            .update_expression("REMOVE connectionId")
            .condition_expression("connectionId = :id")
            .expression_attribute_values(":id", text(connection_id));
        self.update_if(OPERATION, write).await
    }

    async fn note_drain(&self, connection: &ConnectionRef, at_ms: u64) -> Result<(), StoreError> {
        const OPERATION: &str = "note_drain";
        let write = self
            .connection_update(OPERATION, &connection.agent)?
            .update_expression("SET drainStartedAt = :at")
            .condition_expression("connectionId = :id AND attribute_not_exists(drainStartedAt)")
            .expression_attribute_values(":at", number(at_ms))
            .expression_attribute_values(":id", text(connection.connection_id.as_str()));
        self.update_if(OPERATION, write).await
    }

    async fn note_drain_announced(&self, connection: &ConnectionRef, at_ms: u64) -> Result<(), StoreError> {
        const OPERATION: &str = "note_drain_announced";
        let write = self
            .connection_update(OPERATION, &connection.agent)?
            .update_expression("SET drainAnnouncedAt = :at")
            .condition_expression("connectionId = :id")
            .expression_attribute_values(":at", number(at_ms))
            .expression_attribute_values(":id", text(connection.connection_id.as_str()));
        self.update_if(OPERATION, write).await
    }

    async fn end_quarantine(&self, connection: &ConnectionRef) -> Result<(), StoreError> {
        const OPERATION: &str = "end_quarantine";
        let write = self
            .connection_update(OPERATION, &connection.agent)?
            .update_expression("SET shortLives = :none")
            .condition_expression("connectionId = :id")
            .expression_attribute_values(":none", number(0_u32))
            .expression_attribute_values(":id", text(connection.connection_id.as_str()));
        self.update_if(OPERATION, write).await
    }
}

impl Invocation<'_> {
    fn connection_update(
        &self,
        operation: &'static str,
        agent: &AgentDid,
    ) -> Result<UpdateItemFluentBuilder, StoreError> {
        let table = self.setting(operation, CONNECTIONS_TABLE)?;
        Ok(self.dynamodb().update_item().table_name(table).key(AGENT, text(agent.as_str())))
    }

    /// Makes a change that is not to be made if its condition does not hold.
    pub(crate) async fn update_if(
        &self,
        operation: &'static str,
        write: UpdateItemFluentBuilder,
    ) -> Result<(), StoreError> {
        self.in_time(operation, async {
            let Err(error) = write.send().await else { return Ok(()) };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(unavailable(operation)(error)),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::attributes::item;
    use crate::stub::{Answer, Stub};

    const HISTORY: ConnectionHistory =
        ConnectionHistory { quick_supersedes: 1, short_lives: 2, short_lives_since_ms: 3, last_drain_ms: 4 };

    fn newcomer() -> ConnectionRef {
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        ConnectionRef { agent, connection_id: "new=".to_owned(), connected_at_ms: 2_000 }
    }

    fn live(connection_id: &str, connected_at_ms: u64) -> Live {
        let connection_id = connection_id.to_owned();
        Live { connection_id, connected_at_ms, lease_expires_at_ms: connected_at_ms + 7_500_000 }
    }

    #[tokio::test]
    async fn a_row_is_read_as_it_is_written() {
        let stub = Stub::answering([Answer::ok(&json!({}))]).await;
        let seen = ConnectionRow { live: Some(live("old=", 1_000)), ..ConnectionRow::default() };
        let claimed = stub.invocation().claim_connection(&newcomer(), 7_502_000, &HISTORY, &seen).await;
        assert_eq!(claimed.unwrap(), Claimed::Claimed);
        let body = &stub.bodies()[0];
        assert_eq!(body["ConditionExpression"], "connectionId = :seenId AND connectedAt = :seenConnectedAt");
        let value = |name: &str| body["ExpressionAttributeValues"][name].clone();
        let stored = json!({ "Item": {
            "connectionId": value(":id"), "connectedAt": value(":connectedAt"),
            "leaseExpiresAt": value(":leaseExpiresAt"), "quickSupersedes": value(":quickSupersedes"),
            "shortLives": value(":shortLives"), "shortLivesSince": value(":shortLivesSince"),
            "lastDrainAt": value(":lastDrainAt"),
        } });
        let stub = Stub::answering([Answer::ok(&stored)]).await;
        let expected =
            ConnectionRow { live: Some(live("new=", 2_000)), history: HISTORY, ..ConnectionRow::default() };
        assert_eq!(stub.invocation().connection(&newcomer().agent).await.unwrap(), expected);
    }

    #[test]
    fn a_row_without_a_socket_keeps_its_history_and_half_a_socket_is_corrupt() {
        let gone = item([
            ("connectedAt", number(1_u64)),
            ("drainStartedAt", number(5_u64)),
            ("shortLives", number(2_u64)),
        ]);
        let gone = connection_row(Row { operation: "test", item: &gone }).unwrap();
        let history = ConnectionHistory { short_lives: 2, ..ConnectionHistory::default() };
        assert_eq!(gone, ConnectionRow { drain_started_at_ms: Some(5), history, ..ConnectionRow::default() });
        let half = item([("connectionId", text("x"))]);
        assert!(connection_row(Row { operation: "test", item: &half }).is_err());
    }

    #[tokio::test]
    async fn a_lost_race_is_told_from_our_own_repetition() {
        for (current, expected) in [("third=", Claimed::Changed), ("new=", Claimed::Claimed)] {
            let stub =
                Stub::answering([Answer::condition_failed(&json!({ "connectionId": { "S": current } }))])
                    .await;
            let nobody = ConnectionRow::default();
            let claimed = stub.invocation().claim_connection(&newcomer(), 9, &HISTORY, &nobody).await;
            assert_eq!(claimed.unwrap(), expected, "{current}");
            assert_eq!(stub.bodies()[0]["ConditionExpression"], "attribute_not_exists(connectionId)");
        }
    }

    #[tokio::test]
    async fn a_newer_connection_stays() {
        let stub = Stub::answering([Answer::condition_failed(&json!({}))]).await;
        let invocation = stub.invocation();
        invocation.clear_connection(&newcomer().agent, "new=").await.unwrap();
        invocation.note_drain(&newcomer(), 5).await.unwrap();
        invocation.end_quarantine(&newcomer()).await.unwrap();
        for body in stub.bodies() {
            assert!(body["ConditionExpression"].as_str().unwrap().starts_with("connectionId = :id"));
            assert_eq!(body["ExpressionAttributeValues"][":id"]["S"], "new=");
        }
    }
}
