//! One receipt's states, pushed, recorded, or left waiting (design 4.2 to 4.5).

use std::borrow::Cow;

use super::settle::{Outcome, bury};
use super::{Courier, DeliveryOutside, QueuedMessage, is_last_own_attempt, wait_s};
use crate::connection::ConnectionRow;
use crate::limits::{CONNECTION_OPENING_RETRY_S, DRAIN_AFTER_FAILURE_DELAY_S};
use crate::mailbox::{Attempt, FRAME_TOO_LARGE, push_receipt};
use crate::metrics::{Measure, Metric};
use crate::queue_message::QueueMessage;
use crate::receipt::{Receipt, Standing, StoredReceipt, standing};
use crate::stores::{DeliveryState, Recorded, StoreError, Waiting};
use crate::trail;

/// Handles the states of one receipt, oldest first, each against what the one before it has left.
pub(super) async fn deliver_states<O: DeliveryOutside>(
    courier: &Courier<'_, O>,
    state: &DeliveryState,
    states: Vec<(usize, Receipt)>,
) -> Vec<(usize, Outcome)> {
    let Some((_, first)) = states.first() else { return Vec::new() };
    let mut parcel = Parcel {
        courier,
        revoked: state.revoked.contains(&first.sender),
        connection: state.connections.get(&first.sender).map(Cow::Borrowed).unwrap_or_default(),
        stored: state.receipts.get(&first.key()).cloned(),
    };
    let mut outcomes = Vec::with_capacity(states.len());
    for (index, receipt) in states {
        let handling = parcel.deliver(&courier.batch[index], receipt);
        outcomes.push((index, courier.or_again(index, handling).await));
    }
    outcomes
}

/// One receipt under way, and what is known about its sender.
struct Parcel<'a, O> {
    courier: &'a Courier<'a, O>,
    revoked: bool,
    connection: Cow<'a, ConnectionRow>,
    stored: Option<StoredReceipt>,
}

