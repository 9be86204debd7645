//! Consumers that are killed in the middle of a batch, functions that get new processes, and duplicates on the queue:
//! what arrives is what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use acceptance::admin_api::AdminApi;
use acceptance::connector::Receipt;
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::load::{self, Ledger, QueuedReceipt, Workers};
use acceptance::stack::{QueueMessage, Stack};
use aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;

use super::{Scale, arrivals, dead_letters, print_figures, queue_emptied};
use crate::fixture::{Duo, MailboxRows, and_give_back};

/// When the batch of a dead consumer shows again: a stack's own three minutes would make the test an hour.
const VISIBILITY_S: u32 = 3;
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

    let began = Instant::now();
    let mut havoc = Havoc::on(&duo.stack);
    // Boxed, as it is large.
    let work = Box::pin(async {
        havoc.strike(&receipts, scale).await;
        queue_emptied(&duo.stack).await;
        arrivals(&session, receipts.len()).await
    });
    let received = with_short_visibility(&duo.stack, work).await;

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
    assert_eq!(dead_letters(&duo).await, [""; 0], "nothing was given up");
    let rows = MailboxRows::of(&duo.stack, duo.sender.did()).await;
    assert_eq!(rows.waiting, BTreeSet::new());
    let unpushed: BTreeMap<_, _> = rows.pushed.iter().filter(|(_, pushed)| !**pushed).collect();
    assert!(unpushed.is_empty(), "{unpushed:?}");
    assert_eq!(rows.pushed.len(), receipts.len());
}

/// One of the times that a message was received: its id, and how often it had been by then.
type Delivery = (String, u64);

fn latest_delivery(message: &QueueMessage) -> Delivery {
    (message.id.clone(), message.receives)
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
    /// Every delivery that was under way when a consumer died.
    struck: BTreeSet<Delivery>,
    /// Those of them that were seen to end unanswered.
    interrupted: BTreeSet<Delivery>,
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
            struck: BTreeSet::new(),
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

    /// Strikes once a consumer is at work; whether that has interrupted a delivery.
    async fn strike_once(&mut self, restart: bool) -> bool {
        let Some(at_work) = self.deliveries_at_work().await else { return false };
        let struck = self.workers.running().unwrap();
        if restart {
            self.restart_all().await;
        } else {
            self.workers.kill_all().unwrap();
        }
        eventually("the end of the consumers that were struck", async || {
            let running = self.workers.running().map_err(|problem| problem.to_string())?;
            let left: Vec<_> = struck.iter().filter(|process| running.contains(process)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} go on")) }
        })
        .await;
        // Others may have been received between the look and the strike. They are in nobody's hands either.
        let messages = self.messages().await.unwrap();
        let held = messages.iter().filter(|message| message.is_hidden && message.receives > 0);
        self.struck.extend(held.map(latest_delivery));
        let interrupted = self.shown_again(&at_work).await;
        let hit = !struck.is_empty() && !interrupted.is_empty();
        if hit {
            self.processes += if restart { 0 } else { struck.len() };
            self.kills += usize::from(!restart);
            self.restarts += usize::from(restart);
        }
        self.interrupted.extend(interrupted);
        self.struck.extend(at_work);
        hit
    }

    /// What is in the hands of consumers that live, once that is anything; `None` if all is done already. What a consumer
    /// held that has been struck stays hidden for a while, but is in nobody's hands.
    async fn deliveries_at_work(&self) -> Option<BTreeSet<Delivery>> {
        eventually("a consumer at work", async || {
            let messages = self.messages().await?;
            let (hidden, visible): (Vec<_>, Vec<_>) =
                messages.iter().partition(|message| message.is_hidden && message.receives > 0);
            let at_work: BTreeSet<_> = hidden.into_iter().map(latest_delivery).collect();
            let at_work: BTreeSet<_> = at_work.difference(&self.struck).cloned().collect();
            if at_work.is_empty() && visible.iter().any(|message| !message.is_hidden) {
                return Err(format!("{} messages, all of them in nobody's hands", messages.len()));
            }
            Ok((!at_work.is_empty()).then_some(at_work))
        })
        .await
    }

    /// Which of these deliveries are known to have been interrupted, once one is, or all are answered: their messages show
    /// again, because nobody has answered. Those of the others are gone, or hidden still.
    async fn shown_again(&self, deliveries: &BTreeSet<Delivery>) -> BTreeSet<Delivery> {
        eventually("deliveries answered or shown again", async || {
            let messages = self.messages().await?;
            let find = |id: &String| messages.iter().find(|message| message.id == *id);
            let is_open = |delivery: &&Delivery| {
                find(&delivery.0)
                    .is_some_and(|message| message.is_hidden && latest_delivery(message) == **delivery)
            };
            let shown: BTreeSet<_> = deliveries
                .iter()
                .filter(|delivery| !is_open(delivery) && find(&delivery.0).is_some())
                .cloned()
                .collect();
            let open = deliveries.iter().filter(is_open).count();
            if shown.is_empty() && open > 0 { Err(format!("{open} still hidden")) } else { Ok(shown) }
        })
        .await
    }

    async fn messages(&self) -> Result<Vec<QueueMessage>, String> {
        let read = self.stack.messages(&self.stack.outputs.receipts_queue_url).await;
        read.map_err(|problem| problem.to_string())
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
    and_give_back(work, async { drop(set(own).await.unwrap()) }).await
}
