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
use crate::dead_letters::gaps::Gaps;
use crate::dead_letters::letter::DeadLetterView;
use crate::dead_letters::{Filter, Found, find};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::progress;
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
    /// What of the dead letters was not looked at.
    #[serde(flatten)]
    gaps: Gaps,
    /// What else could not be looked at.
    notes: Vec<String>,
    /// Where it is now, in one sentence.
    now: String,
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
    // Whatever its row says: a later state of it may be dead.
    let found = dead(deployment, &key).await?;
    let letters: Vec<_> =
        found.letters.iter().map(|(pair, letter)| DeadLetterView::of(pair, letter)).collect();

    let since_ms = since.map_or_else(
        || request_id.time_ms().saturating_sub(CLOCK_SKEW_MS),
        |since| since.before(deployment.now_ms()),
    );
    let known: BTreeSet<_> = letters.iter().filter_map(|letter| letter.correlation_id.clone()).collect();
    let (lines, notes) = lines_about(deployment, &request_id.to_string(), known, since_ms).await;
    let mut followed = Followed {
        request_id: request_id.to_string(),
        sender_agent_did: key.sender.to_string(),
        timeline: timeline(&lines, stored.as_ref()),
        stored: stored.map(Stored::of),
        in_mailbox,
        dead_letters: letters,
        gaps: found.gaps,
        notes,
        now: String::new(),
    };
    followed.now = followed.whereabouts();
    let exit = followed.exit();
    Ok(Answer::of(&followed, exit))
}

async fn is_in_mailbox(deployment: &Deployment, key: &ReceiptKey) -> Result<bool, Failure> {
    let spinner = progress::spinner("looking into the mailbox");
    let now_s = deployment.now_ms() / 1_000;
    let mut after = None;
    let found = loop {
        let page = deployment.stores().mailbox_of(&key.sender, after.as_deref()).await?;
        let waits = |item: &AgentReceipt| match item {
            AgentReceipt::Waiting(waiting) => {
                waiting.receipt.request_id == key.request_id && now_s < waiting.expires_at_s
            }
            AgentReceipt::State(_) | AgentReceipt::Unreadable(..) => false,
        };
        spinner.inc(1);
        if page.items.iter().any(waits) {
            break true;
        }
        after = page.next;
        if after.is_none() {
            break false;
        }
    };
    spinner.finish_and_clear();
    Ok(found)
}

async fn dead(deployment: &Deployment, key: &ReceiptKey) -> Result<Found, Failure> {
    let filter =
        Filter { id: vec![key.request_id.to_string()], agent: Some(key.sender.clone()), ..Filter::default() };
    find(deployment, &filter).await
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
        let is_known = self.is_kept() || !(self.timeline.is_empty() || self.is_another_agents());
        match self.gaps.exit() {
            // Somebody else is looking at dead letters, which may have nothing to do with this receipt.
            Some(Exit::Partly) if is_known && self.notes.is_empty() => Exit::Done,
            Some(exit) => exit,
            None if !self.notes.is_empty() => Exit::Partly,
            None if is_known => Exit::Done,
            None => Exit::NotFound,
        }
    }

    /// Whether something of this sender's is there.
    const fn is_kept(&self) -> bool {
        self.stored.is_some() || self.in_mailbox || !self.dead_letters.is_empty()
    }

    /// Whether the lines are about another agent's receipt: lines have no sender, and what they tell of leaves a row.
    fn is_another_agents(&self) -> bool {
        !self.is_kept() && self.gaps.problem.is_none() && self.timeline.iter().any(Step::follows_record)
    }

    /// The last step of its way: neither a warning nor the refusal of a later POST moves it.
    fn last_step(&self) -> Option<&Step> {
        self.timeline.iter().rev().find(|step| step.follows_acceptance())
    }

    /// The code of the refusal that it ended with, if no POST of it was accepted.
    fn refusal(&self) -> Option<&str> {
        let was_accepted = self.timeline.iter().any(Step::follows_acceptance);
        self.timeline.iter().rev().find_map(Step::refusal).filter(|_| !was_accepted)
    }

    /// Where it is now, in one sentence.
    fn whereabouts(&self) -> String {
        let pushed_at = self.stored.as_ref().and_then(|stored| stored.pushed_at.as_deref());
        if let Some(letter) = self.dead_letters.first() {
            let reason = letter.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let dead = format!("dead: {}{reason}", letter.reason_code);
            match pushed_at {
                Some(at) => format!("the stored state was pushed at {at}; another is {dead}"),
                None => dead,
            }
        } else if self.in_mailbox {
            "in the mailbox: its sender is away, revoked, or in quarantine".to_owned()
        } else if let Some(at) = pushed_at {
            format!("pushed at {at}")
        } else if self.timeline.is_empty() {
            "not known here".to_owned()
        } else if self.is_another_agents() {
            "no receipt of this sender is stored. The lines below tell of one that is: of another agent, if --agent is not \
             who sent the message, or past its retention"
                .to_owned()
        } else if let Some(code) = self.refusal() {
            format!(
                "refused: {code}; of a later POST that was accepted there is a line at LogLevel debug only"
            )
        } else if self.last_step().is_some_and(Step::is_at_peer) {
            "sent on to the peer at which its sender is at home: ask there".to_owned()
        } else if let Some(death) = self.last_step().filter(|step| step.is_death()) {
            let dead =
                death.detail.as_ref().map_or_else(|| "dead".to_owned(), |reason| format!("dead ({reason})"));
            if self.gaps.are_of_looking() {
                format!("it was {dead}; whether it still is could not be seen")
            } else {
                format!("it was {dead} and is not any more: discarded, or sent again a moment ago")
            }
        } else {
            "under way: see below".to_owned()
        }
    }
}

