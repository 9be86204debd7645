//! `operator dead-letters`: what could not be handled, looked at, sent again, or thrown away.

mod archive;
mod change;
mod changed;
mod filter;
mod futile;
pub(crate) mod gaps;
pub(crate) mod letter;
pub(crate) mod queues;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use backbone::timestamp::to_iso;
use backbone_aws::Letter;
use clap::{Args, Subcommand};
use futures_util::future::join_all;
use serde::Serialize;

pub(crate) use self::filter::Filter;
use self::gaps::Gaps;
use self::letter::DeadLetterView;
use self::queues::QueuePair;
use self::walk::Walk;
use crate::answer::{Answer, Exit, or_dash, table};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::when::span;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List them, with their totals by reason. Each is received and given back; nothing else is changed.
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only the totals.
        #[arg(long)]
        totals: bool,
    },
    /// Show one with its body and all its attributes.
    Show {
        /// Its message id, what it is about, or its correlation id.
        id: String,
    },
    /// Send them to the queue they come from, as they were, and take them off the dead-letter queue after that. Those that
    /// a move back does not help are left, unless --id or --reason names them.
    Redrive(Selection),
    /// Write them to a file and delete them.
    Discard {
        #[command(flatten)]
        selection: Selection,
        /// Really delete them.
        #[arg(long)]
        yes: bool,
        /// The file, which must not exist yet; by default `dead-letters-<time>.jsonl` in this directory.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// Which ones a change is about, and whether to make it.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    #[command(flatten)]
    filter: Filter,
    /// All of them, or of those of `--queue`.
    #[arg(long)]
    all: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// How many letters of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Total {
    queue: String,
    reason_code: String,
    letters: u64,
    /// When the oldest was first received or else sent.
    oldest: String,
    #[serde(skip)]
    oldest_ms: u64,
}

/// The letters that were asked for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(skip_serializing_if = "Option::is_none")]
    letters: Option<Vec<DeadLetterView>>,
    totals: Vec<Total>,
    #[serde(flatten)]
    gaps: Gaps,
    #[serde(skip)]
    now_ms: u64,
}

/// The letters of one id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    letters: Vec<Whole>,
    #[serde(flatten)]
    gaps: Gaps,
}

/// One letter with everything.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    #[serde(flatten)]
    view: DeadLetterView,
    attributes: BTreeMap<String, String>,
    body: String,
}

/// Does what `action` says.
pub(crate) async fn run(action: Action, deployment: &Deployment) -> Result<Answer, Failure> {
    match action {
        Action::List { filter, totals } => list(deployment, &filter, totals).await,
        Action::Show { id } => show(deployment, id).await,
        Action::Redrive(selection) => change::redrive(deployment, &selection).await,
        Action::Discard { selection, yes, to } => change::discard(deployment, &selection, yes, to).await,
    }
}

impl Selection {
    /// # Errors
    ///
    /// If it is neither narrowed down nor `--all`.
    fn checked(&self) -> Result<(), Failure> {
        if self.filter.is_narrow() || self.all {
            return Ok(());
        }
        Err(Failure::Unconfirmed(
            "which ones? Say --id, --agent, --reason, --older-than, or --all".to_owned(),
        ))
    }
}

/// What was found: the letters that the filter takes, and what could not be looked at.
pub(crate) struct Found {
    pub(crate) letters: Vec<(QueuePair, Letter)>,
    pub(crate) gaps: Gaps,
}

/// Looks for letters and gives all of them back.
///
/// # Errors
///
/// If no queue could be looked at.
pub(crate) async fn find(deployment: &Deployment, filter: &Filter) -> Result<Found, Failure> {
    let mut found = Found { letters: Vec::new(), gaps: Gaps::default() };
    let now_ms = deployment.now_ms();
    let pairs = queues::chosen(deployment, filter.queue.as_deref())?;
    let mut walks = Vec::with_capacity(pairs.len());
    let mut first_failure = None;
    for pair in &pairs {
        match Walk::begin(deployment, pair).await {
            Ok(walk) => walks.push(walk),
            Err(failure) => {
                found.gaps.add(Gaps::ended(pair, &failure));
                first_failure.get_or_insert(failure);
            }
        }
    }
    if let Some(failure) = first_failure.filter(|_| walks.is_empty()) {
        return Err(failure);
    }
    // Side by side: most queues are empty, and to be sure of that takes a while.
    for (pair, letters, gaps) in join_all(walks.into_iter().map(|walk| look(walk, filter, now_ms))).await {
        found.letters.extend(letters.into_iter().map(|letter| (pair.clone(), letter)));
        found.gaps.add(gaps);
    }
    Ok(found)
}

