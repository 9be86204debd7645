//! What the queue's messages about system deliveries lead to.

use tracing::Instrument;

use super::offer::{GivenUp, Offer};
use super::settle::Outcome;
use super::{Courier, DeliveryOutside, QueuedMessage, is_last_own_attempt, wait_s};
use crate::error_chain::ErrorChain;
use crate::limits::{
    CONNECTION_OPENING_RETRY_S, DELIVERY_ATTEMPTS_MAX, DELIVERY_REPEAT_FIRST_S, DELIVERY_REPEAT_S_MAX,
    DELIVERY_TURN_GRACE_MS, DRAIN_AFTER_FAILURE_DELAY_S,
};
use crate::mailbox::{Attempt, delivery_too_large};
use crate::metrics::Metric;
use crate::queue_message::{DeliveryRefusal, DeliveryTurn, QueueMessage};
use crate::reason_code::ReasonCode;
use crate::stores::{DeliveryState, StoreError};
use crate::system_delivery::{Due, StoredDelivery, SystemDelivery};

impl<O: DeliveryOutside> Courier<'_, O> {
    /// Takes the turns of one delivery that a batch holds, one after the other.
    pub(super) async fn take_turns(&self, turns: Vec<(usize, DeliveryTurn)>) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::with_capacity(turns.len());
        for (index, turn) in turns {
            let message = &self.batch[index];
            let taken = async {
                match self.take_turn(message, &turn).await {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        tracing::warn!("a delivery's turn could not be taken: {}", ErrorChain(&error));
                        self.take_turn_again(message, &turn).await
                    }
                }
            };
            outcomes.push((index, taken.instrument(message.span()).await));
        }
        outcomes
    }

    /// Has an interrupted turn taken again: by the same message, or by a new one when that has been tried often enough.
    pub(super) async fn take_turn_again(&self, message: &QueuedMessage, turn: &DeliveryTurn) -> Outcome {
        if !is_last_own_attempt(message) {
            return Outcome::Retry(wait_s(message));
        }
        match self.send_turn(message, turn, DRAIN_AFTER_FAILURE_DELAY_S).await {
            Ok(()) => Outcome::Done,
            Err(error) => {
                tracing::warn!("a delivery's turn was not sent on: {}", ErrorChain(&error));
                Outcome::Retry(wait_s(message))
            }
        }
    }

    async fn send_turn(
        &self,
        message: &QueuedMessage,
        turn: &DeliveryTurn,
        delay_s: u32,
    ) -> Result<(), StoreError> {
        let again = QueueMessage::Deliver(turn.clone());
        self.outside.send(&again, message.correlation_id(), delay_s).await
    }

    async fn take_turn(&self, message: &QueuedMessage, turn: &DeliveryTurn) -> Result<Outcome, StoreError> {
        let state = self.state.map_err(unread)?;
        let stored = match self.outside.find_delivery(&turn.key).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Outcome::Done),
            Err(StoreError::Corrupt { what, .. }) => {
                let reason = format!("attribute {what} of the delivery's row cannot be read");
                return Ok(Outcome::Bury { reason_code: ReasonCode::UnreadableDelivery, reason });
            }
            Err(error) => return Err(error),
        };
        let now_ms = self.outside.now_ms();
        let offer = self.offer(message, &stored);
        match stored.due(now_ms) {
            Due::Later if turn.due.is_some_and(|due| due.at_ms == stored.next_at_ms) => {
                let left_s = u32::try_from((stored.next_at_ms - now_ms).div_ceil(1_000)).unwrap_or(u32::MAX);
                self.send_turn(message, turn, left_s.min(DELIVERY_REPEAT_S_MAX)).await?;
            }
            // Another message is due then.
            Due::Later => {}
            // Another message should be here by now. If it does not come, this one is the last there is.
            Due::Push | Due::Expired | Due::Unacknowledged
                if !turn.is_awaited(stored.next_at_ms)
                    && now_ms - stored.next_at_ms < DELIVERY_TURN_GRACE_MS =>
            {
                self.send_turn(message, turn, DELIVERY_REPEAT_FIRST_S).await?;
            }
            Due::Push => return self.push_delivery(&offer, state).await,
            Due::Expired => {
                let reason = "its recipient did not come for it within the retention".to_owned();
                let why = GivenUp {
                    metric: Metric::DeliveryExpired,
                    reason_code: ReasonCode::DeliveryExpired,
                    reason,
                };
                offer.give_up(why).await?;
            }
            Due::Unacknowledged => {
                let reason = format!("it was pushed {DELIVERY_ATTEMPTS_MAX} times and never acknowledged");
                let (metric, reason_code) =
                    (Metric::DeliveryUnacknowledged, ReasonCode::DeliveryUnacknowledged);
                offer.give_up(GivenUp { metric, reason_code, reason }).await?;
            }
        }
        Ok(Outcome::Done)
    }

    async fn push_delivery(
        &self,
        offer: &Offer<'_, O>,
        state: &DeliveryState,
    ) -> Result<Outcome, StoreError> {
        let recipient = &offer.stored.delivery.recipient;
        if state.revoked.contains(recipient) {
            self.tally.count(Metric::DeliveryHeld);
            offer.put_off(DELIVERY_REPEAT_S_MAX).await?;
            return Ok(Outcome::Done);
        }
        let live = state.connections.get(recipient).and_then(|row| row.current(self.outside.now_ms()));
        let attempt = match live {
            Some(live) => offer.push(live).await?,
            None => Attempt::Offline,
        };
        match attempt {
            Attempt::Taken => {}
            // A connect drains it; the message goes on all the same, to see the retention end.
            Attempt::Offline => offer.put_off(DELIVERY_REPEAT_S_MAX).await?,
            Attempt::NotOpenYet if !is_last_own_attempt(offer.message) => {
                return Ok(Outcome::Retry(CONNECTION_OPENING_RETRY_S));
            }
            Attempt::Failed if !is_last_own_attempt(offer.message) => {
                return Ok(Outcome::Retry(wait_s(offer.message)));
            }
            Attempt::NotOpenYet | Attempt::Failed => offer.put_off(DRAIN_AFTER_FAILURE_DELAY_S).await?,
            Attempt::TooLarge => offer.give_up(delivery_too_large()).await?,
        }
        Ok(Outcome::Done)
    }

    /// Gives up what its recipient's connector does not take.
    pub(super) async fn refuse_delivery(
        &self,
        index: usize,
        refusal: &DeliveryRefusal,
    ) -> Result<Outcome, StoreError> {
        let message = &self.batch[index];
        let Some(stored) = self.outside.find_delivery(&refusal.key).await? else { return Ok(Outcome::Done) };
        let words = refusal.reason.as_deref().unwrap_or("no reason given").replace(char::is_control, " ");
        let why = GivenUp {
            metric: Metric::DeliveryRefused,
            reason_code: ReasonCode::DeliveryRefused,
            reason: format!("its recipient's connector refused it: {words}"),
        };
        self.offer(message, &stored).give_up(why).await?;
        Ok(Outcome::Done)
    }

    /// Begins a delivery anew that was given up.
    pub(super) async fn restore_delivery(
        &self,
        index: usize,
        delivery: &SystemDelivery,
    ) -> Result<Outcome, StoreError> {
        let expires_at_s = self.now_s() + self.settings.retention_s;
        self.outside.restore_delivery(delivery, expires_at_s, self.outside.now_ms()).await?;
        self.tally.count(Metric::DeliveryRestored);
        self.send_turn(&self.batch[index], &DeliveryTurn::first(delivery.key()), 0).await?;
        Ok(Outcome::Done)
    }

    fn offer<'a>(&'a self, message: &'a QueuedMessage, stored: &'a StoredDelivery) -> Offer<'a, O> {
        Offer { outside: self.outside, stored, message, tally: self.tally }
    }
}

/// What failed once for a whole batch, for each message of it.
fn unread(error: &StoreError) -> StoreError {
    StoreError::Unavailable { operation: "read_for_delivery", source: error.to_string().into() }
}