impl fmt::Display for Followed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "receipt    {}", self.request_id)?;
        writeln!(formatter, "sender     {}", self.sender_agent_did)?;
        if let Some(stored) = &self.stored {
            writeln!(formatter, "recipient  {}", stored.recipient_agent_did)?;
            let reason = stored.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            writeln!(formatter, "status     {}{reason}", stored.status)?;
            writeln!(formatter, "frame      {}", stored.frame_id)?;
            writeln!(formatter, "kept until {}", stored.expires_at)?;
        }
        write!(formatter, "now        {}", self.now)?;
        if self.gaps != Gaps::default() {
            write!(formatter, "\n\ndead letters that were not looked at:{}", self.gaps)?;
        }
        for note in &self.notes {
            write!(formatter, "\n\n{note}")?;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::lines::Line;
    use super::*;
    use crate::dead_letters::letter::tests::{letter, pair};

    fn followed(stored: bool, dead: bool) -> Followed {
        let pushed_at = Some("2026-03-31T23:33:20.000Z".to_owned());
        let stored = stored.then(|| Stored {
            recipient_agent_did: String::new(),
            status: "delivered_to_webhook",
            reason: None,
            processed_at: String::new(),
            pushed_at,
            expires_at: String::new(),
            frame_id: String::new(),
        });
        let letter = dead.then(|| DeadLetterView::of(&pair(), &letter("{}", &[])));
        Followed {
            request_id: String::new(),
            sender_agent_did: String::new(),
            stored,
            in_mailbox: false,
            dead_letters: letter.into_iter().collect(),
            gaps: Gaps::default(),
            notes: Vec::new(),
            now: String::new(),
            timeline: Vec::new(),
        }
    }

    fn told(lines: &[serde_json::Value]) -> Followed {
        let lines = lines.iter().map(|fields| Line { at_ms: 1, fields: fields.clone() });
        Followed { timeline: timeline(&lines.collect::<Vec<_>>(), None), ..followed(false, false) }
    }

    #[test]
    fn a_refused_post_is_told_from_one_under_way() {
        let refused = json!({ "error.code": "PROXY_AUTH_FORBIDDEN", "level": "WARN" });
        let queued = json!({ "step": "queued" });
        assert!(
            told(std::slice::from_ref(&refused)).whereabouts().starts_with("refused: PROXY_AUTH_FORBIDDEN;")
        );
        assert!(
            told(&[refused, queued]).whereabouts().starts_with("under way"),
            "another POST of it was not"
        );
    }

    #[test]
    fn what_is_with_a_peer_is_not_under_way_here() {
        let (queued, forwarded) = (json!({ "step": "queued" }), json!({ "step": "forwarded" }));
        assert!(told(std::slice::from_ref(&forwarded)).whereabouts().starts_with("sent on to the peer"));
        let refused = json!({ "error.code": "PROXY_AUTH_REPLAY", "level": "WARN" });
        assert!(told(&[forwarded.clone(), refused]).whereabouts().starts_with("sent on"), "it stays there");
        assert!(told(&[forwarded, queued]).whereabouts().starts_with("under way"), "it was paired anew");
    }

    #[test]
    fn a_death_without_its_letter_is_not_under_way() {
        let queued = json!({ "step": "queued" });
        let dead = json!({ "reason.code": "invalid_field", "level": "WARN" });
        let warned = json!({ "level": "WARN", "message": "m" });
        let gone = told(&[queued.clone(), dead.clone(), warned]);
        let whereabouts = gone.whereabouts();
        assert!(whereabouts.starts_with("it was dead (invalid_field) and is not any more"), "{whereabouts}");
        assert_eq!(gone.exit(), Exit::Done);
        let kept = told(&[json!({ "step": "kept_dead" })]).whereabouts();
        assert!(kept.starts_with("it was dead and is not any more"), "{kept}");
        let broken = Gaps { problem: Some("SQS is silent".to_owned()), ..Gaps::default() };
        let unseen = Followed { gaps: broken, ..told(std::slice::from_ref(&dead)) }.whereabouts();
        assert!(unseen.ends_with("could not be seen"), "{unseen}");
        let anew = json!({ "step": "queued", "correlation.id": "another POST's" });
        assert!(told(&[dead, anew]).whereabouts().starts_with("under way"), "it was posted anew");
    }

    #[test]
    fn lines_of_another_agents_receipt_are_not_this_senders() {
        let (queued, pushed) = (json!({ "step": "queued" }), json!({ "push.outcome": "Taken" }));
        let another = told(&[queued.clone(), pushed.clone()]);
        assert!(another.whereabouts().starts_with("no receipt of this sender"));
        assert_eq!(another.exit(), Exit::NotFound);
        let ours = Followed { timeline: another.timeline, ..followed(true, false) };
        assert_eq!(ours.exit(), Exit::Done);
        let failed = json!({ "push.outcome": "Failed", "level": "WARN" });
        let retried = told(&[queued.clone(), failed]);
        assert!(retried.whereabouts().starts_with("under way"), "{}", retried.whereabouts());
        assert_eq!(told(&[queued]).exit(), Exit::Done, "it may be on its way");
    }

    #[test]
    fn a_later_state_that_is_dead_is_told_of_a_receipt_that_was_pushed() {
        let whereabouts = followed(true, true).whereabouts();
        assert!(
            whereabouts.contains("was pushed at 2026") && whereabouts.contains("dead: too_many_receives")
        );
        assert_eq!(followed(true, false).whereabouts(), "pushed at 2026-03-31T23:33:20.000Z");
        assert!(followed(false, true).whereabouts().starts_with("dead: "));
    }

    #[test]
    fn what_was_not_looked_at_is_told_by_the_exit_code() {
        let note = vec!["the logs were not read".to_owned()];
        let broken = Gaps { problem: Some("SQS is silent".to_owned()), ..Gaps::default() };
        let held = Gaps { held_elsewhere: 1, ..Gaps::default() };
        for (followed, exit) in [
            (followed(true, false), Exit::Done),
            (followed(false, false), Exit::NotFound),
            (Followed { gaps: held.clone(), ..followed(true, false) }, Exit::Done),
            (Followed { gaps: held, ..followed(false, false) }, Exit::Partly),
            (Followed { notes: note.clone(), ..followed(true, false) }, Exit::Partly),
            (Followed { notes: note, ..followed(false, false) }, Exit::Partly),
            (Followed { gaps: broken, ..followed(true, false) }, Exit::NotKnown),
        ] {
            assert_eq!(followed.exit(), exit, "{followed}");
        }
    }
}