/// Goes through one queue. What has come before a failure is found all the same.
async fn look<'a>(mut walk: Walk<'a>, filter: &Filter, now_ms: u64) -> (&'a QueuePair, Vec<Letter>, Gaps) {
    let (pair, mut gathered) = (walk.pair, Vec::new());
    let problem = loop {
        match walk.next().await {
            Ok(letters) if letters.is_empty() => break None,
            Ok(letters) => gathered.extend(
                letters.into_iter().filter(|letter| filter.takes(&DeadLetterView::of(pair, letter), now_ms)),
            ),
            Err(failure) => break Some(failure),
        }
    };
    (pair, gathered, walk.end(problem.as_ref()).await)
}

async fn list(deployment: &Deployment, filter: &Filter, totals: bool) -> Result<Answer, Failure> {
    let found = find(deployment, filter).await?;
    let mut views: Vec<_> =
        found.letters.iter().map(|(pair, letter)| DeadLetterView::of(pair, letter)).collect();
    views.sort_by(|one, other| (&one.queue, one.since_ms).cmp(&(&other.queue, other.since_ms)));
    let listed = Listed {
        totals: count(&views),
        letters: (!totals).then_some(views),
        gaps: found.gaps,
        now_ms: deployment.now_ms(),
    };
    let exit = listed.gaps.exit().unwrap_or(Exit::Done);
    Ok(Answer::of(&listed, exit))
}

async fn show(deployment: &Deployment, id: String) -> Result<Answer, Failure> {
    let found = find(deployment, &Filter { id: vec![id], ..Filter::default() }).await?;
    let letters: Vec<_> = found
        .letters
        .iter()
        .map(|(pair, letter)| Whole {
            view: DeadLetterView::of(pair, letter),
            attributes: letter.attributes.clone(),
            body: letter.body.clone(),
        })
        .collect();
    let shown = Shown { letters, gaps: found.gaps };
    let exit = shown.exit();
    Ok(Answer::of(&shown, exit))
}

impl Shown {
    fn exit(&self) -> Exit {
        // What was not looked at may be another one of that id.
        self.gaps.exit().unwrap_or(if self.letters.is_empty() { Exit::NotFound } else { Exit::Done })
    }
}

fn count(views: &[DeadLetterView]) -> Vec<Total> {
    let mut totals: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for view in views {
        let total = totals.entry((&view.queue, &view.reason_code)).or_insert((0, u64::MAX));
        *total = (total.0 + 1, total.1.min(view.since_ms));
    }
    let total = |((queue, reason_code), (letters, oldest_ms)): ((&str, &str), _)| Total {
        queue: queue.to_owned(),
        reason_code: reason_code.to_owned(),
        letters,
        oldest: to_iso(oldest_ms),
        oldest_ms,
    };
    totals.into_iter().map(total).collect()
}

