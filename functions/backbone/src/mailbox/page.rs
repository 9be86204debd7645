//! A page of a mailbox: read, pushed in its order, and settled.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt};
use tracing::Instrument;

use super::{Attempt, FRAME_TOO_LARGE, drainable, push_failed, push_receipt};
use crate::connection::{ConnectionRef, Live};
use crate::delivery::settle::bury;
use crate::delivery::{DeliveryOutside, QueuedMessage};
use crate::limits::{PUSHES_AT_ONCE, SETTLE_TIME_LEFT_MS_MIN};
use crate::metrics::{Measure, Metric, Tally};
use crate::queue_message::QueueMessage;
use crate::reason_code::ReasonCode;
use crate::receipt::{Receipt, Standing, StoredReceipt, standing};
use crate::stores::{DeliveryState, MailboxItem, StoreError, UnreadableItem, Waiting};

/// How far a page came.
pub(super) enum Page {
    /// All of it is settled, and there may be more.
    Emptied,
    /// The invocation's time is nearly over.
    OutOfTime,
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

/// Pushes the oldest `limit` receipts of the mailbox of `connection`'s agent and takes out what is settled.
pub(super) async fn drain_page<O: DeliveryOutside>(
    outside: &O,
    connection: &ConnectionRef,
    message: &QueuedMessage,
    limit: usize,
    drain_is_noted: &mut bool,
    tally: &Tally,
) -> Result<Page, StoreError> {
    let items = outside.waiting(&connection.agent, limit).await?;
    if items.is_empty() {
        return Ok(Page::Last);
    }
    let full = items.len() == limit;
    let waiting = bury_unreadable(outside, connection, items, message, tally).await?;
    let keys: Vec<_> = waiting.iter().map(|waiting| waiting.receipt.key()).collect();
    let state = outside.read_for_delivery(&keys, std::slice::from_ref(&connection.agent), &[]).await?;
    let Some(live) = drainable(&state, connection, outside.now_ms(), tally) else { return Ok(Page::Last) };
    let now_ms = outside.now_ms();
    if !*drain_is_noted && waiting.iter().any(|item| matches!(fate(item, &state, now_ms), Fate::Push(_))) {
        outside.note_drain(connection, outside.now_ms()).await?;
        *drain_is_noted = true;
    }
    let mut settled = Vec::with_capacity(waiting.len());
    let pushed = push_page(outside, &state, live, waiting, message, &mut settled, tally).await;
    // Whatever ended the page, what was pushed is settled first: it must not be pushed again.
    let outcomes: Vec<Result<(), StoreError>> = stream::iter(settled)
        .map(|settled| settle(outside, settled))
        .buffer_unordered(PUSHES_AT_ONCE)
        .collect()
        .await;
    outcomes.into_iter().collect::<Result<(), StoreError>>()?;
    match pushed? {
        Page::Emptied if !full => Ok(Page::Last),
        page @ (Page::Emptied | Page::OutOfTime | Page::Last | Page::NotOpenYet) => Ok(page),
    }
}

/// What becomes of a waiting item.
enum Fate {
    /// It is pushed; so the row will say, except for the time of the push.
    Push(StoredReceipt),
    /// There is nothing to push any more, for this reason.
    Settled(Metric),
}

fn fate(waiting: &Waiting, state: &DeliveryState, now_ms: u64) -> Fate {
    let (receipt, now_s) = (&waiting.receipt, now_ms / 1_000);
    let row = state.receipts.get(&receipt.key());
    let latest = match (standing(receipt, row, now_s), row) {
        // It may have been said again since then: what is pushed carries the time of the last statement.
        (Standing::RepeatOfWaiting, Some(row)) => row.clone(),
        (Standing::New | Standing::RepeatOfWaiting, _) => {
            StoredReceipt { receipt: receipt.clone(), pushed_at_ms: None, expires_at_s: waiting.expires_at_s }
        }
        // A drain may have died that had pushed this after the stored state, which has only been said again since.
        (Standing::Overtaken | Standing::OtherRecipient, Some(row))
            if row.is_said_again_since_push() && !row.is_expired(now_s) =>
        {
            row.clone()
        }
        (Standing::RepeatOfPushed | Standing::Overtaken | Standing::OtherRecipient, _) => {
            return Fate::Settled(Metric::MailboxSettled);
        }
    };
    if latest.is_expired(now_s) { Fate::Settled(Metric::RetentionOver) } else { Fate::Push(latest) }
}

/// Puts items that nobody can read where somebody will look at them, and returns the others: one bad item does not keep
/// a mailbox shut.
async fn bury_unreadable<O: DeliveryOutside>(
    outside: &O,
    connection: &ConnectionRef,
    items: Vec<MailboxItem>,
    message: &QueuedMessage,
    tally: &Tally,
) -> Result<Vec<Waiting>, StoreError> {
    let mut waiting = Vec::with_capacity(items.len());
    for item in items {
        match item {
            MailboxItem::Readable(item) => waiting.push(item),
            MailboxItem::Unreadable(UnreadableItem { item, attributes }) => {
                let reason = format!("item {item} of the mailbox of {} cannot be read", connection.agent);
                let letter = message.dead_letter(attributes, ReasonCode::UnreadableItem, reason);
                bury(outside, &letter, tally).await?;
                tally.count(Metric::MailboxBuried);
                outside.remove_unreadable(&connection.agent, &item).await?;
            }
        }
    }
    Ok(waiting)
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
    let mut pushed = HashSet::new();
    for waiting in waiting {
        if outside.time_left_ms() < SETTLE_TIME_LEFT_MS_MIN {
            return Ok(Page::OutOfTime);
        }
        // The line is about the receipt, and not about the connect that has it drained.
        let span = tracing::error_span!("waiting", correlation.id = waiting.correlation_id);
        let fate = fate(&waiting, state, outside.now_ms());
        let receipt = waiting.receipt;
        let latest = match fate {
            Fate::Push(latest) if !pushed.contains(&latest.receipt.frame_id()) => latest,
            fate @ (Fate::Push(_) | Fate::Settled(_)) => {
                // The same state twice in one mailbox: whoever moved it on has died before removing the older item.
                tally.count(if let Fate::Settled(metric) = fate { metric } else { Metric::MailboxSettled });
                settled.push(Settled { receipt, pushed: None });
                continue;
            }
        };
        match push_receipt(outside, &latest.receipt, live, tally).instrument(span).await? {
            Attempt::Taken => {
                if latest.receipt.frame_id() == receipt.frame_id() {
                    tally.count(Metric::MailboxDrained);
                    tally.measure(
                        Measure::MailboxAge,
                        outside.now_ms().saturating_sub(receipt.processed_at_ms),
                    );
                } else {
                    tally.count(Metric::MailboxSettled);
                }
                pushed.insert(latest.receipt.frame_id());
                let row = StoredReceipt::pushed(latest.receipt, outside.now_ms(), latest.expires_at_s);
                settled.push(Settled { receipt, pushed: Some(row) });
            }
            Attempt::Offline => return Ok(Page::Last),
            Attempt::NotOpenYet => return Ok(Page::NotOpenYet),
            Attempt::Failed => return Err(push_failed()),
            Attempt::TooLarge => {
                let body = QueueMessage::DeliveryReceipt(receipt.clone()).to_body();
                let mut letter = message.dead_letter(body, FRAME_TOO_LARGE.0, FRAME_TOO_LARGE.1.to_owned());
                letter.correlation_id = waiting.correlation_id.unwrap_or(letter.correlation_id);
                bury(outside, &letter, tally).await?;
                tally.count(Metric::MailboxBuried);
                settled.push(Settled { receipt, pushed: None });
            }
        }
    }
    Ok(Page::Emptied)
}

/// Marks the row first and removes the waiting item last: whatever dies in between is settled by the next drain.
async fn settle<O: DeliveryOutside>(outside: &O, settled: Settled) -> Result<(), StoreError> {
    if let Some(row) = settled.pushed {
        let _ = outside.record(&row).await?; // overtaken or not, it needs to wait no more
    }
    outside.stop_waiting(&settled.receipt).await
}
