//! The trust table, as requests read it.
//!
//! | `key` | holds |
//! |---|---|
//! | `agent#<did>` | the agent is revoked: `reason`, `revokedAt` (ms) |
//! | `jti#<jti>` | the token is revoked: `agentDid`, `revokedAt` (ms); written after its agent's row, if there is one |
//! | `known#<did>` | in how many `pairs` the agent is |
//! | `pair#<did>\|<did>` | the two, in this order, have paired: `pairedAt` (ms); `firstOrigin` and `secondOrigin`, where each is at home, if that is known |
//! | `registry#keys` | the registry's key set: `body`, `fetchedAt` (ms) |
//! | `registry#crl` | the last revocation list that became rows: `fetchedAt` (ms), `iat`, `count`, `hash` |
//!
//! A revocation is the existence of its row: one that cannot be read still revokes.

use backbone::did::AgentDid;
use backbone::home::ProxyOrigin;
use backbone::id::Id;
use backbone::stores::{StoreError, TrustStore};
use backbone::trust::{Pair, PairHomes, RegistryRows, TrustAnswer, TrustQuestion};

use crate::attributes::{Item, Row, text};
use crate::batch_read::{ItemKey, read_items};
use crate::nonces_table::{access_accepted_at_ms, access_key};
use crate::outside::{Invocation, unavailable};
use crate::settings::{NONCES_TABLE, TRUST_TABLE};

/// The one key attribute of this table.
pub(crate) const KEY: &str = "key";
/// On a `known#` row: in how many pairs the agent is.
pub(crate) const PAIRS: &str = "pairs";
/// On a `pair#` row: the proxy at which the agent whose DID sorts first is at home.
pub(crate) const FIRST_ORIGIN: &str = "firstOrigin";
/// On a `pair#` row: the other agent's.
pub(crate) const SECOND_ORIGIN: &str = "secondOrigin";

/// On the row of a revoked agent: why, in somebody's words.
pub(crate) const REASON: &str = "reason";
/// On the row of a revoked agent or token: since when, in milliseconds since the Unix epoch.
pub(crate) const REVOKED_AT: &str = "revokedAt";

pub(crate) fn agent_key(agent: &AgentDid) -> String {
    format!("agent#{agent}")
}

pub(crate) fn known_key(agent: &AgentDid) -> String {
    format!("known#{agent}")
}

pub(crate) fn pair_key(pair: &Pair) -> String {
    format!("pair#{}", pair.key())
}

/// Where the agents of a `pair#` row are at home.
pub(crate) fn pair_homes(row: Row<'_>) -> Result<PairHomes, StoreError> {
    Ok(PairHomes {
        first: row.optional(FIRST_ORIGIN, ProxyOrigin::parse)?,
        second: row.optional(SECOND_ORIGIN, ProxyOrigin::parse)?,
    })
}

pub(crate) fn jti_key(jti: Id) -> String {
    format!("jti#{jti}")
}

pub(crate) const REGISTRY_KEYS: &str = "registry#keys";
pub(crate) const REGISTRY_CRL: &str = "registry#crl";

impl TrustStore for Invocation<'_> {
    /// One call over two tables, whatever is asked.
    async fn trust(&self, question: &TrustQuestion) -> Result<TrustAnswer, StoreError> {
        const OPERATION: &str = "trust";
        let table = self.setting(OPERATION, TRUST_TABLE)?;
        let nonces = self.setting(OPERATION, NONCES_TABLE)?;
        let agent = agent_key(&question.agent);
        let jti = jti_key(question.ait_jti);
        let known = known_key(&question.agent);
        let pair = question.pair.as_ref().map(pair_key);
        let mut keys: Vec<_> = [Some(&agent), Some(&jti), Some(&known), pair.as_ref()]
            .into_iter()
            .flatten()
            .map(|key| ItemKey::new(table, [(KEY, key.clone())]))
            .collect();
        keys.extend(question.access_hash.as_deref().map(|hash| access_key(nonces, &question.agent, hash)));

        let found = self.in_time(OPERATION, read_items(self.dynamodb(), OPERATION, keys)).await?;
        let rows = Rows(found.get(table).map_or(&[], Vec::as_slice));
        let access = found.get(nonces).and_then(|items| items.first());
        Ok(TrustAnswer {
            agent_revoked: rows.find(&agent).is_some(),
            ait_revoked: rows.find(&jti).is_some(),
            known: rows.find(&known).and_then(|row| row.find_number(PAIRS)).is_some_and(|pairs| pairs > 0),
            pair: pair.and_then(|pair| rows.find(&pair)).map(pair_homes).transpose()?,
            access_accepted_at_ms: access.and_then(|item| access_accepted_at_ms(item, self.now_s())),
        })
    }

    async fn agent_revoked(&self, agent: &AgentDid) -> Result<bool, StoreError> {
        const OPERATION: &str = "agent_revoked";
        let table = self.setting(OPERATION, TRUST_TABLE)?;
        let read = self
            .dynamodb()
            .get_item()
            .table_name(table)
            .key(KEY, text(agent_key(agent)))
            .consistent_read(true);
        let answer =
            self.in_time(OPERATION, async { read.send().await.map_err(unavailable(OPERATION)) }).await?;
        Ok(answer.item.is_some())
    }

    async fn registry_rows(&self) -> Result<RegistryRows, StoreError> {
        const OPERATION: &str = "registry_rows";
        let table = self.setting(OPERATION, TRUST_TABLE)?;
        let keys = [REGISTRY_KEYS, REGISTRY_CRL].map(|key| ItemKey::new(table, [(KEY, key.to_owned())]));
        let found = self.in_time(OPERATION, read_items(self.dynamodb(), OPERATION, keys)).await?;
        let rows = Rows(found.get(table).map_or(&[], Vec::as_slice));
        let (keys, crl) = (rows.find(REGISTRY_KEYS), rows.find(REGISTRY_CRL));
        Ok(RegistryRows {
            keys: keys.and_then(|row| row.find_text("body")).map(str::to_owned),
            keys_at_ms: keys.and_then(|row| row.find_number("fetchedAt")).unwrap_or_default(),
            crl_at_ms: crl.and_then(|row| row.find_number("fetchedAt")),
            crl_hash: crl.and_then(|row| row.find_text("hash")).map(str::to_owned),
        })
    }
}

