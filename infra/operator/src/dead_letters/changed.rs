//! What became of dead letters that were sent again or thrown away.

use std::fmt;

use serde::Serialize;

use super::futile::Futile;
use super::gaps::Gaps;
use crate::answer::{Exit, table};

/// What became of the letters of one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    /// They were chosen.
    pub(super) chosen: u64,
    /// They were sent again, or deleted.
    pub(super) done: u64,
    /// They were sent again, or kept in the file, and could not be taken off the dead-letter queue: the next redrive sends
    /// them once more, under the same frame id.
    pub(super) left_behind: u64,
    /// A call about them was not answered: they may have been sent, or deleted.
    pub(super) not_known: u64,
    /// They were sent again and are dead again, for this reason.
    pub(super) returned: u64,
    /// They were chosen and not sent again, as it would not help them.
    pub(super) left_alone: u64,
}

/// What became of all of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changed {
    #[serde(skip)]
    pub(super) verbs: (&'static str, &'static str),
    pub(super) dry_run: bool,
    pub(super) counts: Vec<ChangedReason>,
    #[serde(flatten)]
    pub(super) gaps: Gaps,
    /// Why SQS has not taken or deleted one, in its own words: the first that it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangedReason {
    pub(super) queue: String,
    pub(super) reason_code: String,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Why they were left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why_left_alone: Option<&'static str>,
}

impl ChangedReason {
    pub(super) fn new(queue: String, reason_code: String, counts: Counts) -> Self {
        let why_left_alone =
            Futile::of(&reason_code).filter(|_| counts.left_alone > 0).map(|futile| futile.why);
        Self { queue, reason_code, counts, why_left_alone }
    }
}

impl Changed {
    pub(super) fn exit(&self) -> Exit {
        let sum = |of: fn(&Counts) -> u64| self.counts.iter().map(|reason| of(&reason.counts)).sum::<u64>();
        let (chosen, done) = (sum(|counts| counts.chosen), sum(|counts| counts.done));
        match (self.gaps.exit(), chosen) {
            (Some(exit), _) => exit,
            (None, 0) => Exit::NotFound,
            (None, _) if self.dry_run => Exit::Done,
            (None, _) if done == chosen && sum(|counts| counts.returned) == 0 => Exit::Done,
            (None, _) => Exit::Partly,
        }
    }

    /// What is said of the letters of one reason.
    fn said_of(&self, counts: Counts) -> String {
        let (verb, past) = self.verbs;
        let Counts { chosen, done, left_behind, not_known, returned, left_alone } = counts;
        let mut said = Vec::new();
        if self.dry_run {
            said.push(format!("would {verb} {}", chosen.saturating_sub(left_alone)));
        } else if chosen > 0 {
            said.push(format!("{past} {done} of {chosen}"));
        }
        if left_alone > 0 {
            said.push(format!("{left_alone} left where they are"));
        }
        if left_behind > 0 {
            said.push(format!("{left_behind} could not be taken off the dead-letter queue"));
        }
        if not_known > 0 {
            said.push(format!("of {not_known} it is not known"));
        }
        if returned > 0 {
            said.push(format!("{returned} came back dead"));
        }
        said.join("; ")
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.counts.is_empty() {
            return write!(formatter, "no dead letter is chosen{}", self.gaps);
        }
        let row = |reason: &ChangedReason| {
            [reason.queue.clone(), reason.reason_code.clone(), self.said_of(reason.counts)]
        };
        let rows = self.counts.iter().map(row);
        write!(formatter, "{}", table(["queue", "reason", "letters"], rows))?;
        for reason in &self.counts {
            if let Some(why) = reason.why_left_alone {
                write!(formatter, "\n{} is left: {why}", reason.reason_code)?;
            }
        }
        if let Some(refusal) = &self.refusal {
            write!(formatter, "\nSQS says: {refusal}")?;
        }
        if let Some(file) = &self.file {
            write!(formatter, "\nkept in {file}")?;
        }
        write!(formatter, "{}", self.gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(dry_run: bool, gaps: Gaps, counts: Counts) -> Changed {
        let (queue, reason_code) = ("receipts".to_owned(), "not_json".to_owned());
        let counts = vec![ChangedReason::new(queue, reason_code, counts)];
        let file = Some("kept.jsonl".to_owned());
        Changed { verbs: ("redrive", "redriven"), dry_run, counts, gaps, refusal: None, file }
    }

    #[test]
    fn it_says_what_was_done_and_what_was_not() {
        let none = Gaps::default;
        let all = Counts { chosen: 3, done: 3, ..Counts::default() };
        let most = Counts { chosen: 3, done: 2, ..Counts::default() };
        let held = Gaps { held_elsewhere: 2, ..none() };
        let broken = Gaps { problem: Some("SQS is silent".to_owned()), ..none() };
        for (changed, exit, words) in [
            (changed(true, none(), Counts { done: 0, ..all }), Exit::Done, "would redrive 3"),
            (changed(false, none(), all), Exit::Done, "redriven 3 of 3"),
            (
                changed(false, none(), Counts { left_behind: 1, ..most }),
                Exit::Partly,
                "redriven 2 of 3; 1 could not be taken off",
            ),
            (changed(false, none(), Counts { returned: 1, ..all }), Exit::Partly, "3 of 3; 1 came back dead"),
            (
                changed(true, none(), Counts { left_alone: 1, ..most }),
                Exit::Done,
                "would redrive 2; 1 left where they are\nnot_json is left: it dies again",
            ),
            (
                changed(false, none(), Counts { left_alone: 1, ..most }),
                Exit::Partly,
                "redriven 2 of 3; 1 left where they are\nnot_json is left: it dies again",
            ),
            (changed(false, held, all), Exit::Partly, "2 more did not come"),
            (
                changed(false, broken, Counts { not_known: 1, ..most }),
                Exit::NotKnown,
                "2 of 3; of 1 it is not known\nkept in kept.jsonl\nit ended too early: SQS is silent",
            ),
        ] {
            let text = changed.to_string();
            assert!(text.contains(words), "{text}");
            assert_eq!(changed.exit(), exit, "{text}");
        }
    }
}
