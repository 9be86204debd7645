//! What is remembered of an agent's requests for a short while.
//!
//! | `what`, beside `agentDid` | holds |
//! |---|---|
//! | `nonce#<hash>` | a used nonce: `seenBy`, the invocation that took it |
//! | `access#<hash>` | the registry's yes to an access token: `acceptedAtMs` |
//! | the same, taken back | the time of that yes, `takenBackOfMs`, and until when somebody let in may have read it, `letInUntilMs` |
//! | `rate#<minute>` | `requests` of that minute |
//!
//! Each has `expiresAt` in seconds, from which on it counts as absent: DynamoDB itself deletes days later.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use backbone::did::AgentDid;
use backbone::limits::{ACCESS_OUTAGE_MS, ACCESS_TAKEN_BACK_KEPT_S};
use backbone::stores::{AccessStore, NonceClaim, NonceStore, RememberedYes, StoreError};

use crate::attributes::{Item, Row, number, text};
use crate::batch_read::ItemKey;
use crate::outside::{Invocation, unavailable};
use crate::settings::NONCES_TABLE;

const AGENT: &str = "agentDid";
const WHAT: &str = "what";
const EXPIRES_AT: &str = "expiresAt";
const SEEN_BY: &str = "seenBy";
const ACCEPTED_AT: &str = "acceptedAtMs";
const TAKEN_BACK_OF: &str = "takenBackOfMs";
const LET_IN_UNTIL: &str = "letInUntilMs";
const REQUESTS: &str = "requests";

/// How long a count is kept after its minute, in seconds: instances report late.
const COUNT_KEPT_S: u64 = 120;

/// Where the yes to an access token is.
pub(crate) fn access_key<'a>(table: &'a str, agent: &AgentDid, access_hash: &str) -> ItemKey<'a> {
    ItemKey::new(table, [(AGENT, agent.to_string()), (WHAT, access_what(access_hash))])
}

/// When the registry said yes, unless that is over at `now_s`. What cannot be read is no yes.
pub(crate) fn access_accepted_at_ms(item: &Item, now_s: u64) -> Option<u64> {
    let row = Row { operation: "trust", item };
    row.find_number(EXPIRES_AT).filter(|expires_at_s| now_s < *expires_at_s)?;
    row.find_number(ACCEPTED_AT)
}

/// What a remembered yes begins with; the token's hash follows.
const ACCESS: &str = "access#";

fn access_what(access_hash: &str) -> String {
    format!("{ACCESS}{access_hash}")
}

impl NonceStore for Invocation<'_> {
    /// One conditional write. The SDK repeats a call whose answer was lost; the nonce is then taken by this very
    /// invocation, which is no replay.
    async fn claim_nonce(
        &self,
        agent: &AgentDid,
        nonce_hash: &str,
        expires_at_s: u64,
    ) -> Result<NonceClaim, StoreError> {
        const OPERATION: &str = "claim_nonce";
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, NONCES_TABLE)?)
            .item(AGENT, text(agent.as_str()))
            .item(WHAT, text(format!("nonce#{nonce_hash}")))
            .item(SEEN_BY, text(self.request_id))
            .item(EXPIRES_AT, number(expires_at_s))
            .condition_expression("attribute_not_exists(agentDid) OR expiresAt <= :now")
            .expression_attribute_values(":now", number(self.now_s()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.in_time(OPERATION, async {
            let Err(error) = write.send().await else { return Ok(NonceClaim::Claimed) };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    let seen_by = refused.item().and_then(|item| item.get(SEEN_BY)?.as_s().ok());
                    let ours = seen_by.is_some_and(|seen_by| seen_by == self.request_id);
                    Ok(if ours { NonceClaim::Claimed } else { NonceClaim::Used })
                }
                _ => Err(unavailable(OPERATION)(error)),
            }
        })
        .await
    }

    async fn add_requests(&self, agent: &AgentDid, minute: u64, requests: u32) -> Result<u32, StoreError> {
        const OPERATION: &str = "add_requests";
        let write = self
            .dynamodb()
            .update_item()
            .table_name(self.setting(OPERATION, NONCES_TABLE)?)
            .key(AGENT, text(agent.as_str()))
            .key(WHAT, text(format!("rate#{minute}")))
            .update_expression("ADD #requests :requests SET expiresAt = :expiresAt")
            .expression_attribute_names("#requests", REQUESTS)
            .expression_attribute_values(":requests", number(requests))
            .expression_attribute_values(":expiresAt", number((minute + 1) * 60 + COUNT_KEPT_S))
            .return_values(ReturnValue::UpdatedNew);
        self.in_time(OPERATION, async {
            let answer = write.send().await.map_err(unavailable(OPERATION))?;
            let total = answer.attributes.as_ref().and_then(|item| item.get(REQUESTS));
            let total = total.and_then(|total: &AttributeValue| total.as_n().ok()?.parse().ok());
            total.ok_or(StoreError::Corrupt { operation: OPERATION, what: REQUESTS })
        })
        .await
    }
}

