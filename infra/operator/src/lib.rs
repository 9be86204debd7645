//! `operator`: looks into a running deployment, and changes what is an operator's to change.
//!
//! It works on a stack in AWS (`--stack`), with the credentials and the Region that AWS's own tools would use, and in the
//! same way on the local stack (`--local`). What it answers goes to the standard output, for people or, with `--json`, for
//! programs; everything else goes to the standard error. How it ends is in [`Exit`].

mod answer;
mod connections;
mod control_plane;
mod dead_letters;
mod deployment;
mod doctor;
mod failure;
mod http;
mod mailbox;
mod progress;
mod receipts;
mod status;
mod trust;
mod when;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub use self::answer::{Answer, Exit};
use self::deployment::Deployment;
pub use self::deployment::Where;
pub use self::failure::{CallFailure, Failure};

const EXIT_CODES: &str = "\
Exit codes:
  0  what was asked for is so now, or was answered in full
  1  AWS did not answer, or refused: it is not known whether what was asked for is so
  2  the question was not understood, or lacks a confirmation
  3  there is no such thing
  4  it was done, or answered, but not for everything; the answer says for what not
  5  doctor has found a fault";

/// Looks into a running deployment, and changes what is an operator's to change.
#[derive(Debug, Parser)]
#[command(name = "operator", arg_required_else_help = true, after_help = EXIT_CODES, version)]
pub struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    subject: Subject,
}

/// What it is about.
#[derive(Debug, Subcommand)]
enum Subject {
    /// Where a receipt is, and how it came there.
    #[command(subcommand)]
    Receipts(receipts::Action),
    /// What waits for an agent that is away.
    Mailbox(mailbox::Arguments),
    /// Who is connected.
    #[command(subcommand)]
    Connections(connections::Action),
    /// What could not be handled.
    #[command(subcommand)]
    DeadLetters(dead_letters::Action),
    /// Who may speak to whom, and who may not speak at all.
    Trust(trust::Arguments),
    /// How the deployment is doing: queues, alarms, versions.
    Status,
    /// Whether everything is as it should be, and what to do where it is not.
    Doctor,
    /// Completions for a shell, to be put where it looks for them.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

impl Arguments {
    /// Whether the answer is wanted as JSON.
    #[must_use]
    pub const fn wants_json(&self) -> bool {
        self.json
    }
}

/// Does what `arguments` say.
///
/// # Errors
///
/// A [`Failure`], whose [`exit`](Failure::exit) says how the process ends.
pub async fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let place = &arguments.place;
    match arguments.subject {
        Subject::Receipts(action) => receipts::run(action, &Deployment::find(place).await?).await,
        Subject::Mailbox(arguments) => mailbox::run(arguments, &Deployment::find(place).await?).await,
        Subject::Connections(action) => connections::run(action, &Deployment::find(place).await?).await,
        Subject::DeadLetters(action) => dead_letters::run(action, &Deployment::find(place).await?).await,
        Subject::Trust(arguments) => trust::run(arguments, place).await,
        Subject::Status => status::run(&Deployment::find(place).await?).await,
        Subject::Doctor => doctor::run(&Deployment::find(place).await?).await,
        Subject::Completions { shell } => Ok(completions(shell)),
    }
}

fn completions(shell: Shell) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "operator", &mut script);
    let text = String::from_utf8_lossy(&script).trim_end().to_owned();
    Answer { json: text.clone().into(), text, exit: Exit::Done }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_exit_code() {
        for exit in [Exit::Done, Exit::NotKnown, Exit::Usage, Exit::NotFound, Exit::Partly, Exit::Fault] {
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", exit.code())), "{exit:?}");
        }
    }

    #[test]
    fn each_shell_gets_its_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(completions(shell).text.contains("dead-letters"), "{shell}");
        }
    }
}
