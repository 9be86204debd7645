//! `operator mailbox`: what waits for an agent.

use std::fmt;

use backbone::did::AgentDid;
use backbone::stores::{ConnectionStore, DeliveryStore, TrustStore};
use backbone::system_delivery::StoredDelivery;
use backbone::timestamp::to_iso;
use backbone_aws::AgentReceipt;
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::answer::{Answer, Exit, or_dash, table};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::progress;
use crate::trust::agent_did;
use crate::when::span;

/// How many deliveries are read at once.
const DELIVERIES_PAGE: usize = 100;

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

/// One system delivery that waits: that a pair was accepted, or that a group has a new member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WaitingDelivery {
    delivery_id: String,
    source: &'static str,
    from_agent_did: String,
    created_at: String,
    /// How often it was pushed without being acknowledged.
    attempts: u32,
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
    deliveries: Vec<WaitingDelivery>,
    /// Receipts whose retention is over and that are still there. They are not delivered any more.
    expired: u64,
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
        deliveries: Vec::new(),
        expired: 0,
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
    mailbox.deliveries = deliveries(deployment, &agent, now_ms, &spinner).await?;
    spinner.finish_and_clear();
    let exit = if mailbox.unreadable.is_empty() { Exit::Done } else { Exit::Partly };
    Ok(Answer::of(&mailbox, exit))
}

/// The system deliveries that nobody has acknowledged. A stack from before there were any has no table of them.
async fn deliveries(
    deployment: &Deployment,
    agent: &AgentDid,
    now_ms: u64,
    spinner: &ProgressBar,
) -> Result<Vec<WaitingDelivery>, Failure> {
    let mut waiting = Vec::new();
    if !deployment.outputs.contains_key("DeliveriesTable") {
        return Ok(waiting);
    }
    let mut after = None;
    loop {
        let page = deployment.stores().deliveries(agent, after, DELIVERIES_PAGE).await?;
        spinner.inc(u64::try_from(page.deliveries.len()).unwrap_or_default());
        let is_kept = |stored: &StoredDelivery| now_ms / 1_000 < stored.expires_at_s;
        let kept = page.deliveries.into_iter().filter(is_kept);
        waiting.extend(kept.map(|stored| WaitingDelivery::of(stored, now_ms)));
        after = page.next;
        if after.is_none() {
            return Ok(waiting);
        }
    }
}

impl WaitingDelivery {
    fn of(stored: StoredDelivery, now_ms: u64) -> Self {
        let StoredDelivery { delivery, attempts, expires_at_s, .. } = stored;
        Self {
            delivery_id: delivery.delivery_id.to_string(),
            source: delivery.source.as_str(),
            from_agent_did: delivery.from.to_string(),
            created_at: to_iso(delivery.created_at_ms),
            attempts,
            expires_at: to_iso(expires_at_s.saturating_mul(1_000)),
            for_ms: now_ms.saturating_sub(delivery.created_at_ms),
        }
    }
}

impl Mailbox {
    fn add(&mut self, item: AgentReceipt, now_ms: u64) {
        match item {
            AgentReceipt::Waiting(waiting) if waiting.expires_at_s <= now_ms / 1_000 => self.expired += 1,
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
        let row = |waiting: &WaitingDelivery| {
            [
                waiting.delivery_id.clone(),
                waiting.source.to_owned(),
                waiting.from_agent_did.clone(),
                span(waiting.for_ms),
                waiting.attempts.to_string(),
                waiting.expires_at.clone(),
            ]
        };
        if !self.deliveries.is_empty() {
            let header = ["delivery", "source", "from", "age", "pushes", "kept until"];
            writeln!(formatter, "{}\n", table(header, self.deliveries.iter().map(row)))?;
        }
        for (item, problem) in &self.unreadable {
            writeln!(formatter, "{item} cannot be read: {problem}")?;
        }
        if self.expired > 0 {
            writeln!(formatter, "{} more are past their retention and are not delivered", self.expired)?;
        }
        let agent = match (self.revoked, self.connected, self.quarantined) {
            (true, _, _) => "is revoked: nothing is pushed to it",
            (false, true, true) => "is connected and in quarantine: its connectors die of receipts",
            (false, true, false) => "is connected",
            (false, false, _) => "is not connected: the next connect has the mailbox drained",
        };
        write!(formatter, "{} waiting", self.waiting.len())?;
        if !self.deliveries.is_empty() {
            write!(formatter, ", and {} system deliveries", self.deliveries.len())?;
        }
        write!(formatter, "; the agent {agent}")
    }
}
