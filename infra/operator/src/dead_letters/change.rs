//! Sending dead letters again, and throwing them away.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use backbone::timestamp::to_iso;
use backbone_aws::Letter;
use serde::Serialize;
use serde_json::json;

use super::letter::DeadLetterView;
use super::walk::Walk;
use super::{Held, Selection, queues};
use crate::answer::{Answer, Exit, table};
use crate::deployment::Deployment;
use crate::failure::Failure;

/// How many bytes of bodies are sent in one call; SQS takes 256 KiB everywhere, attributes included.
const BATCH_BYTES_MAX: usize = 200 * 1024;

/// What is done with each letter that is chosen.
enum Change {
    /// Nothing: it is only counted.
    Look,
    Redrive,
    Discard(Archive),
}

/// The file that keeps what is deleted. There is none until something is.
struct Archive {
    file: Option<File>,
    path: PathBuf,
}

/// What became of the letters of one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    /// They were chosen.
    chosen: u64,
    /// They were sent again, or deleted.
    done: u64,
    /// They were sent again and could not be taken off the dead-letter queue: the next redrive sends them once more, which
    /// delivers nothing twice.
    left_behind: u64,
}

/// What became of all of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    #[serde(skip)]
    verbs: (&'static str, &'static str),
    dry_run: bool,
    counts: Vec<ChangedReason>,
    held_elsewhere: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangedReason {
    queue: String,
    reason_code: String,
    #[serde(flatten)]
    counts: Counts,
}

pub(super) async fn redrive(deployment: &Deployment, selection: &Selection) -> Result<Answer, Failure> {
    selection.checked()?;
    let mut change = if selection.dry_run { Change::Look } else { Change::Redrive };
    make(deployment, selection, &mut change, ("redrive", "redriven")).await
}

pub(super) async fn discard(
    deployment: &Deployment,
    selection: &Selection,
    yes: bool,
    to: Option<PathBuf>,
) -> Result<Answer, Failure> {
    selection.checked()?;
    let mut change = match (selection.dry_run, yes) {
        (true, _) => Change::Look,
        (false, true) => {
            let name = || format!("dead-letters-{}.jsonl", to_iso(deployment.now_ms()).replace(':', ""));
            Change::Discard(Archive { file: None, path: to.unwrap_or_else(|| name().into()) })
        }
        (false, false) => {
            return Err(Failure::Unconfirmed(
                "this deletes: look with --dry-run first, then say --yes".to_owned(),
            ));
        }
    };
    make(deployment, selection, &mut change, ("discard", "discarded")).await
}

/// Goes through the queues and makes the change to every letter that is chosen.
async fn make(
    deployment: &Deployment,
    selection: &Selection,
    change: &mut Change,
    verbs: (&'static str, &'static str),
) -> Result<Answer, Failure> {
    let mut counts = BTreeMap::new();
    let mut held_elsewhere = 0;
    for pair in queues::chosen(deployment, selection.filter.queue.as_deref())? {
        let mut walk = Walk::begin(deployment, &pair).await?;
        held_elsewhere += walk.held_elsewhere;
        let made = make_on(deployment, selection, change, &mut walk, &mut counts).await;
        // Whatever ended the walk, the others get back what is still held.
        walk.end().await?;
        made?;
    }
    let changed = Changed {
        verbs,
        dry_run: selection.dry_run,
        counts: counts
            .into_iter()
            .map(|((queue, reason_code), counts)| ChangedReason { queue, reason_code, counts })
            .collect(),
        held_elsewhere,
        file: match change {
            Change::Discard(archive) => archive.file.as_ref().map(|_| archive.path.display().to_string()),
            Change::Look | Change::Redrive => None,
        },
    };
    let exit = changed.exit();
    Ok(Answer::of(&changed, exit))
}

async fn make_on(
    deployment: &Deployment,
    selection: &Selection,
    change: &mut Change,
    walk: &mut Walk<'_>,
    counts: &mut BTreeMap<(String, String), Counts>,
) -> Result<(), Failure> {
    let now_ms = deployment.now_ms();
    loop {
        let letters = walk.next().await?;
        if letters.is_empty() {
            return Ok(());
        }
        let views: Vec<_> = letters.iter().map(|letter| DeadLetterView::of(walk.pair, letter)).collect();
        let chosen: Vec<_> = letters
            .into_iter()
            .zip(views)
            .filter(|(_, view)| selection.filter.takes(view, now_ms))
            .inspect(|(_, view)| of(counts, view).chosen += 1)
            .collect();
        for batch in batches(&chosen) {
            let letters: Vec<Letter> = batch.iter().map(|(letter, _)| letter.clone()).collect();
            let ready = match change {
                Change::Look => continue,
                Change::Redrive => deployment.stores().send_again(&walk.pair.source_url, &letters).await?,
                Change::Discard(archive) => archive.keep(&batch).map(|()| vec![true; batch.len()])?,
            };
            // Sent, or kept, first: whatever is deleted is somewhere else already.
            let ready: Vec<_> =
                batch.iter().zip(ready).filter_map(|(one, ready)| ready.then_some(one)).collect();
            let letters: Vec<Letter> = ready.iter().map(|(letter, _)| letter.clone()).collect();
            if letters.is_empty() {
                continue;
            }
            let gone = deployment.stores().delete_letters(&walk.pair.dlq_url, &letters).await?;
            for ((letter, view), gone) in ready.into_iter().zip(gone) {
                let counts = of(counts, view);
                if gone {
                    counts.done += 1;
                    walk.deal_with(letter);
                } else {
                    counts.left_behind += 1;
                }
            }
        }
    }
}

