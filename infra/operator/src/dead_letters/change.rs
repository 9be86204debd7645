//! Sending dead letters again, and throwing them away.

use std::collections::BTreeMap;
use std::path::PathBuf;

use backbone::timestamp::to_iso;
use backbone_aws::Letter;

use super::archive::Archive;
use super::changed::{Changed, ChangedReason, Counts};
use super::futile::Futile;
use super::gaps::Gaps;
use super::letter::DeadLetterView;
use super::queues::QueuePair;
use super::walk::Walk;
use super::{Selection, queues};
use crate::answer::{Answer, Exit};
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

/// A letter that is chosen, and how operators see it.
type Chosen = (Letter, DeadLetterView);

/// A change under way.
struct Work<'a> {
    deployment: &'a Deployment,
    selection: &'a Selection,
    change: Change,
    /// Whether the letters are to be handled once more, at once or after a look.
    sends_again: bool,
    /// By queue and reason.
    counts: BTreeMap<(String, String), Counts>,
    refusal: Option<String>,
}

pub(super) async fn redrive(deployment: &Deployment, selection: &Selection) -> Result<Answer, Failure> {
    selection.checked()?;
    let change = if selection.dry_run { Change::Look } else { Change::Redrive };
    Work::new(deployment, selection, change, true).make(("redrive", "redriven")).await
}

pub(super) async fn discard(
    deployment: &Deployment,
    selection: &Selection,
    yes: bool,
    to: Option<PathBuf>,
) -> Result<Answer, Failure> {
    selection.checked()?;
    let change = match (selection.dry_run, yes) {
        (true, _) => Change::Look,
        (false, true) => {
            let name = || format!("dead-letters-{}.jsonl", to_iso(deployment.now_ms()).replace(':', ""));
            Change::Discard(Archive::at(to.unwrap_or_else(|| name().into())))
        }
        (false, false) => {
            return Err(Failure::Unconfirmed(
                "this deletes: look with --dry-run first, then say --yes".to_owned(),
            ));
        }
    };
    Work::new(deployment, selection, change, false).make(("discard", "discarded")).await
}

impl<'a> Work<'a> {
    const fn new(
        deployment: &'a Deployment,
        selection: &'a Selection,
        change: Change,
        sends_again: bool,
    ) -> Self {
        Self { deployment, selection, change, sends_again, counts: BTreeMap::new(), refusal: None }
    }

    /// Goes through the queues and makes the change to every letter that is chosen. A failure on the way ends it and is
    /// part of the answer: what was done until then is done.
    async fn make(mut self, verbs: (&'static str, &'static str)) -> Result<Answer, Failure> {
        let mut gaps = Gaps::default();
        for pair in queues::chosen(self.deployment, self.selection.filter.queue.as_deref())? {
            let ended = match self.walk_through(&pair).await {
                // Nothing has been begun anywhere, or nothing could be.
                Err(failure) if self.counts.is_empty() || failure.exit() == Exit::Usage => {
                    return Err(failure);
                }
                Err(failure) => Gaps::ended(&pair, &failure),
                Ok(ended) => ended,
            };
            gaps.add(ended);
            if gaps.problem.is_some() {
                break;
            }
        }
        let file = match &self.change {
            Change::Discard(archive) => archive.path().map(|path| path.display().to_string()),
            Change::Look | Change::Redrive => None,
        };
        let changed = Changed {
            verbs,
            dry_run: self.selection.dry_run,
            counts: self
                .counts
                .into_iter()
                .map(|((queue, reason_code), counts)| ChangedReason::new(queue, reason_code, counts))
                .collect(),
            gaps,
            refusal: self.refusal,
            file,
        };
        let exit = changed.exit();
        Ok(Answer::of(&changed, exit))
    }

    async fn walk_through(&mut self, pair: &QueuePair) -> Result<Gaps, Failure> {
        let mut walk = Walk::begin(self.deployment, pair).await?;
        let made = self.make_on(&mut walk).await;
        for letter in walk.returned() {
            of(&mut self.counts, &DeadLetterView::of(pair, letter)).returned += 1;
        }
        // Whatever ended the walk, the others get back what is still held.
        let gaps = walk.end(made.as_ref().err()).await;
        match made {
            Err(failure) if failure.exit() == Exit::Usage => Err(failure),
            Err(_) | Ok(()) => Ok(gaps),
        }
    }

