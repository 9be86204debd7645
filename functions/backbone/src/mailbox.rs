//! What waits for a sender who is away, and how it drains (design 4.5 and 4.6).

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::connection::{ConnectionRef, Feeding, Live};
use crate::delivery::{DeliveryOutside, QueuedMessage};
use crate::error_chain::ErrorChain;
use crate::frame::receipt_frame_text;
use crate::limits::{
    DRAIN_PAGE, DRAIN_PAGES_PER_INVOCATION, DRAIN_TIME_LEFT_MS_MIN, PUSHES_AT_ONCE, QUARANTINE_PROBE_MS,
    SHORT_LIFE_MS,
};
use crate::metrics::{Metric, Tally};
use crate::receipt::{Receipt, Standing, StoredReceipt, standing};
use crate::stores::{
    ConnectionStore, DeadLetter, DeliveryState, Gateway, Push, Recorded, StoreError, Waiting,
};

/// What became of one push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was not taken must be kept"]
pub(crate) enum Attempt {
    /// API Gateway took the frame.
    Taken,
    /// The connection is gone, and no longer the agent's.
    Offline,
    /// API Gateway is still opening the connection.
    NotOpenYet,
    /// It may work later: 429, 5xx, silence, or a permission that is missing.
    Failed,
    /// It will never work.
    TooLarge,
}

/// Pushes one receipt to one connection, and forgets the connection if it is gone.
///
/// # Errors
///
/// If the connection is gone and could not be forgotten.
pub(crate) async fn attempt_push<O: Gateway + ConnectionStore + crate::stores::Clock>(
    outside: &O,
    receipt: &Receipt,
    live: &Live,
    tally: &Tally,
) -> Result<Attempt, StoreError> {
    let (metric, attempt) = match outside.push(&live.connection_id, &receipt_frame_text(receipt)).await {
        Ok(Push::Taken) => (Metric::Pushed, Attempt::Taken),
        Ok(Push::TooLarge) => (Metric::PushFailed, Attempt::TooLarge),
        Ok(Push::Forbidden) => {
            tracing::error!("API Gateway refuses this function's pushes: its role lacks a permission");
            (Metric::PushForbidden, Attempt::Failed)
        }
        Ok(Push::Gone) if live.of(&receipt.sender).may_be_opening(outside.now_ms()) => {
            (Metric::PushNotOpenYet, Attempt::NotOpenYet)
        }
        Ok(Push::Gone) => {
            outside.clear_connection(&receipt.sender, &live.connection_id).await?;
            (Metric::PushGone, Attempt::Offline)
        }
        Err(error) => {
            tracing::warn!(receipt.id = %receipt.request_id, "a push failed: {}", ErrorChain(&error));
            (Metric::PushFailed, Attempt::Failed)
        }
    };
    tally.count(metric);
    Ok(attempt)
}

/// How far a drain came.
#[derive(Debug)]
#[must_use = "a drain that is not finished must go on"]
pub(crate) enum Drained {
    /// The mailbox is empty, or this connection is not the one to drain it.
    Finished,
    /// There is, or may be, more to do after so many seconds; 0 if only this invocation has done its share.
    After(u32),
    /// API Gateway is still opening the connection.
    NotOpenYet,
    /// Something failed; what was pushed is settled.
    Failed(StoreError),
}

/// Pushes what waits for the agent of `connection`, oldest first, as long as that is the agent's connection.
///
/// It stops after a number of pages, so that one large mailbox does not keep an invocation from everybody else. A
/// connector whose like have died of receipts gets one, and more only when it has lived on.
pub(crate) async fn drain<O: DeliveryOutside>(
    outside: &O,
    connection: &ConnectionRef,
    message: &QueuedMessage,
    tally: &Tally,
) -> Drained {
    try_drain(outside, connection, message, tally).await.unwrap_or_else(Drained::Failed)
}