/// Rows of this table, in any order.
struct Rows<'a>(&'a [Item]);

impl<'a> Rows<'a> {
    fn find(&self, key: &str) -> Option<Row<'a>> {
        let mut rows = self.0.iter().map(|item| Row { operation: "trust", item });
        rows.find(|row| row.find_text(KEY) == Some(key))
    }
}

#[cfg(test)]
mod tests {
    use backbone::trust::Pair;
    use serde_json::{Value, json};

    use super::*;
    use crate::stub::{Answer, NOW_MS, Stub};

    const ONE: &str = "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";
    const OTHER: &str = "did:cdi:a.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";
    const JTI: &str = "01KN33X0KRM9Q3MFS6RVPP6F7F";

    fn question() -> TrustQuestion {
        let did = |text| AgentDid::parse(text).unwrap();
        TrustQuestion {
            agent: did(OTHER),
            ait_jti: Id::parse(JTI).unwrap(),
            pair: Some(Pair::of(&did(OTHER), &did(ONE))),
            access_hash: Some("abc".to_owned()),
        }
    }

    async fn answer_to(trust: Value, nonces: Value) -> TrustAnswer {
        let stub =
            Stub::answering([Answer::ok(&json!({ "Responses": { "trust": trust, "nonces": nonces } }))])
                .await;
        let answer = stub.invocation().trust(&question()).await.unwrap();
        assert_eq!(stub.seen().len(), 1, "one call");
        answer
    }

    fn access_row(expires_at_s: u64) -> Value {
        json!([{ "agentDid": { "S": OTHER }, "what": { "S": "access#abc" },
            "acceptedAtMs": { "N": "7" }, "expiresAt": { "N": expires_at_s.to_string() } }])
    }

    #[tokio::test]
    async fn everything_is_asked_in_one_call() {
        let stub = Stub::answering([Answer::ok(&json!({}))]).await;
        let answer = stub.invocation().trust(&question()).await.unwrap();
        assert!(!answer.agent_revoked && !answer.ait_revoked && !answer.known && answer.pair.is_none());
        let items = &stub.bodies()[0]["RequestItems"];
        let mut keys: Vec<_> = items["trust"]["Keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["key"]["S"].as_str().unwrap())
            .collect();
        keys.sort_unstable();
        let expected = [
            format!("agent#{OTHER}"),
            format!("jti#{JTI}"),
            format!("known#{OTHER}"),
            format!("pair#{ONE}|{OTHER}"),
        ];
        assert_eq!(keys, expected);
        assert_eq!(
            items["nonces"]["Keys"],
            json!([{ "agentDid": { "S": OTHER }, "what": { "S": "access#abc" } }])
        );
    }

    #[tokio::test]
    async fn rows_are_told_apart() {
        let known =
            |pairs: &str| json!({ "key": { "S": format!("known#{OTHER}") }, "pairs": { "N": pairs } });
        let pair = json!({ "key": { "S": format!("pair#{ONE}|{OTHER}") } });
        let answer = answer_to(json!([known("1"), pair]), json!([])).await;
        assert!(answer.known && !answer.agent_revoked && !answer.ait_revoked);
        assert_eq!(answer.pair, Some(PairHomes::default()));
        assert!(!answer_to(json!([known("0")]), json!([])).await.known, "the last pair was removed");
        let revoked =
            json!([{ "key": { "S": format!("agent#{OTHER}") } }, { "key": { "S": format!("jti#{JTI}") } }]);
        let answer = answer_to(revoked, json!([])).await;
        assert!(answer.agent_revoked && answer.ait_revoked);
    }

    #[tokio::test]
    async fn a_pair_says_where_its_agents_are_at_home() {
        let pair = |origin: &str| {
            json!([{ "key": { "S": format!("pair#{ONE}|{OTHER}") }, "firstOrigin": { "S": "https://a.com" },
                "secondOrigin": { "S": origin } }])
        };
        let homes = answer_to(pair("https://b.com"), json!([])).await.pair.unwrap();
        let origin = |agent: &AgentDid| question().pair.unwrap().home_of(agent, &homes).cloned();
        let did = |text| AgentDid::parse(text).unwrap();
        assert_eq!(origin(&did(ONE)), ProxyOrigin::parse("https://a.com"));
        assert_eq!(origin(&did(OTHER)), ProxyOrigin::parse("https://b.com"));
        let rows = json!({ "Responses": { "trust": pair("nowhere"), "nonces": [] } });
        let error =
            Stub::answering([Answer::ok(&rows)]).await.invocation().trust(&question()).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { what: "secondOrigin", .. }), "{error}");
    }

    #[tokio::test]
    async fn a_yes_whose_time_is_over_is_none() {
        let now_s = NOW_MS / 1_000;
        let held = answer_to(json!([]), access_row(now_s + 1)).await;
        assert_eq!(held.access_accepted_at_ms, Some(7));
        let over = answer_to(json!([]), access_row(now_s)).await;
        assert_eq!(over.access_accepted_at_ms, None);
    }
}
