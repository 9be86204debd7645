//! `operator mailbox`: what waits for an agent.

use std::fmt;

use backbone::did::AgentDid;
use backbone::stores::{ConnectionStore, TrustStore};
use backbone::timestamp::to_iso;
use backbone_aws::AgentReceipt;
use clap::Args;
use serde::Serialize;

use crate::answer::{Answer, Exit, or_dash, table};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::progress;
use crate::trust::agent_did;
use crate::when::span;

/// Whose mailbox.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The agent's DID.
    #[arg(value_parser = agent_did)]
    agent: AgentDid,
}

/// One receipt that waits.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WaitingReceipt {
    request_id: String,
    recipient_agent_did: String,
    status: &'static str,
    reason: Option<String>,
    processed_at: String,
    expires_at: String,
    #[serde(skip)]
    for_ms: u64,
}

/// What waits for an agent, oldest first, and whether it can come.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mailbox {
    agent_did: String,
    connected: bool,
    revoked: bool,
    /// Its connectors die of receipts, so that these wait although it is connected.
    quarantined: bool,
    waiting: Vec<WaitingReceipt>,
    /// Items that nobody can read, by their names, and what is wrong with them. The next drain buries them.
    unreadable: Vec<(String, String)>,
}

/// Shows a mailbox.
pub(crate) async fn run(arguments: Arguments, deployment: &Deployment) -> Result<Answer, Failure> {
    let agent = arguments.agent;
    let row = deployment.stores().connection(&agent).await?;
    let now_ms = deployment.now_ms();
    let mut mailbox = Mailbox {
        connected: row.current(now_ms).is_some(),
        revoked: deployment.stores().agent_revoked(&agent).await?,
        quarantined: row.history.is_quarantined(),
        agent_did: agent.to_string(),
        waiting: Vec::new(),
        unreadable: Vec::new(),
    };
    let spinner = progress::spinner("reading the mailbox");
    let mut after = None;
    loop {
        let page = deployment.stores().mailbox_of(&agent, after.as_deref()).await?;
        for item in page.items {
            spinner.inc(1);
            mailbox.add(item, now_ms);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    spinner.finish_and_clear();
    let exit = if mailbox.unreadable.is_empty() { Exit::Done } else { Exit::Partly };
    Ok(Answer::of(&mailbox, exit))
}

impl Mailbox {
    fn add(&mut self, item: AgentReceipt, now_ms: u64) {
        match item {
            AgentReceipt::Waiting(waiting) => self.waiting.push(WaitingReceipt {
                request_id: waiting.receipt.request_id.to_string(),
                recipient_agent_did: waiting.receipt.recipient.to_string(),
                status: waiting.receipt.status.as_str(),
                for_ms: now_ms.saturating_sub(waiting.receipt.processed_at_ms),
                processed_at: to_iso(waiting.receipt.processed_at_ms),
                expires_at: to_iso(waiting.expires_at_s.saturating_mul(1_000)),
                reason: waiting.receipt.reason,
            }),
            AgentReceipt::Unreadable(item, problem) => self.unreadable.push((item, problem)),
            AgentReceipt::State(_) => {}
        }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |waiting: &WaitingReceipt| {
            [
                waiting.request_id.clone(),
                waiting.status.to_owned(),
                or_dash(waiting.reason.as_ref()),
                waiting.processed_at.clone(),
                span(waiting.for_ms),
                waiting.expires_at.clone(),
            ]
        };
        if !self.waiting.is_empty() {
            let header = ["request", "status", "reason", "accepted", "age", "kept until"];
            writeln!(formatter, "{}\n", table(header, self.waiting.iter().map(row)))?;
        }
        for (item, problem) in &self.unreadable {
            writeln!(formatter, "{item} cannot be read: {problem}")?;
        }
        let agent = match (self.revoked, self.connected, self.quarantined) {
            (true, _, _) => "is revoked: nothing is pushed to it",
            (false, true, true) => "is connected and in quarantine: its connectors die of receipts",
            (false, true, false) => "is connected",
            (false, false, _) => "is not connected: the next connect has the mailbox drained",
        };
        write!(formatter, "{} waiting; the agent {agent}", self.waiting.len())
    }
}
