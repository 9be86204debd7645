//! All receipts about an agent's messages.

use std::fmt;

use backbone::did::AgentDid;
use backbone::receipt::{Status, StoredReceipt};
use backbone::timestamp::to_iso;
use backbone_aws::AgentReceipt;
use serde::Serialize;

use super::StatusFilter;
use crate::answer::{Answer, Exit, or_dash, table};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::progress;
use crate::when::When;

/// One receipt in its latest state.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptRow {
    request_id: String,
    recipient_agent_did: String,
    status: &'static str,
    reason: Option<String>,
    processed_at: String,
    /// When API Gateway took its frame; none while it waits.
    pushed_at: Option<String>,
    expires_at: String,
    #[serde(skip)]
    order: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    agent_did: String,
    receipts: Vec<ReceiptRow>,
    /// Rows that nobody can read, by their names, and what is wrong with them.
    unreadable: Vec<(String, String)>,
}

pub(super) async fn list(
    deployment: &Deployment,
    agent: &AgentDid,
    status: Option<StatusFilter>,
    since: Option<When>,
) -> Result<Answer, Failure> {
    let now_ms = deployment.now_ms();
    let since_ms = since.map_or(0, |since| since.before(now_ms));
    let spinner = progress::spinner("reading the agent's receipts");
    let mut listed = Listed { agent_did: agent.to_string(), receipts: Vec::new(), unreadable: Vec::new() };
    let mut after = None;
    loop {
        let page = deployment.stores().receipts_of(agent, after.as_deref()).await?;
        for item in page.items {
            spinner.inc(1);
            match item {
                AgentReceipt::State(stored) if is_asked_for(&stored, status, since_ms, now_ms) => {
                    listed.receipts.push(row(stored));
                }
                AgentReceipt::Unreadable(name, problem) => listed.unreadable.push((name, problem)),
                AgentReceipt::State(_) | AgentReceipt::Waiting(_) => {}
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    spinner.finish_and_clear();
    listed.receipts.sort_by_key(|row| row.order);
    let exit = if listed.unreadable.is_empty() { Exit::Done } else { Exit::Partly };
    Ok(Answer::of(&listed, exit))
}

/// A receipt past its retention is gone, whether or not DynamoDB has got round to deleting it.
fn is_asked_for(stored: &StoredReceipt, status: Option<StatusFilter>, since_ms: u64, now_ms: u64) -> bool {
    let has_status = match status {
        None => true,
        Some(StatusFilter::DeliveredToWebhook) => stored.receipt.status == Status::DeliveredToWebhook,
        Some(StatusFilter::DeadLettered) => stored.receipt.status == Status::DeadLettered,
        Some(StatusFilter::Pushed) => stored.pushed_at_ms.is_some(),
        Some(StatusFilter::Waiting) => stored.pushed_at_ms.is_none(),
    };
    has_status && stored.receipt.processed_at_ms >= since_ms && !stored.is_expired(now_ms / 1_000)
}

fn row(stored: StoredReceipt) -> ReceiptRow {
    ReceiptRow {
        request_id: stored.receipt.request_id.to_string(),
        recipient_agent_did: stored.receipt.recipient.to_string(),
        status: stored.receipt.status.as_str(),
        reason: stored.receipt.reason,
        processed_at: to_iso(stored.receipt.processed_at_ms),
        pushed_at: stored.pushed_at_ms.map(to_iso),
        expires_at: to_iso(stored.expires_at_s.saturating_mul(1_000)),
        order: stored.receipt.processed_at_ms,
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |receipt: &ReceiptRow| {
            [
                receipt.request_id.clone(),
                receipt.status.to_owned(),
                or_dash(receipt.reason.as_ref()),
                receipt.processed_at.clone(),
                receipt.pushed_at.clone().unwrap_or_else(|| "waiting".to_owned()),
            ]
        };
        if !self.receipts.is_empty() {
            let rows = self.receipts.iter().map(row);
            writeln!(
                formatter,
                "{}\n",
                table(["request", "status", "reason", "last accepted", "pushed"], rows)
            )?;
        }
        for (name, problem) in &self.unreadable {
            writeln!(formatter, "{name} cannot be read: {problem}")?;
        }
        write!(formatter, "{} in all", self.receipts.len())
    }
}
