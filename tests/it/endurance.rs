//! What issue-sized tests cannot show: many receipts, long absences, and consumers that die in the middle of a batch.
//!
//! Every test runs always, on a scale that a developer waits for; `cargo xtask test --long` runs the same tests on the
//! scale that the project promises. Each prints its figures, which nextest shows. They use the stack alone
//! (`.config/nextest.toml`).

mod consumer_kills;
mod counting_proxy;
mod front_door_load;
mod heartbeats;
mod held_mailbox;
mod lone_receipt;
mod offline_sender;
mod one_of_many;
mod rollover;

use std::fmt::Display;
use std::time::Duration;

use acceptance::connector::{ReceivedReceipt, Session};
use acceptance::eventually::{STUCK_AFTER, eventually_progressing};
use acceptance::stack::Stack;

use crate::fixture::Duo;

/// `long` selects [`Scale::LONG`]. Set by `cargo xtask test --long`.
const SCALE_VARIABLE: &str = "BACKBONE_ENDURANCE";

/// How much a run is asked.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Receipts while the consumer is being killed.
    receipts_under_kills: usize,
    /// Times the consumer is killed in mid-batch.
    kills: usize,
    /// Times all functions get new processes in mid-batch.
    restarts: usize,
    /// Receipts for a sender who is away and comes back. The local AWS sorts the whole partition for every page of a
    /// drain: at 100,000 a page takes 10 s, which no function waits for.
    receipts_offline: usize,
    /// Receipts for a sender whose socket dies in the middle of the drain.
    receipts_interrupted: usize,
    /// Receipts that wait for a sender while one more is recorded.
    receipts_held: usize,
    /// How long the front door lets a socket live, in milliseconds. A connector that dies within 30 s of a drain three
    /// times in five minutes is taken for one that dies of receipts, so in shorter lives not every one may see a drain.
    life_ms: u64,
    /// Sockets of which one is cut.
    connections: usize,
}

impl Scale {
    const SHORT: Self = Self {
        receipts_under_kills: 500,
        kills: 5,
        restarts: 1,
        receipts_offline: 500,
        receipts_interrupted: 200,
        receipts_held: 2_000,
        life_ms: 2_500,
        connections: 100,
    };
    const LONG: Self = Self {
        receipts_under_kills: 10_000,
        kills: 100,
        restarts: 5,
        receipts_offline: 10_000,
        receipts_interrupted: 1_000,
        receipts_held: 100_000,
        life_ms: 35_000,
        connections: 1_000,
    };

    fn of_this_run() -> Self {
        match std::env::var(SCALE_VARIABLE).as_deref() {
            Err(std::env::VarError::NotPresent) => Self::SHORT,
            Ok("long") => Self::LONG,
            // A misspelt scale must not pass for a long run.
            other => panic!("{SCALE_VARIABLE} is {other:?}; it is unset or `long`"),
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures of a run are a result of the test")]
fn print_figures(figures: impl Display) {
    println!("{figures}");
}

/// The receipts of a session once they are about `messages` different ones, however often each came.
async fn arrivals(session: &Session, messages: usize) -> Vec<ReceivedReceipt> {
    session.receipts_about(messages, STUCK_AFTER).await.unwrap()
}

/// Waits until everything on the receipts queue has been handled that was not sent for later, however long it is.
async fn queue_emptied(stack: &Stack) {
    let queue = stack.receipts_queue();
    eventually_progressing("an idle queue", async || {
        let depth = queue.depth().await.unwrap();
        if depth.is_idle() { Ok(()) } else { Err(depth.to_string()) }
    })
    .await;
}

/// The dead letters about a pair.
async fn dead_letters(duo: &Duo) -> Vec<String> {
    // Another test's message may die meanwhile.
    let letters = duo.stack.messages(&duo.stack.outputs.receipts_dlq_url).await.unwrap();
    let bodies = letters.into_iter().map(|letter| letter.body);
    bodies.filter(|body| body.contains(duo.sender.did())).collect()
}

/// The duration that `share` percent of `durations` do not exceed.
fn percentile(durations: &mut [Duration], share: usize) -> Duration {
    durations.sort_unstable();
    let index = (durations.len() * share).div_ceil(100).saturating_sub(1);
    durations[index]
}
