//! Going through a dead-letter queue, which cannot be looked at: every letter is received, which hides it from everybody
//! else, and given back unless it was dealt with.

use std::collections::{BTreeSet, HashMap};

use backbone_aws::{LETTERS_AT_ONCE, Letter, QueueDepth};
use futures_util::stream::{self, StreamExt};
use indicatif::ProgressBar;

use super::gaps::Gaps;
use super::queues::QueuePair;
use crate::deployment::Deployment;
use crate::failure::Failure;

/// How long a letter is hidden at least, and how much longer for each letter of its queue: long enough for a walk through
/// all of them, short enough that they are back soon if this process dies.
const HIDDEN_S_MIN: u64 = 30;
const LETTERS_PER_SECOND: u64 = 50;
/// SQS's own limit.
const HIDDEN_S_MAX: u64 = 12 * 60 * 60;
/// So often nothing may come while something is still to be expected: SQS's count is not exact.
const EMPTY_RECEIVES_MAX: u32 = 3;
/// How many batches are given back side by side.
const GIVEN_BACK_AT_ONCE: usize = 8;

/// A walk through one queue.
pub(crate) struct Walk<'a> {
    deployment: &'a Deployment,
    pub(crate) pair: &'a QueuePair,
    hidden_s: u64,
    /// How much was there when it began.
    depth: QueueDepth,
    letters: Letters,
    progress: ProgressBar,
}

/// What has come so far.
#[derive(Default)]
struct Letters {
    /// Those that were seen, with their newest handles; a handle is gone once its letter was dealt with.
    seen: HashMap<String, Option<Letter>>,
    /// The ids of the messages that were sent again.
    sent: BTreeSet<String>,
    /// Those of them that are dead again, which are not to be sent once more and so on without end.
    returned: HashMap<String, Letter>,
}

impl<'a> Walk<'a> {
    pub(crate) async fn begin(deployment: &'a Deployment, pair: &'a QueuePair) -> Result<Self, Failure> {
        let depth = deployment.stores().queue_depth(&pair.dlq_url).await?;
        Ok(Self {
            deployment,
            pair,
            hidden_s: (HIDDEN_S_MIN + depth.visible / LETTERS_PER_SECOND).min(HIDDEN_S_MAX),
            depth,
            letters: Letters::default(),
            progress: crate::progress::bar(depth.visible, &format!("{} dead letters", pair.name)),
        })
    }

    /// Some letters that were not seen yet; none once all were.
    pub(crate) async fn next(&mut self) -> Result<Vec<Letter>, Failure> {
        let mut empty = 0;
        loop {
            let hidden_s = u32::try_from(self.hidden_s).unwrap_or(u32::MAX);
            // A short poll asks some of SQS's servers only, and finds nothing where there is something.
            let received =
                self.deployment.stores().receive_letters(&self.pair.dlq_url, hidden_s, true).await?;
            if received.is_empty() {
                empty += 1;
                if self.letters.count() >= self.depth.visible || empty == EMPTY_RECEIVES_MAX {
                    return Ok(Vec::new());
                }
                continue;
            }
            let fresh = self.letters.take_in(received);
            if !fresh.is_empty() {
                self.progress.inc(count(fresh.len()));
                return Ok(fresh);
            }
            // Their time was over before the walk was. With a longer one they do not come round for ever.
            self.hidden_s = (self.hidden_s * 2).min(HIDDEN_S_MAX);
        }
    }

    /// Notes under which id a letter was sent again.
    pub(crate) fn note_sent(&mut self, message_id: String) {
        self.letters.sent.insert(message_id);
    }

    /// Notes that a letter is gone.
    pub(crate) fn deal_with(&mut self, letter: &Letter) {
        self.letters.seen.insert(letter.message_id.clone(), None);
    }

    /// The letters that this walk has sent again and that were buried again meanwhile.
    pub(crate) fn returned(&self) -> impl Iterator<Item = &Letter> {
        self.letters.returned.values()
    }