impl<O: DeliveryOutside> Parcel<'_, O> {
    async fn deliver(&mut self, message: &QueuedMessage, receipt: Receipt) -> Result<Outcome, StoreError> {
        let mut now = self.standing(&receipt);
        while now == Standing::RepeatOfPushed && self.move_time_forward(&receipt).await? == Recorded::Stale {
            self.read_again(&receipt).await?;
            now = self.standing(&receipt);
        }
        let (metric, step) = match now {
            Standing::New => return self.push_new(message, receipt).await,
            // What is pushed is the stored state with its own time, not the repetition's.
            Standing::RepeatOfWaiting => match self.stored.clone() {
                Some(stored) => return self.push_waiting(message, stored, receipt).await,
                None => (Metric::ReceiptRepeated, trail::REPEATED),
            },
            Standing::RepeatOfPushed => (Metric::ReceiptRepeated, trail::REPEATED),
            Standing::Overtaken => (Metric::ReceiptOvertaken, trail::OVERTAKEN),
            Standing::OtherRecipient => (Metric::ReceiptOtherRecipient, trail::OTHER_RECIPIENT),
        };
        self.note_end(&receipt, metric, step);
        if now == Standing::Overtaken { self.say_last_word(message).await } else { Ok(Outcome::Done) }
    }

    /// Has the stored state pushed once more if a state that it has overtaken may have reached the sender after it: the
    /// stored state was told before that one was accepted, and has only been said again since.
    async fn say_last_word(&mut self, message: &QueuedMessage) -> Result<Outcome, StoreError> {
        loop {
            let now_s = self.courier.now_s();
            let Some(stored) = self.stored.clone().filter(|stored| !stored.is_expired(now_s)) else {
                return Ok(Outcome::Done);
            };
            let receipt = stored.receipt.clone();
            if stored.is_said_again_since_push() {
                let unpushed = self.unpushed(receipt.clone());
                if self.courier.outside.replace(&stored, &unpushed).await? == Recorded::Stale {
                    self.read_again(&receipt).await?;
                    continue;
                }
                self.stored = Some(unpushed);
                return match self.begin_to_wait(message, &receipt).await? {
                    Recorded::Stored => self.look_again(message, receipt).await,
                    Recorded::Stale => Ok(Outcome::Done),
                };
            }
            if stored.pushed_at_ms.is_some() {
                return Ok(Outcome::Done);
            }
            // It waits to be pushed; whoever had it wait may have died before it was in the mailbox.
            return match self.wait(message, &receipt).await? {
                Recorded::Stored => self.look_again(message, receipt).await,
                Recorded::Stale => {
                    self.courier.tally.count(Metric::MailboxSettled);
                    Ok(Outcome::Done)
                }
            };
        }
    }

    /// What is left to do for a state that another consumer has overtaken while this one was at it, or for which another
    /// recipient's has come first.
    async fn give_way(&mut self, message: &QueuedMessage, receipt: &Receipt) -> Result<Outcome, StoreError> {
        self.read_again(receipt).await?;
        if self.stored.is_none() {
            // Nothing that can be read is in its way: it has not been overtaken.
            return Err(StoreError::Corrupt { operation: "record", what: "receipt" });
        }
        let (metric, step) = match self.standing(receipt) {
            Standing::OtherRecipient => (Metric::ReceiptOtherRecipient, trail::OTHER_RECIPIENT),
            // Which of these cannot always be told any more.
            Standing::Overtaken | Standing::New | Standing::RepeatOfPushed | Standing::RepeatOfWaiting => {
                (Metric::ReceiptOvertaken, trail::OVERTAKEN)
            }
        };
        self.note_end(receipt, metric, step);
        self.say_last_word(message).await
    }

    /// Counts and logs that a receipt ends with what is stored.
    fn note_end(&self, receipt: &Receipt, metric: Metric, step: &'static str) {
        self.courier.tally.count(metric);
        tracing::debug!(step, receipt.id = %receipt.request_id, "what is stored stays");
    }

    fn standing(&self, receipt: &Receipt) -> Standing {
        standing(receipt, self.stored.as_ref(), self.courier.now_s())
    }

    async fn read_again(&mut self, receipt: &Receipt) -> Result<(), StoreError> {
        let key = receipt.key();
        let mut state = self.courier.outside.read_for_delivery(std::slice::from_ref(&key), &[], &[]).await?;
        self.stored = state.receipts.remove(&key);
        Ok(())
    }

    async fn push_new(&mut self, message: &QueuedMessage, receipt: Receipt) -> Result<Outcome, StoreError> {
        match self.attempt(&receipt).await? {
            Attempt::Taken => {
                let now_ms = self.courier.outside.now_ms();
                let tally = self.courier.tally;
                tally.measure(Measure::Latency, now_ms.saturating_sub(receipt.processed_at_ms));
                if message.sent_ms > 0 {
                    tally.measure(Measure::QueueAge, now_ms.saturating_sub(message.sent_ms));
                }
                let pushed = self.pushed(receipt.clone());
                match self.record(pushed).await? {
                    Recorded::Stored => Ok(Outcome::Done),
                    Recorded::Stale => self.give_way(message, &receipt).await,
                }
            }
            Attempt::Offline => match self.begin_to_wait(message, &receipt).await? {
                Recorded::Stored => self.look_again(message, receipt).await,
                // A drain may have given it out all the same.
                Recorded::Stale => self.give_way(message, &receipt).await,
            },
            Attempt::NotOpenYet if !is_last_own_attempt(message) => {
                Ok(Outcome::Retry(CONNECTION_OPENING_RETRY_S))
            }
            Attempt::Failed if !is_last_own_attempt(message) => Ok(Outcome::Retry(wait_s(message))),
            Attempt::NotOpenYet | Attempt::Failed => match self.begin_to_wait(message, &receipt).await? {
                Recorded::Stored => self.announce_drain(message, &receipt).await,
                // A push that was not answered may have arrived.
                Recorded::Stale => self.give_way(message, &receipt).await,
            },
            Attempt::TooLarge => Ok(too_large()),
        }
    }

    /// Notes that the stored state was said again, so that a state from between, still under way, does not pass for
    /// the last word. The sender has been told this state: nothing is pushed. Stale if the row has changed since it was
    /// read: what it says now may be new to the sender.
    async fn move_time_forward(&mut self, receipt: &Receipt) -> Result<Recorded, StoreError> {
        let Some(stored) = self.stored.clone().filter(|stored| stored.receipt.order() < receipt.order())
        else {
            return Ok(Recorded::Stored);
        };
        let row = stored.said_again(receipt.clone(), self.expires_at_s());
        let replaced = self.courier.outside.replace(&stored, &row).await?;
        if replaced == Recorded::Stored {
            self.stored = Some(row);
        }
        Ok(replaced)
    }

    /// Pushes what its sender's mailbox should hold already. If it has to go on waiting, it does so as of its latest
    /// statement, and whether or not its item is still there: a message that comes back from the dead-letter queue has
    /// none.
    async fn push_waiting(
        &mut self,
        message: &QueuedMessage,
        stored: StoredReceipt,
        repeated: Receipt,
    ) -> Result<Outcome, StoreError> {
        let earlier = stored.receipt;
        let latest = if earlier.order() < repeated.order() { repeated } else { earlier.clone() };
        if self.wait(message, &latest).await? == Recorded::Stale {
            self.note_end(&latest, Metric::ReceiptOvertaken, trail::OVERTAKEN);
            return Ok(Outcome::Done);
        }
        if latest != earlier {
            self.courier.outside.stop_waiting(&earlier).await?;
        }
        self.push_out_of_mailbox(message, latest).await
    }

    /// Reads the connection once more after the receipt was put into the mailbox. A connection that appeared in
    /// between may have found the mailbox empty, so what it missed is pushed now.
    async fn look_again(&mut self, message: &QueuedMessage, receipt: Receipt) -> Result<Outcome, StoreError> {
        if self.revoked {
            return Ok(Outcome::Done);
        }
        let connection = self.courier.outside.connection(&receipt.sender).await?;
        // One in quarantine gets what waits by its probes.
        if connection.history.is_quarantined() || connection.current(self.courier.outside.now_ms()).is_none()
        {
            return Ok(Outcome::Done);
        }
        self.connection = Cow::Owned(connection);
        self.push_out_of_mailbox(message, receipt).await
    }

    async fn push_out_of_mailbox(
        &mut self,
        message: &QueuedMessage,
        receipt: Receipt,
    ) -> Result<Outcome, StoreError> {
        match self.attempt(&receipt).await? {
            Attempt::Taken => {
                let age_ms = self.courier.outside.now_ms().saturating_sub(receipt.processed_at_ms);
                self.courier.tally.measure(Measure::MailboxAge, age_ms);
                self.courier.tally.count(Metric::MailboxDrained);
                let pushed = self.pushed(receipt.clone());
                let _ = self.record(pushed).await?; // overtaken or not, it needs to wait no more
                self.courier.outside.stop_waiting(&receipt).await?;
                Ok(Outcome::Done)
            }
            // It stays in the mailbox, and the next connection drains it.
            Attempt::Offline => Ok(Outcome::Done),
            Attempt::NotOpenYet if !is_last_own_attempt(message) => {
                Ok(Outcome::Retry(CONNECTION_OPENING_RETRY_S))
            }
            Attempt::Failed if !is_last_own_attempt(message) => Ok(Outcome::Retry(wait_s(message))),
            Attempt::NotOpenYet | Attempt::Failed => self.announce_drain(message, &receipt).await,
            Attempt::TooLarge => {
                // The message may be about an older state.
                let body = QueueMessage::DeliveryReceipt(receipt.clone()).to_body();
                let (reason_code, reason) = FRAME_TOO_LARGE;
                let letter = message.dead_letter(body, reason_code, reason.to_owned());
                bury(self.courier.outside, &letter, self.courier.tally).await?;
                self.courier.tally.count(Metric::MailboxBuried);
                self.courier.outside.stop_waiting(&receipt).await?;
                Ok(Outcome::Done)
            }
        }
    }

    async fn attempt(&mut self, receipt: &Receipt) -> Result<Attempt, StoreError> {
        if self.revoked {
            self.courier.tally.count(Metric::SenderRevoked);
            return Ok(Attempt::Offline);
        }
        let Some(live) = self.connection.current(self.courier.outside.now_ms()) else {
            return Ok(Attempt::Offline);
        };
        if self.connection.history.is_quarantined() {
            self.courier.tally.count(Metric::Quarantined);
            return Ok(Attempt::Offline);
        }
        let attempt = push_receipt(self.courier.outside, receipt, live, self.courier.tally).await?;
        if attempt == Attempt::Offline {
            // The other states of this receipt need not run into the same 410.
            self.connection.to_mut().live = None;
        }
        Ok(attempt)
    }

    /// Puts a receipt into the mailbox that was not there.
    async fn begin_to_wait(
        &mut self,
        message: &QueuedMessage,
        receipt: &Receipt,
    ) -> Result<Recorded, StoreError> {
        let recorded = self.wait(message, receipt).await?;
        if recorded == Recorded::Stored {
            self.courier.tally.count(Metric::MailboxStored);
        }
        Ok(recorded)
    }

    /// Sees to it that the receipt is in the mailbox: the waiting item first, so that a row without a push always has one. A state
    /// that another consumer has overtaken, or pushed, meanwhile is taken out again.
    async fn wait(&mut self, message: &QueuedMessage, receipt: &Receipt) -> Result<Recorded, StoreError> {
        let row = self.unpushed(receipt.clone());
        let waiting = Waiting {
            receipt: receipt.clone(),
            expires_at_s: row.expires_at_s,
            correlation_id: Some(message.correlation_id().to_owned()),
        };
        self.courier.outside.keep_waiting(&waiting).await?;
        tracing::debug!(
            step = trail::WAITING,
            receipt.id = %receipt.request_id,
            "a receipt waits for its sender"
        );
        let recorded = self.record(row).await?;
        if recorded == Recorded::Stale {
            self.courier.outside.stop_waiting(receipt).await?;
        }
        Ok(recorded)
    }

    async fn record(&mut self, row: StoredReceipt) -> Result<Recorded, StoreError> {
        let recorded = self.courier.outside.record(&row).await?;
        if recorded == Recorded::Stored {
            self.stored = Some(row);
        }
        Ok(recorded)
    }

    /// Has the mailbox drained later, once whatever keeps API Gateway from taking frames is over.
    ///
    /// The connection is read again, now that the receipt is in the mailbox: the one that did not take it may have been
    /// replaced while it was tried, and the new one's own drain may have come too early. One announcement serves all
    /// receipts that are in the mailbox by the time it is carried out.
    async fn announce_drain(
        &self,
        message: &QueuedMessage,
        receipt: &Receipt,
    ) -> Result<Outcome, StoreError> {
        let outside = self.courier.outside;
        let row = outside.connection(&receipt.sender).await?;
        let now_ms = outside.now_ms();
        let Some(live) = row.current(now_ms) else { return Ok(Outcome::Done) };
        if row.has_drain_announced(now_ms) {
            return Ok(Outcome::Done);
        }
        let connection = live.of(&receipt.sender);
        let drain = QueueMessage::Drain(connection.clone());
        outside.send(&drain, message.correlation_id(), DRAIN_AFTER_FAILURE_DELAY_S).await?;
        // Sent first: a note without its message would keep everybody else from sending one.
        outside.note_drain_announced(&connection, now_ms).await?;
        Ok(Outcome::Done)
    }

    fn unpushed(&self, receipt: Receipt) -> StoredReceipt {
        StoredReceipt { receipt, pushed_at_ms: None, expires_at_s: self.expires_at_s() }
    }

    fn pushed(&self, receipt: Receipt) -> StoredReceipt {
        StoredReceipt::pushed(receipt, self.courier.outside.now_ms(), self.expires_at_s())
    }

    fn expires_at_s(&self) -> u64 {
        self.courier.outside.now_ms() / 1_000 + self.courier.settings.retention_s
    }
}

fn too_large() -> Outcome {
    let (reason_code, reason) = FRAME_TOO_LARGE;
    Outcome::Bury { reason_code, reason: reason.to_owned() }
}