fn of<'a>(counts: &'a mut BTreeMap<(String, String), Counts>, view: &DeadLetterView) -> &'a mut Counts {
    counts.entry((view.queue.clone(), view.reason_code.clone())).or_default()
}

/// Cuts letters into what one call takes.
fn batches(letters: &[(Letter, DeadLetterView)]) -> Vec<Vec<&(Letter, DeadLetterView)>> {
    let mut batches: Vec<Vec<&(Letter, DeadLetterView)>> = Vec::new();
    let mut bytes = usize::MAX;
    for one in letters {
        let size = one.0.body.len();
        match batches.last_mut() {
            Some(batch) if bytes.saturating_add(size) <= BATCH_BYTES_MAX => {
                batch.push(one);
                bytes += size;
            }
            Some(_) | None => {
                batches.push(vec![one]);
                bytes = size;
            }
        }
    }
    batches
}

impl Archive {
    /// The file, new: what is in one already is not to be mixed with this, or overwritten.
    fn file(&mut self) -> std::io::Result<&mut File> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // bodies are nobody else's business
            options.open(&self.path)?
        };
        Ok(self.file.insert(file))
    }

    /// Adds one line for each letter, and returns once the disk has them.
    fn keep(&mut self, letters: &[&(Letter, DeadLetterView)]) -> Result<(), Failure> {
        let lines = letters.iter().map(|(letter, view)| {
            let Letter { message_id, body, attributes, sent_at_ms, .. } = letter;
            let line = json!({
                "queue": view.queue, "messageId": message_id, "sentAt": to_iso(*sent_at_ms), "attributes": attributes,
                "body": body,
            });
            format!("{line}\n")
        });
        let text: String = lines.collect();
        let kept = self.file().and_then(|file| {
            file.write_all(text.as_bytes())?;
            file.sync_data()
        });
        kept.map_err(|source| Failure::File { path: self.path.display().to_string(), source })
    }
}

impl Changed {
    fn exit(&self) -> Exit {
        let sum = |of: fn(&Counts) -> u64| self.counts.iter().map(|reason| of(&reason.counts)).sum::<u64>();
        let (chosen, done) = (sum(|counts| counts.chosen), sum(|counts| counts.done));
        match (self.held_elsewhere, chosen) {
            (0, 0) => Exit::NotFound,
            (0, _) if self.dry_run || done == chosen => Exit::Done,
            (_, _) => Exit::Partly,
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, past) = self.verbs;
        if self.counts.is_empty() {
            return write!(formatter, "no dead letter is chosen{}", Held(self.held_elsewhere));
        }
        let row = |reason: &ChangedReason| {
            let Counts { chosen, done, left_behind } = reason.counts;
            let what = if self.dry_run {
                format!("would {verb} {chosen}")
            } else if left_behind > 0 {
                format!(
                    "{past} {done} of {chosen}; {left_behind} could not be taken off the dead-letter queue"
                )
            } else {
                format!("{past} {done} of {chosen}")
            };
            [reason.queue.clone(), reason.reason_code.clone(), what]
        };
        let rows = self.counts.iter().map(row);
        write!(formatter, "{}", table(["queue", "reason", "letters"], rows))?;
        if let Some(file) = &self.file {
            write!(formatter, "\nkept in {file}")?;
        }
        write!(formatter, "{}", Held(self.held_elsewhere))
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::{letter, pair};
    use super::*;

    fn sized(bytes: usize) -> (Letter, DeadLetterView) {
        let letter = letter(&"x".repeat(bytes), &[]);
        let view = DeadLetterView::of(&pair(), &letter);
        (letter, view)
    }

    #[test]
    fn a_batch_is_no_larger_than_sqs_takes() {
        let letters = [100, 150 * 1024, 60 * 1024, 300 * 1024, 1].map(sized);
        let sizes: Vec<_> = batches(&letters).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1]);
        assert!(batches(&[]).is_empty());
    }

    fn changed(dry_run: bool, held_elsewhere: u64, counts: Counts) -> Changed {
        let (queue, reason_code) = ("receipts".to_owned(), "not_json".to_owned());
        let counts = vec![ChangedReason { queue, reason_code, counts }];
        Changed { verbs: ("redrive", "redriven"), dry_run, counts, held_elsewhere, file: None }
    }

    #[test]
    fn it_says_what_was_done_and_what_was_not() {
        let all = Counts { chosen: 3, done: 3, left_behind: 0 };
        let most = Counts { chosen: 3, done: 2, left_behind: 1 };
        for (changed, exit, words) in [
            (changed(true, 0, Counts { done: 0, ..all }), Exit::Done, "would redrive 3"),
            (changed(false, 0, all), Exit::Done, "redriven 3 of 3"),
            (changed(false, 0, most), Exit::Partly, "redriven 2 of 3; 1 could not be taken off"),
            (changed(false, 2, all), Exit::Partly, "somebody else holds 2 more"),
        ] {
            let text = changed.to_string();
            assert!(text.contains(words), "{text}");
            assert_eq!(changed.exit(), exit, "{text}");
        }
    }
}