async fn try_drain<O: DeliveryOutside>(
    outside: &O,
    connection: &ConnectionRef,
    message: &QueuedMessage,
    tally: &Tally,
) -> Result<Drained, StoreError> {
    let state = outside.read_for_delivery(&[], std::slice::from_ref(&connection.agent)).await?;
    let now_ms = outside.now_ms();
    if drainable(&state, connection, now_ms, tally).is_none() {
        return Ok(Drained::Finished);
    }
    let row = state.connections.get(&connection.agent).cloned().unwrap_or_default();
    match row.feeding(now_ms) {
        Feeding::Freely => {}
        Feeding::Recovered => {
            outside.end_quarantine(connection).await?;
            tally.count(Metric::QuarantineEnded);
        }
        Feeding::After(wait_ms) => return Ok(Drained::After(whole_seconds(wait_ms))),
        Feeding::Probe => {
            tally.count(Metric::QuarantineProbed);
            return probe(outside, connection, message, tally).await;
        }
    }
    let mut drain_is_noted = row.drain_started_at_ms.is_some();
    for _ in 0..DRAIN_PAGES_PER_INVOCATION {
        if outside.time_left_ms() < DRAIN_TIME_LEFT_MS_MIN {
            return Ok(Drained::After(0));
        }
        match drain_page(outside, connection, message, DRAIN_PAGE, !drain_is_noted, tally).await? {
            Page::Emptied => drain_is_noted = true,
            Page::Last => return Ok(Drained::Finished),
            Page::NotOpenYet => return Ok(Drained::NotOpenYet),
        }
    }
    Ok(Drained::After(0))
}

/// Pushes one receipt. Without one there is nothing to try with, and it is looked at again later all the same: the
/// next receipt will wait, and nobody else would come for it while the connection lives.
async fn probe<O: DeliveryOutside>(
    outside: &O,
    connection: &ConnectionRef,
    message: &QueuedMessage,
    tally: &Tally,
) -> Result<Drained, StoreError> {
    match drain_page(outside, connection, message, 1, true, tally).await? {
        Page::Emptied => Ok(Drained::After(whole_seconds(SHORT_LIFE_MS))),
        Page::Last => Ok(Drained::After(whole_seconds(QUARANTINE_PROBE_MS))),
        Page::NotOpenYet => Ok(Drained::NotOpenYet),
    }
}

/// Seconds, rounded up, and no more than a queue can delay a message.
fn whole_seconds(ms: u64) -> u32 {
    u32::try_from(ms.min(QUARANTINE_PROBE_MS).div_ceil(1_000)).unwrap_or(u32::MAX)
}

enum Page {
    /// All of it is settled, and there may be more.
    Emptied,
    /// There is nothing more to do for this connection.
    Last,
    NotOpenYet,
}

/// One waiting receipt that needs no more waiting.
struct Settled {
    receipt: Receipt,
    /// The row to write, if it was pushed just now.
    pushed: Option<StoredReceipt>,
}

async fn drain_page<O: DeliveryOutside>(
    outside: &O,
    connection: &ConnectionRef,
    message: &QueuedMessage,
    limit: usize,
    note_drain: bool,
    tally: &Tally,
) -> Result<Page, StoreError> {
    let waiting = outside.waiting(&connection.agent, limit).await?;
    if waiting.is_empty() {
        return Ok(Page::Last);
    }
    if note_drain {
        outside.note_drain(connection, outside.now_ms()).await?;
    }
    let keys: Vec<_> = waiting.iter().map(|waiting| waiting.receipt.key()).collect();
    let state = outside.read_for_delivery(&keys, std::slice::from_ref(&connection.agent)).await?;
    let Some(live) = drainable(&state, connection, outside.now_ms(), tally) else { return Ok(Page::Last) };
    let full = waiting.len() == limit;
    let mut settled = Vec::with_capacity(waiting.len());
    let pushed = push_page(outside, &state, live, waiting, message, &mut settled, tally).await;
    // Whatever ended the page, what was pushed is settled first: it must not be pushed again.
    stream::iter(settled)
        .map(|settled| settle(outside, settled, tally))
        .buffer_unordered(PUSHES_AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    match pushed? {
        Page::Emptied if full => Ok(Page::Emptied),
        Page::Emptied | Page::Last => Ok(Page::Last),
        Page::NotOpenYet => Ok(Page::NotOpenYet),
    }
}

/// The agent's connection, if it is the one that is to be drained and may be.
fn drainable<'a>(
    state: &'a DeliveryState,
    connection: &ConnectionRef,
    now_ms: u64,
    tally: &Tally,
) -> Option<&'a Live> {
    if state.revoked.contains(&connection.agent) {
        tally.count(Metric::SenderRevoked);
        return None;
    }
    let current = state.connections.get(&connection.agent).and_then(|row| row.current(now_ms));
    let current = current.filter(|live| live.connection_id == connection.connection_id);
    if current.is_none() {
        tally.count(Metric::DrainOutdated);
    }
    current
}

