//! What a command answers: for people or for programs, and as an exit code.

use std::fmt;
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use serde_json::Value;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is so now, or was answered in full.
    Done,
    /// AWS did not answer, or refused: it is not known whether what was asked for is so.
    NotKnown,
    /// The question was not understood, or lacks a confirmation.
    Usage,
    /// There is no such thing.
    NotFound,
    /// It was done, or answered, but not for everything; the answer says for what not.
    Partly,
    /// `doctor` has found a fault.
    Fault,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotKnown => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Partly => 4,
            Self::Fault => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What a command has to say.
#[derive(Clone, Debug)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// How it ended.
    pub exit: Exit,
}

impl Answer {
    /// Says `answer` in both forms.
    pub(crate) fn of(answer: &(impl Serialize + fmt::Display), exit: Exit) -> Self {
        let json = serde_json::to_value(answer).expect("our answers have text keys only");
        Self { text: answer.to_string(), json, exit }
    }
}

/// A table without lines: words in columns, as one can read and cut them.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.map(str::to_uppercase)).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A value, or a dash where there is none.
pub(crate) fn or_dash(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_words() {
        let text = table(
            ["name", "count"],
            [["a".to_owned(), "10".to_owned()], ["longer".to_owned(), "2".to_owned()]],
        );
        assert_eq!(text, "NAME    COUNT\na       10\nlonger  2");
    }

    #[test]
    fn every_end_has_a_code_of_its_own() {
        let ends = [Exit::Done, Exit::NotKnown, Exit::Usage, Exit::NotFound, Exit::Partly, Exit::Fault];
        assert_eq!(ends.map(Exit::code), [0, 1, 2, 3, 4, 5]);
    }
}
