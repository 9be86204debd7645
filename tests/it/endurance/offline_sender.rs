//! Senders who are away while receipts come, and senders who go away again while they get them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use acceptance::admin_api::AdminApi;
use acceptance::connector::{Receipt, ReceivedReceipt, Session, Status};
use acceptance::eventually::{PATIENCE, STUCK_AFTER, eventually};
use acceptance::load::{self, Ledger, QueuedReceipt};
use acceptance::stack::Stack;
use acceptance::stamp;
use serde_json::Value;

use super::{Scale, arrivals, dead_letters, percentile, print_figures, queue_emptied};
use crate::fixture::{Duo, MailboxRows};

/// What one invocation drains at most: 8 pages of 25 (design, section 12).
const DRAINED_PER_INVOCATION_MAX: u64 = 200;
/// How long somebody else's receipt may take while a large mailbox drains.
const PROMPT: Duration = Duration::from_secs(5);
/// How many of them there are at least: the first one is posted before the drain has begun, and on a slow machine that is
/// prompt all the same the drain is over after the next.
const OTHERS_MIN: usize = 2;
/// How many receipts are drained between two of somebody else. Of the largest mailbox here that makes 250, below the limit of
/// one agent in a minute however fast it drains.
const BETWEEN_OTHERS: usize = 40;

/// Receipts for a sender who is away; all of them wait when this returns.
async fn held_for(duo: &Duo, count: usize) -> Vec<Receipt> {
    let receipts = load::receipts(count, duo.sender.did(), &[duo.recipient.did()]);
    let queued: Vec<_> = receipts.iter().map(QueuedReceipt::accepted_now).collect();
    load::enqueue(&duo.stack, &queued).await.unwrap();
    queue_emptied(&duo.stack).await;
    let rows = MailboxRows::of(&duo.stack, duo.sender.did()).await;
    assert_eq!((rows.waiting.len(), rows.pushed.len()), (count, count));
    receipts
}

#[tokio::test]
async fn a_full_mailbox_drains_by_itself_and_starves_nobody() {
    let count = Scale::of_this_run().receipts_offline;
    let (duo, other) = (Duo::paired().await, Duo::paired().await);
    let mut others_session = other.sender.connect().await.unwrap();
    others_session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    let began = Instant::now();
    let receipts = held_for(&duo, count).await;
    let storing = began.elapsed();

    let (since_ms, began) = (stamp::now_ms(), Instant::now());
    let session = duo.sender.connect().await.unwrap();
    let (received, mut delays) =
        tokio::join!(arrivals(&session, count), receipts_until(&other, &mut others_session, &session, count));
    let last = received.iter().map(|receipt| receipt.at.duration_since(began)).max().unwrap_or_default();
    queue_emptied(&duo.stack).await;
    let mut ledger = Ledger::of_sent(&receipts);
    ledger.note(&session.receipts());
    let shares = drained_by_invocation(&duo.stack, since_ms, count).await;

    let slowest = delays.iter().max().copied().unwrap_or_default();
    print_figures(format_args!(
        "{ledger}; stored in {:.1} s, drained {:.1} s after the connect by {} invocations of at most {}; meanwhile \
         {} receipts of another sender: p50 {} ms, slowest {} ms",
        storing.as_secs_f64(),
        last.as_secs_f64(),
        shares.len(),
        shares.iter().max().unwrap_or(&0),
        delays.len(),
        percentile(&mut delays, 50).as_millis(),
        slowest.as_millis()
    ));
    ledger.assert_each_once();
    let times: Vec<_> = received.iter().map(|receipt| &receipt.frame.ts).collect();
    assert!(times.is_sorted(), "the oldest come first");
    assert!(shares.iter().all(|share| *share <= DRAINED_PER_INVOCATION_MAX), "{shares:?}");
    assert!(shares.len() > 1, "it has to go on by itself");
    assert!(delays.len() >= OTHERS_MIN, "the drain was over after {} of another sender", delays.len());
    assert!(slowest < PROMPT);
    assert_eq!(session.end(), None);
    assert_eq!(MailboxRows::of(&duo.stack, duo.sender.did()).await.waiting, BTreeSet::new());
    assert_eq!(dead_letters(&duo).await, [""; 0]);
}

