//! One system delivery, offered to a connection, put off or given up (design 4).
//!
//! A delivery lives by messages: each turn sends the next one before it notes on the row when that one is due. So
//! whatever dies in between leaves a message behind, and a message that its row does not wait for ends there.

use crate::connection::Live;
use crate::delivery::settle::bury;
use crate::delivery::{DeliveryOutside, QueuedMessage};
use crate::error_chain::ErrorChain;
use crate::frame::deliver_frame_text;
use crate::mailbox::{Attempt, attempt_push};
use crate::metrics::{Metric, Tally};
use crate::queue_message::{DeliveryTurn, QueueMessage, TurnTimes};
use crate::reason_code::ReasonCode;
use crate::stores::{StoreError, TurnNote};
use crate::system_delivery::{StoredDelivery, repeat_after_s};

/// Why a delivery is given up.
#[derive(Clone, Debug)]
pub(crate) struct GivenUp {
    /// What is counted beside the dead letter.
    pub(crate) metric: Metric,
    /// The dead letter's reason code.
    pub(crate) reason_code: ReasonCode,
    /// The dead letter's reason, for a person.
    pub(crate) reason: String,
}

/// One delivery, as its row was seen, on behalf of a message.
pub(crate) struct Offer<'a, O> {
    pub(crate) outside: &'a O,
    pub(crate) stored: &'a StoredDelivery,
    pub(crate) message: &'a QueuedMessage,
    pub(crate) tally: &'a Tally,
}

impl<O: DeliveryOutside> Offer<'_, O> {
    /// Pushes the delivery, and has it looked at again when its acknowledgement should have come.
    ///
    /// # Errors
    ///
    /// If nobody would look at it again, or if the connection is gone and could not be forgotten.
    pub(crate) async fn push(&self, live: &Live) -> Result<Attempt, StoreError> {
        let delivery = &self.stored.delivery;
        let frame = deliver_frame_text(delivery);
        let connection = live.of(&delivery.recipient);
        let attempt =
            attempt_push(self.outside, &connection, delivery.delivery_id, &frame, self.tally).await?;
        if attempt == Attempt::Taken {
            if self.stored.attempts > 0 {
                self.tally.count(Metric::DeliveryRepeated);
            }
            let attempts = self.stored.attempts.saturating_add(1);
            self.come_back(repeat_after_s(attempts), attempts, Some(connection.connection_id)).await?;
        }
        Ok(attempt)
    }

    /// Has the delivery looked at again later; that it was not pushed uses no attempt up.
    ///
    /// # Errors
    ///
    /// If nobody would look at it again.
    pub(crate) async fn put_off(&self, delay_s: u32) -> Result<(), StoreError> {
        self.come_back(delay_s, self.stored.attempts, self.stored.pushed_to.clone()).await
    }

    /// Sends the next message, then notes what it is due for. A note that fails is passed over: the message finds the
    /// row as this one has found it, and sending another would make two of it.
    async fn come_back(
        &self,
        delay_s: u32,
        attempts: u32,
        pushed_to: Option<String>,
    ) -> Result<(), StoreError> {
        let next_at_ms = self.outside.now_ms() + u64::from(delay_s) * 1_000;
        let due = TurnTimes { at_ms: next_at_ms, before_ms: self.stored.next_at_ms };
        let next = QueueMessage::Deliver(DeliveryTurn { key: self.stored.delivery.key(), due: Some(due) });
        self.outside.send(&next, self.message.correlation_id(), delay_s).await?;
        let note = TurnNote { attempts, pushed_to, next_at_ms };
        if let Err(error) = self.outside.note_turn(self.stored, &note).await {
            tracing::warn!("a turn of a delivery was not noted: {}", ErrorChain(&error));
        }
        Ok(())
    }

    /// Makes the delivery a dead letter, then forgets it: whatever dies in between makes a second letter of it.
    ///
    /// # Errors
    ///
    /// If it is still to be given up.
    pub(crate) async fn give_up(&self, why: GivenUp) -> Result<(), StoreError> {
        let GivenUp { metric, reason_code, reason } = why;
        let body = QueueMessage::RestoreDelivery(self.stored.delivery.clone()).to_body();
        bury(self.outside, &self.message.dead_letter(body, reason_code, reason), self.tally).await?;
        self.tally.count(metric);
        self.outside.remove_delivery(self.stored).await
    }
}
