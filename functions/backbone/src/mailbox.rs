//! What waits for an agent that is away, and how it drains (design 4.5 and 4.6).

mod page;
mod system_deliveries;

use tracing::Instrument;

use self::page::{Page, drain_page};
use self::system_deliveries::{DeliveriesDrained, drain_deliveries};
use crate::connection::{ConnectionRef, Feeding, Live};
use crate::delivery::offer::GivenUp;
use crate::delivery::{DeliveryOutside, QueuedMessage};
use crate::error_chain::ErrorChain;
use crate::frame::receipt_frame_text;
use crate::id::Id;
use crate::limits::{
    DRAIN_PAGE, DRAIN_PAGES_PER_INVOCATION, DRAIN_TIME_LEFT_MS_MIN, QUARANTINE_PROBE_MS, SHORT_LIFE_MS,
};
use crate::metrics::{Metric, Tally};
use crate::reason_code::ReasonCode;
use crate::receipt::Receipt;
use crate::stores::{Clock, ConnectionStore, DeliveryState, Gateway, Push, StoreError};

/// Reason code and reason of a receipt whose frame API Gateway does not carry.
pub(crate) const FRAME_TOO_LARGE: (ReasonCode, &str) =
    (ReasonCode::FrameTooLarge, "API Gateway refused the frame as too large");

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

/// The end of a system delivery whose frame API Gateway does not carry.
pub(crate) fn delivery_too_large() -> GivenUp {
    let (reason_code, reason) = FRAME_TOO_LARGE;
    GivenUp { metric: Metric::DeliveryTooLarge, reason_code, reason: reason.to_owned() }
}

/// Pushes one receipt to the connection of its sender. See [`attempt_push`].
pub(crate) async fn push_receipt<O: Gateway + ConnectionStore + Clock>(
    outside: &O,
    receipt: &Receipt,
    live: &Live,
    tally: &Tally,
) -> Result<Attempt, StoreError> {
    let (connection, frame_id) = (live.of(&receipt.sender), receipt.frame_id());
    let frame = receipt_frame_text(receipt, frame_id);
    let span = tracing::error_span!("receipt", receipt.id = %receipt.request_id);
    attempt_push(outside, &connection, frame_id, &frame, tally).instrument(span).await
}

/// Pushes one frame to one connection, and forgets the connection if it is gone.
///
/// # Errors
///
/// If the connection is gone and could not be forgotten.
pub(crate) async fn attempt_push<O: Gateway + ConnectionStore + Clock>(
    outside: &O,
    connection: &ConnectionRef,
    frame_id: Id,
    frame: &str,
    tally: &Tally,
) -> Result<Attempt, StoreError> {
    let (metric, attempt) = match outside.push(&connection.connection_id, frame).await {
        Ok(Push::Taken) => (Metric::Pushed, Attempt::Taken),
        Ok(Push::TooLarge) => (Metric::PushFailed, Attempt::TooLarge),
        Ok(Push::Forbidden) => {
            tracing::error!(
                frame.id = %frame_id,
                connection.id = connection.connection_id,
                push.outcome = ?Attempt::Failed,
                "API Gateway refuses this function's pushes: its role lacks a permission"
            );
            tally.count(Metric::PushForbidden);
            return Ok(Attempt::Failed);
        }
        Ok(Push::Gone) if connection.may_be_opening(outside.now_ms()) => {
            (Metric::PushNotOpenYet, Attempt::NotOpenYet)
        }
        Ok(Push::Gone) => {
            outside.clear_connection(&connection.agent, &connection.connection_id).await?;
            (Metric::PushGone, Attempt::Offline)
        }
        Err(error) => {
            // As above its outcome is in this line: at `info` the one below is not written.
            tracing::warn!(
                frame.id = %frame_id,
                connection.id = connection.connection_id,
                push.outcome = ?Attempt::Failed,
                "a push failed: {}", ErrorChain(&error)
            );
            tally.count(Metric::PushFailed);
            return Ok(Attempt::Failed);
        }
    };
    tally.count(metric);
    tracing::debug!(
        frame.id = %frame_id,
        connection.id = connection.connection_id,
        push.outcome = ?attempt,
        "offered a frame to API Gateway"
    );
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

/// Pushes what waits for the agent of `connection`, system deliveries first and then receipts, oldest first, as long as
/// that is the agent's connection.
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
    let state = outside.read_for_delivery(&[], std::slice::from_ref(&connection.agent), &[]).await?;
    let now_ms = outside.now_ms();
    let Some(live) = drainable(&state, connection, now_ms, tally) else { return Ok(Drained::Finished) };
    // Before anything else, and in a quarantine too: it is receipts that those connectors die of.
    match drain_deliveries(outside, connection, live, message, tally).await? {
        DeliveriesDrained::All => {}
        DeliveriesDrained::OutOfTime => return Ok(Drained::After(0)),
        DeliveriesDrained::Gone => return Ok(Drained::Finished),
        DeliveriesDrained::NotOpenYet => return Ok(Drained::NotOpenYet),
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
    for page in 0..DRAIN_PAGES_PER_INVOCATION {
        // The first page is always begun: a drain that only ever sends itself on would go round for ever.
        if page > 0 && outside.time_left_ms() < DRAIN_TIME_LEFT_MS_MIN {
            return Ok(Drained::After(0));
        }
        match drain_page(outside, connection, message, DRAIN_PAGE, &mut drain_is_noted, tally).await? {
            Page::Emptied => {}
            Page::OutOfTime => return Ok(Drained::After(0)),
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
    let mut is_tried = false;
    match drain_page(outside, connection, message, 1, &mut is_tried, tally).await? {
        Page::Emptied | Page::OutOfTime if is_tried => Ok(Drained::After(whole_seconds(SHORT_LIFE_MS))),
        // What was settled without a push has tried nothing.
        Page::Emptied | Page::OutOfTime => Ok(Drained::After(0)),
        Page::Last => Ok(Drained::After(whole_seconds(QUARANTINE_PROBE_MS))),
        Page::NotOpenYet => Ok(Drained::NotOpenYet),
    }
}

/// Seconds, rounded up, and no more than a queue can delay a message.
fn whole_seconds(ms: u64) -> u32 {
    u32::try_from(ms.min(QUARANTINE_PROBE_MS).div_ceil(1_000)).unwrap_or(u32::MAX)
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

fn push_failed() -> StoreError {
    StoreError::Unavailable { operation: "drain", source: "API Gateway does not take frames now".into() }
}