    /// Gives back what was not dealt with. `problem` is what has ended the walk, if it did not come to its end.
    pub(crate) async fn end(self, problem: Option<&Failure>) -> Gaps {
        self.progress.finish_and_clear();
        let held_elsewhere = held_elsewhere(self.depth, self.letters.count(), problem.is_none());
        let kept = self.letters.kept();
        let chunks = kept.chunks(LETTERS_AT_ONCE);
        // A call each: one of them that takes long does not take the time of the others.
        let giving = stream::iter(chunks).map(async |letters| {
            let given = self.deployment.stores().give_back(&self.pair.dlq_url, letters).await;
            given.map_or(letters.len(), |given| given.iter().filter(|given| given.is_err()).count())
        });
        let not_given_back = giving
            .buffer_unordered(GIVEN_BACK_AT_ONCE)
            .fold(0, async |sum, not_given_back| sum + count(not_given_back))
            .await;
        let ended = problem.map_or_else(Gaps::default, |problem| Gaps::ended(self.pair, problem));
        Gaps { held_elsewhere, not_given_back, ..ended }
    }
}

impl Letters {
    /// How many were seen.
    fn count(&self) -> u64 {
        count(self.seen.len())
    }

    /// Notes what has come; those of it that are new.
    fn take_in(&mut self, received: Vec<Letter>) -> Vec<Letter> {
        let mut fresh = Vec::with_capacity(received.len());
        for letter in received {
            let id = letter.message_id.clone();
            if letter.is_one_of(&self.sent) {
                self.returned.insert(id, letter);
            } else if let Some(held) = self.seen.get_mut(&id) {
                // Only the newest handle counts.
                if let Some(held) = held {
                    *held = letter;
                }
            } else {
                self.seen.insert(id, Some(letter.clone()));
                fresh.push(letter);
            }
        }
        fresh
    }

    /// Those that are still to be given back.
    fn kept(self) -> Vec<Letter> {
        self.seen.into_values().flatten().chain(self.returned.into_values()).collect()
    }
}

/// How many of those that were there have not come. What somebody held at first may have come meanwhile.
fn held_elsewhere(depth: QueueDepth, seen: u64, to_its_end: bool) -> u64 {
    let held = depth.in_flight + depth.delayed;
    let missing = (depth.visible + held).saturating_sub(seen);
    // Of the rest a walk that was ended does not know who holds it.
    if to_its_end { missing } else { missing.min(held) }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    fn named(id: &str, handle: &str, original: Option<&str>) -> Letter {
        let attributes: Vec<_> = original.map(|id| ("originalMessageId", id)).into_iter().collect();
        let (message_id, receipt_handle) = (id.to_owned(), handle.to_owned());
        Letter { message_id, receipt_handle, ..letter("{}", &attributes) }
    }

    #[test]
    fn what_was_sent_again_and_has_died_again_is_not_new() {
        let mut letters = Letters::default();
        assert_eq!(letters.take_in(vec![named("a", "1", Some("o"))]).len(), 1);
        letters.sent.extend(["n".to_owned(), "m".to_owned()]);
        letters.seen.insert("a".to_owned(), None);
        // Buried on purpose, and moved by SQS itself, which keeps the id.
        let back = vec![named("b", "2", Some("n")), named("m", "3", None)];
        assert_eq!(letters.take_in(back), []);
        assert_eq!(
            (letters.count(), letters.returned.len()),
            (1, 2),
            "the queue's count knew nothing of them"
        );
        let handles: BTreeSet<_> = letters.kept().into_iter().map(|letter| letter.receipt_handle).collect();
        assert_eq!(handles, BTreeSet::from(["2".to_owned(), "3".to_owned()]), "they are given back");
    }

    #[test]
    fn what_has_come_meanwhile_is_held_by_nobody() {
        let depth = QueueDepth { visible: 3, in_flight: 2, delayed: 1 };
        for (seen, to_its_end, held) in [
            (3, true, 3),
            (2, true, 4),
            (5, true, 1),
            (6, true, 0),
            (9, true, 0),
            (1, false, 3),
            (5, false, 1),
        ] {
            assert_eq!(held_elsewhere(depth, seen, to_its_end), held, "{seen} {to_its_end}");
        }
    }

    #[test]
    fn a_letter_that_is_shown_again_is_held_by_its_newest_handle() {
        let mut letters = Letters::default();
        assert_eq!(letters.take_in(vec![named("a", "1", None), named("b", "2", None)]).len(), 2);
        letters.seen.insert("b".to_owned(), None);
        assert_eq!(letters.take_in(vec![named("a", "3", None), named("b", "4", None)]), []);
        let kept = letters.kept();
        assert_eq!((kept.len(), kept[0].receipt_handle.as_str()), (1, "3"), "what is gone is not given back");
    }
}