impl fmt::Display for Listed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { letters, totals, gaps, now_ms } = self;
        if totals.is_empty() {
            return write!(formatter, "no dead letters{gaps}");
        }
        let age = |since_ms: u64| span(now_ms.saturating_sub(since_ms));
        if let Some(letters) = letters {
            let row = |letter: &DeadLetterView| {
                let id = letter.business_id.as_ref().unwrap_or(&letter.message_id);
                [
                    letter.queue.clone(),
                    id.clone(),
                    letter.reason_code.clone(),
                    age(letter.since_ms),
                    letter.receives.to_string(),
                    or_dash((!letter.agents.is_empty()).then(|| letter.agents.join(" "))),
                ]
            };
            let rows = letters.iter().map(row);
            writeln!(formatter, "{}\n", table(["queue", "id", "reason", "age", "receives", "agents"], rows))?;
        }
        let row = |total: &Total| {
            [total.queue.clone(), total.reason_code.clone(), total.letters.to_string(), age(total.oldest_ms)]
        };
        let rows = totals.iter().map(row);
        write!(formatter, "{}{gaps}", table(["queue", "reason", "letters", "oldest"], rows))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { letters, gaps } = self;
        if letters.is_empty() {
            return write!(formatter, "no such dead letter{gaps}");
        }
        let letters: Vec<_> = letters.iter().map(ToString::to_string).collect();
        write!(formatter, "{}{gaps}", letters.join("\n\n"))
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { view, attributes, body } = self;
        writeln!(formatter, "queue      {}", view.queue)?;
        writeln!(formatter, "message    {}", view.message_id)?;
        writeln!(formatter, "about      {}", or_dash(view.business_id.as_ref()))?;
        writeln!(formatter, "reason     {}: {}", view.reason_code, or_dash(view.reason.as_ref()))?;
        writeln!(formatter, "since      {}", to_iso(view.since_ms))?;
        for (name, value) in attributes {
            writeln!(formatter, "attribute  {name} = {value}")?;
        }
        write!(formatter, "body       {body}")
    }
}

#[cfg(test)]
mod tests {
    use super::letter::tests::{letter, pair};
    use super::*;

    #[test]
    fn totals_are_by_queue_and_reason() {
        let view = |reason: &str, at: &str| {
            DeadLetterView::of(&pair(), &letter("{}", &[("reasonCode", reason), ("firstSeenAt", at)]))
        };
        let views = [view("not_json", "3000"), view("unknown_type", "1000"), view("not_json", "2000")];
        let totals = count(&views);
        assert_eq!(
            (totals[0].reason_code.as_str(), totals[0].letters, totals[0].oldest_ms),
            ("not_json", 2, 2_000)
        );
        assert_eq!(totals.len(), 2);
        let gaps = Gaps { held_elsewhere: 1, ..Gaps::default() };
        let listed = Listed { letters: None, totals, gaps, now_ms: 62_000 };
        let text = listed.to_string();
        assert!(text.contains("receipts  not_json      2        1m 0s"), "{text}");
        assert!(text.contains("1 more did not come"), "{text}");
    }

    #[test]
    fn what_was_not_looked_at_is_told_beside_what_was_found() {
        let shown = |is_found: bool, gaps: Gaps| {
            let whole = || {
                let view = DeadLetterView::of(&pair(), &letter("{}", &[]));
                Whole { view, attributes: BTreeMap::new(), body: "{}".to_owned() }
            };
            Shown { letters: is_found.then(whole).into_iter().collect(), gaps }
        };
        let broken = || Gaps { problem: Some("events: SQS is silent".to_owned()), ..Gaps::default() };
        for (shown, exit) in [
            (shown(true, Gaps::default()), Exit::Done),
            (shown(false, Gaps::default()), Exit::NotFound),
            (shown(true, Gaps { held_elsewhere: 1, ..Gaps::default() }), Exit::Partly),
            (shown(true, broken()), Exit::NotKnown),
            (shown(false, broken()), Exit::NotKnown),
        ] {
            assert_eq!(shown.exit(), exit, "{shown}");
            assert_eq!(shown.to_string().contains("SQS is silent"), shown.gaps.problem.is_some(), "{shown}");
        }
        let json = serde_json::to_value(shown(false, broken())).unwrap();
        assert_eq!((&json["letters"], &json["heldElsewhere"]), (&serde_json::json!([]), &0.into()));
    }

    #[test]
    fn a_change_of_everything_must_be_said() {
        let selection = |all, reason: Option<&str>| Selection {
            filter: Filter { reason: reason.map(str::to_owned), ..Filter::default() },
            all,
            dry_run: false,
        };
        assert!(selection(false, None).checked().is_err());
        assert!(selection(true, None).checked().is_ok() && selection(false, Some("x")).checked().is_ok());
    }
}