impl AccessStore for Invocation<'_> {
    async fn remember_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "remember_access";
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, NONCES_TABLE)?)
            .item(AGENT, text(agent.as_str()))
            .item(WHAT, text(access_what(access_hash)))
            .item(ACCEPTED_AT, number(accepted_at_ms))
            .item(EXPIRES_AT, number((accepted_at_ms + ACCESS_OUTAGE_MS) / 1_000));
        self.in_time(OPERATION, async { write.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }

    /// One write in the place of the yes: there is no moment at which neither is there.
    async fn take_back_access(
        &self,
        agent: &AgentDid,
        access_hash: &str,
        accepted_at_ms: u64,
        until_ms: u64,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "take_back_access";
        let write = self
            .dynamodb()
            .put_item()
            .table_name(self.setting(OPERATION, NONCES_TABLE)?)
            .item(AGENT, text(agent.as_str()))
            .item(WHAT, text(access_what(access_hash)))
            .item(TAKEN_BACK_OF, number(accepted_at_ms))
            .item(LET_IN_UNTIL, number(until_ms))
            .item(EXPIRES_AT, number(until_ms / 1_000 + ACCESS_TAKEN_BACK_KEPT_S));
        self.in_time(OPERATION, async { write.send().await.map(drop).map_err(unavailable(OPERATION)) }).await
    }

    async fn remembered_access(&self, agent: &AgentDid) -> Result<Vec<RememberedYes>, StoreError> {
        const OPERATION: &str = "remembered_access";
        let mut remembered = Vec::new();
        let mut after: Option<Item> = None;
        loop {
            let query = self
                .dynamodb()
                .query()
                .table_name(self.setting(OPERATION, NONCES_TABLE)?)
                .key_condition_expression("agentDid = :agent AND begins_with(#what, :access)")
                .expression_attribute_names("#what", WHAT)
                .expression_attribute_values(":agent", text(agent.as_str()))
                .expression_attribute_values(":access", text(ACCESS))
                .consistent_read(true)
                .set_exclusive_start_key(after.take());
            let page =
                self.in_time(OPERATION, async { query.send().await.map_err(unavailable(OPERATION)) }).await?;
            let rows = page.items().iter().map(|item| Row { operation: OPERATION, item });
            remembered.extend(rows.filter_map(remembered_yes));
            match page.last_evaluated_key {
                Some(key) => after = Some(key),
                None => return Ok(remembered),
            }
        }
    }
}