    async fn make_on(&mut self, walk: &mut Walk<'_>) -> Result<(), Failure> {
        let now_ms = self.deployment.now_ms();
        loop {
            let letters = walk.next().await?;
            if letters.is_empty() {
                return Ok(());
            }
            let views: Vec<_> = letters.iter().map(|letter| DeadLetterView::of(walk.pair, letter)).collect();
            let chosen: Vec<Chosen> = letters
                .into_iter()
                .zip(views)
                .filter(|(_, view)| self.selection.filter.takes(view, now_ms))
                .filter(|(_, view)| self.count_chosen(view))
                .collect();
            for batch in batches(&chosen) {
                let ready = self.put_elsewhere(walk, &batch).await?;
                self.take_off(walk, &ready).await?;
            }
        }
    }

    /// Counts a letter that is chosen; whether anything is to be done with it.
    fn count_chosen(&mut self, view: &DeadLetterView) -> bool {
        let futile = Futile::of(&view.reason_code).filter(|_| self.sends_again);
        let is_left = futile.is_some_and(|futile| !futile.is_insisted_on(&self.selection.filter));
        let counts = of(&mut self.counts, view);
        counts.chosen += 1;
        counts.left_alone += u64::from(is_left);
        !is_left
    }

    /// Sends or keeps letters. Those that are somewhere else now, and may be deleted here.
    async fn put_elsewhere<'b>(
        &mut self,
        walk: &mut Walk<'_>,
        batch: &[&'b Chosen],
    ) -> Result<Vec<&'b Chosen>, Failure> {
        match &mut self.change {
            Change::Look => Ok(Vec::new()),
            Change::Discard(archive) => archive.keep(batch).map(|()| batch.to_vec()),
            Change::Redrive => {
                let letters: Vec<Letter> = batch.iter().map(|(letter, _)| letter.clone()).collect();
                let sent = self.deployment.stores().send_again(&walk.pair.source_url, &letters).await;
                let sent = sent.inspect_err(|_| self.lose_sight_of(batch))?;
                let mut ready = Vec::with_capacity(batch.len());
                for (one, sent) in batch.iter().zip(sent) {
                    match sent {
                        Ok(message_id) => {
                            walk.note_sent(message_id);
                            ready.push(*one);
                        }
                        Err(refusal) => self.note_refusal(refusal),
                    }
                }
                Ok(ready)
            }
        }
    }

    /// Deletes letters that are somewhere else already.
    async fn take_off(&mut self, walk: &mut Walk<'_>, ready: &[&Chosen]) -> Result<(), Failure> {
        if ready.is_empty() {
            return Ok(());
        }
        let letters: Vec<Letter> = ready.iter().map(|(letter, _)| letter.clone()).collect();
        let gone = self.deployment.stores().delete_letters(&walk.pair.dlq_url, &letters).await;
        let gone = gone.inspect_err(|_| self.lose_sight_of(ready))?;
        for ((letter, view), gone) in ready.iter().copied().zip(gone) {
            let counts = of(&mut self.counts, view);
            match gone {
                Ok(()) => {
                    counts.done += 1;
                    walk.deal_with(letter);
                }
                Err(refusal) => {
                    counts.left_behind += 1;
                    self.note_refusal(refusal);
                }
            }
        }
        Ok(())
    }

    fn lose_sight_of(&mut self, batch: &[&Chosen]) {
        for (_, view) in batch {
            of(&mut self.counts, view).not_known += 1;
        }
    }

    fn note_refusal(&mut self, refusal: String) {
        self.refusal.get_or_insert(refusal);
    }
}

fn of<'a>(counts: &'a mut BTreeMap<(String, String), Counts>, view: &DeadLetterView) -> &'a mut Counts {
    counts.entry((view.queue.clone(), view.reason_code.clone())).or_default()
}

/// Cuts letters into what one call takes.
fn batches(letters: &[Chosen]) -> Vec<Vec<&Chosen>> {
    let mut batches: Vec<Vec<&Chosen>> = Vec::new();
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
}