/// Pushes a page in its order and notes what needs no more waiting, until something stops it.
async fn push_page<O: DeliveryOutside>(
    outside: &O,
    state: &DeliveryState,
    live: &Live,
    waiting: Vec<Waiting>,
    message: &QueuedMessage,
    settled: &mut Vec<Settled>,
    tally: &Tally,
) -> Result<Page, StoreError> {
    for waiting in waiting {
        let receipt = waiting.receipt;
        if waiting.expires_at_s <= outside.now_ms() / 1_000 {
            tally.count(Metric::RetentionOver);
            settled.push(Settled { receipt, pushed: None });
            continue;
        }
        match standing(&receipt, state.receipts.get(&receipt.key())) {
            Standing::New | Standing::RepeatOfWaiting => {}
            Standing::RepeatOfPushed | Standing::Overtaken | Standing::OtherRecipient => {
                tally.count(Metric::MailboxSettled);
                settled.push(Settled { receipt, pushed: None });
                continue;
            }
        }
        match attempt_push(outside, &receipt, live, tally).await? {
            Attempt::Taken => {
                tally.count(Metric::MailboxDrained);
                let pushed = StoredReceipt {
                    receipt: receipt.clone(),
                    pushed_at_ms: Some(outside.now_ms()),
                    expires_at_s: waiting.expires_at_s,
                };
                settled.push(Settled { receipt, pushed: Some(pushed) });
            }
            Attempt::Offline => return Ok(Page::Last),
            Attempt::NotOpenYet => return Ok(Page::NotOpenYet),
            Attempt::Failed => return Err(push_failed()),
            Attempt::TooLarge => {
                bury(outside, &receipt, message, tally).await?;
                settled.push(Settled { receipt, pushed: None });
            }
        }
    }
    Ok(Page::Emptied)
}

/// Marks the row first and removes the waiting item last: whatever dies in between is settled by the next drain.
async fn settle<O: DeliveryOutside>(outside: &O, settled: Settled, tally: &Tally) -> Result<(), StoreError> {
    if let Some(row) = settled.pushed {
        match outside.record(&row).await? {
            Recorded::Stored => {}
            Recorded::Stale => tally.count(Metric::ReceiptOvertaken),
        }
    }
    outside.stop_waiting(&settled.receipt).await
}

async fn bury<O: DeliveryOutside>(
    outside: &O,
    receipt: &Receipt,
    message: &QueuedMessage,
    tally: &Tally,
) -> Result<(), StoreError> {
    let letter = DeadLetter {
        body: crate::queue_message::QueueMessage::DeliveryReceipt(receipt.clone()).to_body(),
        reason_code: "frame_too_large",
        reason: "API Gateway refused the frame as too large".to_owned(),
        receive_count: message.receive_count,
        original_message_id: message.message_id.clone(),
        first_seen_ms: message.first_seen_ms,
        correlation_id: message.correlation_id.clone().unwrap_or_else(|| message.message_id.clone()),
    };
    outside.bury(&letter).await?;
    tally.count(Metric::DeadLettered);
    Ok(())
}

fn push_failed() -> StoreError {
    StoreError::Unavailable { operation: "drain", source: "API Gateway does not take frames now".into() }
}