/// Posts to another sender, one receipt after the other, until `draining` has `count`; how long each took to arrive.
async fn receipts_until(
    other: &Duo,
    others_session: &mut Session,
    draining: &Session,
    count: usize,
) -> Vec<Duration> {
    let mut delays = Vec::new();
    let mut drained = 0;
    while drained < count {
        let receipt = other.receipt(Status::DeliveredToWebhook, None);
        let began = Instant::now();
        let answer = other.recipient.post_receipt(&receipt).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
        let received = others_session.next_receipt(PATIENCE).await.unwrap();
        assert_eq!(received.frame.original_frame_id, receipt.request_id);
        delays.push(received.at.duration_since(began));
        let next = count.min(drained + BETWEEN_OTHERS);
        drained = draining.receipts_about(next, STUCK_AFTER).await.unwrap().len();
    }
    delays
}

/// How many receipts each invocation of the consumer has drained, once the log has all `count` of them.
async fn drained_by_invocation(stack: &Stack, since_ms: u64, count: usize) -> Vec<u64> {
    let api = AdminApi::of(stack);
    eventually("the counts of every drain", async || {
        let lines = api.log_lines(&stack.outputs.consumer_function, since_ms).await.unwrap();
        let drained = |line: &String| serde_json::from_str::<Value>(line).ok()?["MailboxDrained"].as_u64();
        let shares: Vec<u64> = lines.iter().filter_map(drained).collect();
        let sum = usize::try_from(shares.iter().sum::<u64>()).unwrap();
        if sum == count { Ok(shares) } else { Err(format!("{sum} of {count}")) }
    })
    .await
}

#[tokio::test]
async fn a_drain_that_is_cut_off_goes_on_where_it_was() {
    let count = Scale::of_this_run().receipts_interrupted;
    let duo = Duo::paired().await;
    let receipts = held_for(&duo, count).await;

    let session = duo.sender.connect().await.unwrap();
    arrivals(&session, count / 4).await;
    let read_first = session.receipts();
    drop(session);
    queue_emptied(&duo.stack).await;
    let waiting = MailboxRows::of(&duo.stack, duo.sender.did()).await.waiting;
    assert!(!waiting.is_empty(), "the drain was over before the socket was cut");

    let session = duo.sender.connect().await.unwrap();
    arrivals(&session, waiting.len()).await;
    queue_emptied(&duo.stack).await;
    let read_then = session.receipts();
    let mut ledger = Ledger::of_sent(&receipts);
    ledger.note(&read_first);
    ledger.note(&read_then);
    let unread = ledger.missing();
    print_figures(format_args!(
        "{ledger}; {} read before the cut, {} after it, {} answered 200 and not read: {unread:?}",
        read_first.len(),
        read_then.len(),
        unread.len()
    ));

    assert_eq!(messages(&read_then), waiting, "what no 200 was answered for, and nothing else");
    assert_eq!(ledger.invented(), BTreeSet::new());
    assert_eq!(ledger.repetitions(), 0);
    let rows = MailboxRows::of(&duo.stack, duo.sender.did()).await;
    assert_eq!(rows.waiting, BTreeSet::new());
    for message in &unread {
        assert_eq!(rows.pushed.get(message), Some(&true), "{message}");
        let answer = duo.sender.get_receipt(message, duo.recipient.did()).await.unwrap();
        assert_eq!((answer.status, &answer.json["found"]), (200, &Value::Bool(true)), "{message}");
    }
    assert_eq!(dead_letters(&duo).await, [""; 0]);
}

fn messages(received: &[ReceivedReceipt]) -> BTreeSet<String> {
    received.iter().map(|receipt| receipt.frame.original_frame_id.clone()).collect()
}
