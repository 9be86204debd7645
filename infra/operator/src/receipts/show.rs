//! One receipt, followed from its POST on.

use std::collections::BTreeSet;
use std::fmt;

use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::receipt::{ReceiptKey, StoredReceipt};
use backbone::stores::ReceiptStore;
use backbone::timestamp::to_iso;
use backbone_aws::AgentReceipt;
use serde::Serialize;

use super::lines::lines_about;
use super::timeline::{Step, timeline};
use crate::answer::{Answer, Exit, or_dash, table};
use crate::dead_letters::letter::DeadLetterView;
use crate::dead_letters::{Filter, find};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::when::When;

/// How much earlier than the message's own time its lines are looked for: its sender's clock may be fast.
const CLOCK_SKEW_MS: u64 = 10 * 60 * 1_000;

/// What is known of a receipt.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Followed {
    request_id: String,
    sender_agent_did: String,
    /// Its latest state, if one is stored.
    stored: Option<Stored>,
    /// Whether a state of it is in the mailbox.
    in_mailbox: bool,
    /// The dead letters that it has led to and that are still there.
    dead_letters: Vec<DeadLetterView>,
    /// How many dead letters somebody else held meanwhile; they were not looked at.
    held_elsewhere: u64,
    timeline: Vec<Step>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    recipient_agent_did: String,
    status: &'static str,
    reason: Option<String>,
    processed_at: String,
    pushed_at: Option<String>,
    expires_at: String,
    frame_id: String,
}

pub(super) async fn show(
    deployment: &Deployment,
    agent: AgentDid,
    request_id: Id,
    since: Option<When>,
) -> Result<Answer, Failure> {
    let key = ReceiptKey { sender: agent, request_id };
    let stored = deployment.stores().find(&key).await?;
    let in_mailbox = is_in_mailbox(deployment, &key).await?;
    // A receipt that was pushed has no business among the dead: that queue is then left alone.
    let is_settled = !in_mailbox && stored.as_ref().is_some_and(|stored| stored.pushed_at_ms.is_some());
    let (letters, held_elsewhere) = if is_settled { (Vec::new(), 0) } else { dead(deployment, &key).await? };

    let since_ms = since.map_or_else(
        || request_id.time_ms().saturating_sub(CLOCK_SKEW_MS),
        |since| since.before(deployment.now_ms()),
    );
    let known: BTreeSet<_> = letters.iter().filter_map(|letter| letter.correlation_id.clone()).collect();
    let lines = lines_about(deployment, &request_id.to_string(), known, since_ms).await?;
    let followed = Followed {
        request_id: request_id.to_string(),
        sender_agent_did: key.sender.to_string(),
        timeline: timeline(&lines, stored.as_ref()),
        stored: stored.map(Stored::of),
        in_mailbox,
        dead_letters: letters,
        held_elsewhere,
    };
    let exit = followed.exit();
    Ok(Answer::of(&followed, exit))
}

async fn is_in_mailbox(deployment: &Deployment, key: &ReceiptKey) -> Result<bool, Failure> {
    let mut after = None;
    loop {
        let page = deployment.stores().mailbox_of(&key.sender, after.as_deref()).await?;
        let waits = |item: &AgentReceipt| match item {
            AgentReceipt::Waiting(waiting) => waiting.receipt.request_id == key.request_id,
            AgentReceipt::State(_) | AgentReceipt::Unreadable(..) => false,
        };
        if page.items.iter().any(waits) {
            return Ok(true);
        }
        after = page.next;
        if after.is_none() {
            return Ok(false);
        }
    }
}

async fn dead(deployment: &Deployment, key: &ReceiptKey) -> Result<(Vec<DeadLetterView>, u64), Failure> {
    let filter =
        Filter { id: vec![key.request_id.to_string()], agent: Some(key.sender.clone()), ..Filter::default() };
    let found = find(deployment, &filter).await?;
    let views = found.letters.iter().map(|(pair, letter)| DeadLetterView::of(pair, letter)).collect();
    Ok((views, found.held_elsewhere))
}

impl Stored {
    fn of(stored: StoredReceipt) -> Self {
        Self {
            frame_id: stored.receipt.frame_id().to_string(),
            recipient_agent_did: stored.receipt.recipient.to_string(),
            status: stored.receipt.status.as_str(),
            processed_at: to_iso(stored.receipt.processed_at_ms),
            pushed_at: stored.pushed_at_ms.map(to_iso),
            expires_at: to_iso(stored.expires_at_s.saturating_mul(1_000)),
            reason: stored.receipt.reason,
        }
    }
}

impl Followed {
    fn exit(&self) -> Exit {
        let is_known = self.stored.is_some() || !self.timeline.is_empty() || !self.dead_letters.is_empty();
        match (is_known, self.held_elsewhere) {
            (true, _) => Exit::Done,
            (false, 0) => Exit::NotFound,
            (false, _) => Exit::Partly,
        }
    }

    /// Where it is now, in one sentence.
    fn whereabouts(&self) -> String {
        let pushed_at = self.stored.as_ref().and_then(|stored| stored.pushed_at.as_deref());
        if let Some(letter) = self.dead_letters.first() {
            format!("dead: {} ({})", letter.reason_code, or_dash(letter.reason.as_ref()))
        } else if self.in_mailbox {
            "in the mailbox: its sender is away, revoked, or in quarantine".to_owned()
        } else if let Some(at) = pushed_at {
            format!("pushed at {at}")
        } else if self.timeline.is_empty() {
            "not known here".to_owned()
        } else {
            "under way, or refused: see below".to_owned()
        }
    }
}

impl fmt::Display for Followed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "receipt    {}", self.request_id)?;
        writeln!(formatter, "sender     {}", self.sender_agent_did)?;
        if let Some(stored) = &self.stored {
            writeln!(formatter, "recipient  {}", stored.recipient_agent_did)?;
            writeln!(formatter, "status     {} ({})", stored.status, or_dash(stored.reason.as_ref()))?;
            writeln!(formatter, "frame      {}", stored.frame_id)?;
            writeln!(formatter, "kept until {}", stored.expires_at)?;
        }
        write!(formatter, "now        {}", self.whereabouts())?;
        if self.held_elsewhere > 0 {
            let count = self.held_elsewhere;
            write!(
                formatter,
                "\n           somebody else holds {count} dead letters, which were not looked at"
            )?;
        }
        if self.timeline.is_empty() {
            return Ok(());
        }
        let row = |step: &Step| {
            [
                step.at.clone(),
                step.kind.replace('_', " "),
                or_dash(step.connection_id.as_ref()),
                or_dash(step.detail.as_ref()),
            ]
        };
        let rows = self.timeline.iter().map(row);
        write!(formatter, "\n\n{}", table(["time", "step", "connection", "reason"], rows))
    }
}
