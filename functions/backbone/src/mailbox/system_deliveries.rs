//! What the backbone itself has to tell an agent that has just connected (design 4).

use futures_util::stream::{self, StreamExt};

use super::{Attempt, delivery_too_large};
use crate::connection::{ConnectionRef, Live};
use crate::delivery::offer::Offer;
use crate::delivery::{DeliveryOutside, QueuedMessage};
use crate::limits::{DELIVERIES_PAGE, DRAIN_AFTER_FAILURE_DELAY_S, DRAIN_TIME_LEFT_MS_MIN, PUSHES_AT_ONCE};
use crate::metrics::Tally;
use crate::stores::StoreError;
use crate::system_delivery::StoredDelivery;

/// How far the deliveries of an agent were drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was not pushed must be pushed later"]
pub(super) enum DeliveriesDrained {
    /// All of them have been offered to this connection.
    All,
    /// The invocation's time is nearly over.
    OutOfTime,
    /// The connection is gone.
    Gone,
    /// API Gateway is still opening the connection.
    NotOpenYet,
}

/// Offers the agent of `connection` every delivery that this connection was not pushed yet, or that is due.
///
/// # Errors
///
/// If the deliveries cannot be read, or one of them was pushed and nobody would look at it again.
pub(super) async fn drain_deliveries<O: DeliveryOutside>(
    outside: &O,
    connection: &ConnectionRef,
    live: &Live,
    message: &QueuedMessage,
    tally: &Tally,
) -> Result<DeliveriesDrained, StoreError> {
    let mut after = None;
    loop {
        let page = outside.deliveries(&connection.agent, after, DELIVERIES_PAGE).await?;
        let now_ms = outside.now_ms();
        let mut due = page.deliveries;
        due.retain(|stored| stored.is_to_be_drained(&live.connection_id, now_ms));
        let offered: Vec<Result<Attempt, StoreError>> = stream::iter(due)
            .map(|stored| offer(outside, stored, live, message, tally))
            .buffer_unordered(PUSHES_AT_ONCE)
            .collect()
            .await;
        for attempt in offered {
            match attempt? {
                Attempt::Taken | Attempt::Failed | Attempt::TooLarge => {}
                Attempt::Offline => return Ok(DeliveriesDrained::Gone),
                Attempt::NotOpenYet => return Ok(DeliveriesDrained::NotOpenYet),
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(DeliveriesDrained::All);
        }
        if outside.time_left_ms() < DRAIN_TIME_LEFT_MS_MIN {
            return Ok(DeliveriesDrained::OutOfTime);
        }
    }
}

/// Offers one delivery. One that API Gateway does not take now has its turn soon: it does not keep back the others, nor
/// the receipts behind them.
async fn offer<O: DeliveryOutside>(
    outside: &O,
    stored: StoredDelivery,
    live: &Live,
    message: &QueuedMessage,
    tally: &Tally,
) -> Result<Attempt, StoreError> {
    let offer = Offer { outside, stored: &stored, message, tally };
    let attempt = offer.push(live).await?;
    match attempt {
        Attempt::Failed => offer.put_off(DRAIN_AFTER_FAILURE_DELAY_S).await?,
        Attempt::TooLarge => offer.give_up(delivery_too_large()).await?,
        Attempt::Taken | Attempt::Offline | Attempt::NotOpenYet => {}
    }
    Ok(attempt)
}
