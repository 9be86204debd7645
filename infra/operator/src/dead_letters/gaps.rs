//! What a look at dead letters has not seen, or could not put back as it was.

use std::fmt;

use backbone::error_chain::ErrorChain;
use serde::Serialize;

use super::queues::QueuePair;
use crate::answer::Exit;
use crate::failure::Failure;

/// What is missing from an answer, or is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gaps {
    /// How many were there and did not come, because somebody else held them, or because SQS counted what was gone
    /// already. They were not looked at.
    pub(crate) held_elsewhere: u64,
    /// How many could not be given back: nobody sees them until their time is over.
    pub(crate) not_given_back: u64,
    /// What ended the look too early, at which queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

impl Gaps {
    /// Those of a queue at which `failure` has ended the look.
    pub(super) fn ended(pair: &QueuePair, failure: &Failure) -> Self {
        Self { problem: Some(format!("{}: {}", pair.name, ErrorChain(failure))), ..Self::default() }
    }

    /// Adds those of another queue.
    pub(crate) fn add(&mut self, other: Self) {
        self.held_elsewhere += other.held_elsewhere;
        self.not_given_back += other.not_given_back;
        self.problem = match (self.problem.take(), other.problem) {
            (Some(one), Some(other)) => Some(format!("{one}; {other}")),
            (one, other) => one.or(other),
        };
    }

    /// Whether there may be letters that were not looked at.
    pub(crate) const fn are_of_looking(&self) -> bool {
        self.problem.is_some() || self.held_elsewhere > 0
    }

    /// How a command ends because of them, if they do not leave that to the rest.
    pub(crate) const fn exit(&self) -> Option<Exit> {
        if self.problem.is_some() {
            Some(Exit::NotKnown)
        } else if self.held_elsewhere > 0 || self.not_given_back > 0 {
            Some(Exit::Partly)
        } else {
            None
        }
    }
}

/// A line for each, with a line's end before it and not after it.
impl fmt::Display for Gaps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.held_elsewhere > 0 {
            let count = self.held_elsewhere;
            write!(
                formatter,
                "\n{count} more did not come: somebody else holds them, or SQS counts what is gone already; look again in a minute"
            )?;
        }
        if self.not_given_back > 0 {
            let count = self.not_given_back;
            write!(formatter, "\n{count} could not be given back: they are hidden until their time is over")?;
        }
        if let Some(problem) = &self.problem {
            write!(formatter, "\nit ended too early: {problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_gap_says_how_it_ends() {
        let mut gaps = Gaps::default();
        assert_eq!((gaps.exit(), gaps.to_string().as_str()), (None, ""));
        gaps.add(Gaps { not_given_back: 2, ..Gaps::default() });
        assert_eq!(gaps.exit(), Some(Exit::Partly));
        gaps.add(Gaps { held_elsewhere: 1, problem: Some("x".to_owned()), ..Gaps::default() });
        gaps.add(Gaps { held_elsewhere: 1, problem: Some("y".to_owned()), ..Gaps::default() });
        assert_eq!((gaps.exit(), gaps.held_elsewhere, gaps.not_given_back), (Some(Exit::NotKnown), 2, 2));
        let text = gaps.to_string();
        assert!(
            text.contains("\n2 more did not come") && text.ends_with("it ended too early: x; y"),
            "{text}"
        );
    }
}
