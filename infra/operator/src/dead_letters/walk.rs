//! Going through a dead-letter queue, which cannot be looked at: every letter is received, which hides it from everybody
//! else, and given back unless it was dealt with.

use std::collections::HashMap;

use backbone_aws::{LETTERS_AT_ONCE, Letter};
use indicatif::ProgressBar;

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

/// A walk through one queue.
pub(crate) struct Walk<'a> {
    deployment: &'a Deployment,
    pub(crate) pair: &'a QueuePair,
    hidden_s: u32,
    /// How many there should be.
    expected: u64,
    /// How many somebody else held, or had sent with a delay, when it began. They are not seen.
    pub(crate) held_elsewhere: u64,
    /// Those that were seen, with their newest handles; a handle is gone once its letter was dealt with.
    seen: HashMap<String, Option<Letter>>,
    progress: ProgressBar,
}

impl<'a> Walk<'a> {
    pub(crate) async fn begin(deployment: &'a Deployment, pair: &'a QueuePair) -> Result<Self, Failure> {
        let depth = deployment.stores().queue_depth(&pair.dlq_url).await?;
        let hidden_s = (HIDDEN_S_MIN + depth.visible / LETTERS_PER_SECOND).min(HIDDEN_S_MAX);
        let progress = crate::progress::bar(depth.visible, &format!("{} dead letters", pair.name));
        Ok(Self {
            deployment,
            pair,
            hidden_s: u32::try_from(hidden_s).unwrap_or(u32::MAX),
            expected: depth.visible,
            held_elsewhere: depth.in_flight + depth.delayed,
            seen: HashMap::new(),
            progress,
        })
    }

    /// Some letters that were not seen yet; none once all were.
    pub(crate) async fn next(&mut self) -> Result<Vec<Letter>, Failure> {
        for _ in 0..EMPTY_RECEIVES_MAX {
            let has_all = u64::try_from(self.seen.len()).unwrap_or(u64::MAX) >= self.expected;
            let (url, wait_s) = (&self.pair.dlq_url, u8::from(!has_all));
            let letters = self.deployment.stores().receive_letters(url, self.hidden_s, wait_s).await?;
            let mut fresh = Vec::with_capacity(LETTERS_AT_ONCE);
            for letter in letters {
                match self.seen.get_mut(&letter.message_id) {
                    // Its time was over before the walk was: only the newest handle counts.
                    Some(held) => {
                        if let Some(held) = held {
                            *held = letter;
                        }
                    }
                    None => fresh.push(letter),
                }
            }
            if !fresh.is_empty() {
                let held = fresh.iter().map(|letter| (letter.message_id.clone(), Some(letter.clone())));
                self.seen.extend(held);
                self.progress.inc(u64::try_from(fresh.len()).unwrap_or_default());
                return Ok(fresh);
            }
            if has_all {
                break;
            }
        }
        Ok(Vec::new())
    }

    /// Notes that a letter is gone.
    pub(crate) fn deal_with(&mut self, letter: &Letter) {
        self.seen.insert(letter.message_id.clone(), None);
    }

    /// Gives back what was not dealt with.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.progress.finish_and_clear();
        let kept: Vec<Letter> = self.seen.into_values().flatten().collect();
        Ok(self.deployment.stores().give_back(&self.pair.dlq_url, &kept).await?)
    }
}
