//! The rows that make the run's agents real to the stack, and their end.
//!
//! | table | row | made | removed |
//! |---|---|---|---|
//! | trust | `registry#keys` | the registry's keys as it publishes them now, and ours | written again without ours |
//! | trust | `pair#…`, `known#…` | by the operators' command line | by it, then the emptied `known#` rows |
//! | nonces | `access#…` | the yes that the registry would have given to the session | deleted |
//! | receipts, connections, nonces | what the agents caused | by the functions | deleted |
//!
//! The registry's keys in the stack are renewed every five minutes by others, and a yes holds for a minute: both are
//! written again all the time while the run lasts. Should it be killed, those same renewals remove our key.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use acceptance::connector::{HttpAnswer, Identity, http_client};
use acceptance::eventually::{NotInTime, wait_for};
use acceptance::stack::STACK_VARIABLE;
use acceptance::stamp;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use tokio::time::Instant;

use super::deployment::Deployment;
use super::identities::TemporaryRegistry;

const RENEW_EVERY: Duration = Duration::from_secs(15);
/// How long after its making a yes is honoured at most, in seconds: until then the row is kept.
const YES_LIFE_S: u64 = 900;

pub(crate) struct Rows<'a> {
    deployment: &'a Deployment,
    registry: &'a TemporaryRegistry,
    pub(crate) agents: [Identity; 2],
    dynamodb: Client,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        deployment: &'a Deployment,
        registry: &'a TemporaryRegistry,
        agents: [Identity; 2],
    ) -> Self {
        Self { deployment, registry, agents, dynamodb: deployment.dynamodb() }
    }

    /// Makes key, sessions and pair.
    ///
    /// # Errors
    ///
    /// If the stack does not take them; some may be there then.
    pub(crate) async fn make(&self) -> Result<(), Box<dyn Error>> {
        self.renew().await?;
        self.operator("pair").await
    }

    /// Keeps key and sessions alive until it fails.
    ///
    /// # Errors
    ///
    /// What it fails of.
    pub(crate) async fn keep_fresh(&self) -> Result<(), String> {
        let mut renewals = tokio::time::interval_at(Instant::now() + RENEW_EVERY, RENEW_EVERY);
        loop {
            renewals.tick().await;
            self.renew().await.map_err(|problem| format!("the run's rows were not renewed: {problem}"))?;
        }
    }

    /// Removes all of it, and what the agents have caused. Goes on where something fails.
    ///
    /// # Errors
    ///
    /// All that could not be removed, by name.
    pub(crate) async fn remove(&self) -> Result<(), Box<dyn Error>> {
        let mut left = Vec::new();
        let mut note = |what: String, outcome: Result<(), Box<dyn Error>>| {
            if let Err(problem) = outcome {
                left.push(format!("{what}: {problem}"));
            }
        };
        note("registry#keys".to_owned(), self.put_keys(&[]).await);
        note("the pair".to_owned(), self.operator("unpair").await);
        for agent in &self.agents {
            let did = &agent.agent_did;
            for key in [format!("known#{did}"), format!("agent#{did}")] {
                let outcome = self.delete(&self.deployment.trust_table, &[("key", &key)]).await;
                note(key, outcome);
            }
            let connection = self.delete(&self.deployment.connections_table, &[("agentDid", did)]).await;
            note(format!("the connection of {did}"), connection);
            let receipts =
                self.delete_all(&self.deployment.receipts_table, "senderAgentDid", did, "item").await;
            note(format!("the receipts of {did}"), receipts);
            let nonces = self.delete_all(&self.deployment.nonces_table, "agentDid", did, "what").await;
            note(format!("the nonces of {did}"), nonces);
        }
        if left.is_empty() { Ok(()) } else { Err(format!("not removed: {}", left.join("; ")).into()) }
    }

    /// Revokes one of the agents as an operator does, or takes that back.
    ///
    /// # Errors
    ///
    /// If the operators' command line fails.
    pub(crate) async fn set_revoked(&self, agent: &Identity, revoked: bool) -> Result<(), Box<dyn Error>> {
        let action = if revoked { "revoke" } else { "allow" };
        self.run_operator(&["trust", action, &agent.agent_did]).await
    }

    /// Waits until the stack knows that an agent's socket has ended: a newcomer that comes before that looks like a second
    /// connector, and several of them are refused. API Gateway may lose the news, so the wait is not for ever.
    ///
    /// # Errors
    ///
    /// What was seen last: that the row still names a connection, or that DynamoDB does not answer.
    pub(crate) async fn socket_ended(&self, agent: &Identity) -> Result<(), NotInTime> {
        wait_for("the end of the socket on record", async || {
            let row = self
                .dynamodb
                .get_item()
                .table_name(&self.deployment.connections_table)
                .key("agentDid", text(&agent.agent_did))
                .consistent_read(true)
                .send()
                .await
                .map_err(|problem| problem.to_string())?;
            let is_named = row.item.is_some_and(|row| row.contains_key("connectionId"));
            if is_named { Err("a connection".to_owned()) } else { Ok(()) }
        })
        .await
    }

    async fn renew(&self) -> Result<(), Box<dyn Error>> {
        self.put_keys(&[self.registry.published()]).await?;
        for agent in &self.agents {
            self.dynamodb
                .put_item()
                .table_name(&self.deployment.nonces_table)
                .item("agentDid", text(&agent.agent_did))
                .item("what", text(&format!("access#{}", access_hash(agent))))
                .item("acceptedAtMs", number(stamp::now_ms()))
                .item("expiresAt", number(stamp::now_s() + YES_LIFE_S))
                .send()
                .await?;
        }
        Ok(())
    }

    /// Writes the registry's keys as it publishes them now, and these.
    async fn put_keys(&self, ours: &[Value]) -> Result<(), Box<dyn Error>> {
        let answer = HttpAnswer::read(http_client().get(self.registry.keys_url()).send().await).await?;
        let published = answer.json["keys"].as_array().ok_or("the registry publishes no keys")?;
        let keys: Vec<&Value> = published.iter().chain(ours).collect();
        self.dynamodb
            .put_item()
            .table_name(&self.deployment.trust_table)
            .item("key", text("registry#keys"))
            .item("body", text(&json!({ "keys": keys }).to_string()))
            .item("fetchedAt", number(stamp::now_ms()))
            .send()
            .await?;
        Ok(())
    }

    async fn delete(&self, table: &str, key: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
        let mut request = self.dynamodb.delete_item().table_name(table);
        for (name, value) in key {
            request = request.key(*name, text(value));
        }
        request.send().await?;
        Ok(())
    }

    async fn delete_all(
        &self,
        table: &str,
        partition: &str,
        did: &str,
        sort: &str,
    ) -> Result<(), Box<dyn Error>> {
        let found = self
            .dynamodb
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression("#partition = :did")
            .expression_attribute_names("#partition", partition)
            .expression_attribute_values(":did", text(did))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await?;
        for item in found {
            if let Some(Ok(value)) = item.get(sort).map(AttributeValue::as_s) {
                self.delete(table, &[(partition, did), (sort, value)]).await?;
            }
        }
        Ok(())
    }

    async fn operator(&self, action: &str) -> Result<(), Box<dyn Error>> {
        let [one, other] = &self.agents;
        self.run_operator(&["trust", action, &one.agent_did, &other.agent_did]).await
    }

    async fn run_operator(&self, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
        let beside_us: PathBuf = std::env::current_exe()?.with_file_name("operator");
        let output = Command::new(beside_us)
            .args(arguments)
            // A local stack of the caller's shell: the command line would take it for the one that is meant.
            .env_remove(STACK_VARIABLE)
            .envs(self.deployment.operator_environment().await?)
            .output()
            .await?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("operator {}: {}", arguments.join(" "), said.trim()).into())
    }
}

/// The name of a session's yes (contract of the nonces table).
fn access_hash(agent: &Identity) -> String {
    let session = format!("{}|{}|{}", agent.agent_did, agent.jti, agent.access_token);
    URL_SAFE_NO_PAD.encode(Sha256::digest(session))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