/// What a row says. Of a yes that cannot be read nobody knows that it is younger than anything, or over.
fn remembered_yes(row: Row<'_>) -> Option<RememberedYes> {
    let access_hash = row.find_text(WHAT)?.strip_prefix(ACCESS)?.to_owned();
    let let_in_until_ms = row.find_number(LET_IN_UNTIL);
    let said_at = if let_in_until_ms.is_some() { TAKEN_BACK_OF } else { ACCEPTED_AT };
    let over_ms = || row.find_number(EXPIRES_AT).map_or(u64::MAX, |over_s| over_s.saturating_mul(1_000));
    Some(RememberedYes {
        access_hash,
        accepted_at_ms: row.find_number(said_at).unwrap_or_default(),
        until_ms: let_in_until_ms.unwrap_or_else(over_ms),
        is_taken_back: let_in_until_ms.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::stub::{Answer, NOW_MS, Stub};

    fn agent() -> AgentDid {
        AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap()
    }

    async fn claim(answer: Answer) -> Result<NonceClaim, StoreError> {
        let stub = Stub::answering([answer]).await;
        stub.invocation().claim_nonce(&agent(), "h", NOW_MS / 1_000 + 660).await
    }

    #[tokio::test]
    async fn a_nonce_is_used_up_by_others_and_not_by_our_own_repetition() {
        assert_eq!(claim(Answer::ok(&json!({}))).await.unwrap(), NonceClaim::Claimed);
        let taken_by = |who: &str| Answer::condition_failed(&json!({ "seenBy": { "S": who } }));
        assert_eq!(claim(taken_by("our-request")).await.unwrap(), NonceClaim::Claimed);
        assert_eq!(claim(taken_by("another")).await.unwrap(), NonceClaim::Used);
        assert_eq!(claim(Answer::condition_failed(&json!({}))).await.unwrap(), NonceClaim::Used);
        assert!(claim(Answer::Http(400, "{}".to_owned())).await.is_err(), "an unknown answer is no claim");
    }

    #[tokio::test]
    async fn a_lost_answer_does_not_use_the_nonce_up() {
        let ours = Answer::condition_failed(&json!({ "seenBy": { "S": "our-request" } }));
        let stub = Stub::answering([Answer::HangUp, ours]).await;
        let claimed = stub.invocation().claim_nonce(&agent(), "h", NOW_MS / 1_000 + 660).await;
        assert_eq!(claimed.unwrap(), NonceClaim::Claimed);
        assert_eq!(stub.seen().len(), 2);
    }

    #[tokio::test]
    async fn every_yes_of_an_agent_is_found_and_what_is_left_of_one() {
        let page = |items: &Value, more: bool| {
            let mut page = json!({ "Items": items });
            if more {
                page["LastEvaluatedKey"] =
                    json!({ "agentDid": { "S": agent() }, "what": { "S": "access#a" } });
            }
            Answer::ok(&page)
        };
        let item = |what: &str, numbers: &[(&str, u64)]| {
            let mut item = json!({ "agentDid": { "S": agent() }, "what": { "S": what } });
            for (name, value) in numbers {
                item[*name] = json!({ "N": value.to_string() });
            }
            item
        };
        let stub = Stub::answering([
            page(&json!([item("access#a", &[("acceptedAtMs", 5), ("expiresAt", 900)])]), true),
            page(
                &json!([
                    item("access#b", &[("takenBackOfMs", 6), ("letInUntilMs", 70), ("expiresAt", 7_200)]),
                    item("access#c", &[])
                ]),
                false,
            ),
        ])
        .await;
        let found = stub.invocation().remembered_access(&agent()).await.unwrap();
        let yes = |hash: &str, accepted_at_ms, until_ms, is_taken_back| RememberedYes {
            access_hash: hash.to_owned(),
            accepted_at_ms,
            until_ms,
            is_taken_back,
        };
        let unreadable = yes("c", 0, u64::MAX, false);
        assert_eq!(found, [yes("a", 5, 900_000, false), yes("b", 6, 70, true), unreadable]);
        let bodies = stub.bodies();
        assert_eq!(bodies[0]["ExpressionAttributeValues"][":access"]["S"], "access#");
        assert_eq!(bodies[1]["ExclusiveStartKey"]["what"]["S"], "access#a");
        assert!(bodies.iter().all(|body| body["ConsistentRead"] == true));
    }

    #[tokio::test]
    async fn the_total_of_a_minute_comes_back() {
        let stub =
            Stub::answering([Answer::ok(&json!({ "Attributes": { "requests": { "N": "42" } } }))]).await;
        assert_eq!(stub.invocation().add_requests(&agent(), 29_583_333, 10).await.unwrap(), 42);
        let values = &stub.bodies()[0]["ExpressionAttributeValues"];
        assert_eq!(values[":expiresAt"]["N"], "1775000160", "two minutes after the minute's end");
    }
}
