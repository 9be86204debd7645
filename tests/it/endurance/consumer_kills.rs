//! Consumers that are killed in the middle of a batch, functions that get new processes, and duplicates on the queue:
//! what arrives is what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{Duration, Instant};

use acceptance::admin_api::AdminApi;
use acceptance::connector::Receipt;
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::load::{self, Ledger, QueuedReceipt, Workers};
use acceptance::stack::Stack;
use aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
use futures_util::FutureExt as _;

use super::mailbox_rows::MailboxRows;
use super::{Scale, arrivals, dead_letters, print_figures, queue_emptied};
use crate::fixture::Duo;

/// When the batch of a dead consumer shows again: a stack's own three minutes would make the test an hour.
const VISIBILITY_S: u32 = 3;
/// How long the local AWS may take to notice that a process has died.
const NOTICED_AFTER: Duration = Duration::from_millis(150);
/// The queue is let empty after so many strikes: a message that meets ten of them would be a dead letter.
const STRIKES_IN_A_ROW: usize = 4;
/// Every so many receipts one is on the queue twice.
const DUPLICATE_EVERY: usize = 10;

#[tokio::test]
async fn kills_restarts_and_duplicates_lose_nothing() {
    let scale = Scale::of_this_run();
    let duo = Duo::paired().await;
    let session = duo.sender.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    let receipts = load::receipts(scale.receipts_under_kills, duo.sender.did(), &[duo.recipient.did()]);
    let dead_letters_before = dead_letters(&duo.stack).await;

    let began = Instant::now();
    let mut havoc = Havoc::on(&duo.stack);
    let received = with_short_visibility(&duo.stack, async {
        havoc.strike(&receipts, scale).await;
        queue_emptied(&duo.stack).await;
        arrivals(&session, receipts.len()).await
    })
    .await;

    let mut ledger = Ledger::of_sent(&receipts);
    ledger.note(&received);
    print_figures(format_args!(
        "{ledger}; {} kills of {} processes and {} restarts interrupted {} deliveries, {} receives at most; \
         {} duplicates on the queue; {:.1} s",
        havoc.kills,
        havoc.processes,
        havoc.restarts,
        havoc.interrupted.len(),
        havoc.interrupted.iter().map(|(_, receives)| receives + 1).max().unwrap_or(1),
        havoc.duplicates,
        began.elapsed().as_secs_f64()
    ));
    ledger.assert_complete();
    assert_eq!((havoc.kills, havoc.restarts), (scale.kills, scale.restarts));
    assert_eq!(session.end(), None);
    assert_eq!(dead_letters(&duo.stack).await, dead_letters_before, "nothing was given up");
    let rows = MailboxRows::of(&duo.stack, duo.sender.did()).await;
    assert_eq!(rows.waiting, BTreeSet::new());
    let unpushed: BTreeMap<_, _> = rows.pushed.iter().filter(|(_, pushed)| !**pushed).collect();
    assert!(unpushed.is_empty(), "{unpushed:?}");
    assert_eq!(rows.pushed.len(), receipts.len());
}

/// What is done to the functions, and what came of it.
struct Havoc<'a> {
    stack: &'a Stack,
    api: AdminApi,
    workers: Workers,
    kills: usize,
    processes: usize,
    restarts: usize,
    duplicates: usize,
    /// Every delivery of a message to a consumer that died before it had answered.
    interrupted: BTreeSet<load::Delivery>,
}

impl<'a> Havoc<'a> {
    fn on(stack: &'a Stack) -> Self {
        Self {
            stack,
            api: AdminApi::of(stack),
            workers: Workers::of(stack, &stack.outputs.consumer_function),
            kills: 0,
            processes: 0,
            restarts: 0,
            duplicates: 0,
            interrupted: BTreeSet::new(),
        }
    }

    /// Puts the receipts on the queue in slices and strikes in the middle of each.
    async fn strike(&mut self, receipts: &[Receipt], scale: Scale) {
        let strikes = scale.kills + scale.restarts;
        for (index, slice) in receipts.chunks(receipts.len().div_ceil(strikes)).enumerate() {
            let slice: Vec<_> = slice.iter().map(QueuedReceipt::accepted_now).collect();
            let doubled: Vec<_> = slice.iter().step_by(DUPLICATE_EVERY).cloned().collect();
            self.duplicates += doubled.len();
            load::enqueue(self.stack, &[slice.clone(), doubled].concat()).await.unwrap();
            // Spread over the strikes.
            let restart = (index + 1) * scale.restarts / strikes > index * scale.restarts / strikes;
            while !self.strike_once(restart).await {
                // They were faster: the same again, which is nothing new to them but something to do.
                self.duplicates += slice.len();
                load::enqueue(self.stack, &slice).await.unwrap();
            }
            if (index + 1) % STRIKES_IN_A_ROW == 0 {
                queue_emptied(self.stack).await;
            }
        }
    }

    /// Strikes once a consumer is at work; whether that has interrupted a delivery. Those of earlier strikes that are
    /// still hidden do not count.
    async fn strike_once(&mut self, restart: bool) -> bool {
        eventually("a consumer at work", async || {
            let running = self.workers.running().map_err(|problem| problem.to_string())?;
            if running.is_empty() { Err("none".to_owned()) } else { Ok(()) }
        })
        .await;
        let processes = if restart {
            self.restart_all().await;
            0
        } else {
            self.workers.kill_all().unwrap()
        };
        tokio::time::sleep(NOTICED_AFTER).await;
        let before = self.interrupted.len();
        self.interrupted.extend(self.workers.deliveries_under_way().await.unwrap());
        let hit = self.interrupted.len() > before;
        if hit {
            self.processes += processes;
            self.kills += usize::from(!restart);
            self.restarts += usize::from(restart);
        }
        hit
    }

    async fn restart_all(&self) {
        let outputs = &self.stack.outputs;
        for function in [
            &outputs.consumer_function,
            &outputs.receipt_function,
            &outputs.connection_function,
            &outputs.authorizer_function,
        ] {
            self.api.restart(function).await.unwrap();
        }
    }
}

/// Does `work` while messages whose consumer has died show again after [`VISIBILITY_S`], and then gives the queue its
/// own time back, whatever `work` came to.
async fn with_short_visibility<T>(stack: &Stack, work: impl Future<Output = T>) -> T {
    let (client, url) = (stack.sqs(), &stack.outputs.receipts_queue_url);
    let read = client.get_queue_attributes().queue_url(url).attribute_names(VisibilityTimeout);
    let own = read.send().await.unwrap().attributes.unwrap()[&VisibilityTimeout].clone();
    let set = |seconds: String| {
        client.set_queue_attributes().queue_url(url).attributes(VisibilityTimeout, seconds).send()
    };
    set(VISIBILITY_S.to_string()).await.unwrap();
    let done = AssertUnwindSafe(work).catch_unwind().await;
    set(own).await.unwrap();
    done.unwrap_or_else(|panic| resume_unwind(panic))
}
