//! Bugs to plant, so that the checks are seen to find them.
//!
//! Handlers are not touched: a bug changes what they are told or what becomes of what they do, so that the whole
//! behaves as if the handler had it.

mod bug;
mod registry_events;

use backbone::connection::{ConnectionHistory, ConnectionRef, ConnectionRow};
use backbone::delivery::QueuedMessage;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::metrics::{Metric, Tally};
use backbone::queue_message::QueueMessage;
use backbone::receipt::{Receipt, ReceiptKey, StoredReceipt};
use backbone::stores::{
    Claimed, Clock, Closed, ConnectionStore, DeadLetter, DeadLetters, DeliveryPage, DeliveryState,
    DeliveryStore, Gateway, Kept, MailboxItem, Push, ReceiptQueue, ReceiptStore, Recorded, SourceQueue,
    StoreError, TurnNote, Waiting,
};
use backbone::system_delivery::{DeliveryKey, StoredDelivery, SystemDelivery};
use backbone::trust::Pair;

pub use self::bug::Bug;
pub(crate) use self::registry_events::event_as_told;
use crate::invocation::{Function, Invocation};

/// A message as the handler is told of it, which is not always as it is.
pub(crate) fn as_told(bug: Option<Bug>, message: &QueuedMessage) -> QueuedMessage {
    let parsed = QueueMessage::parse(&message.body, message.version.as_deref());
    let is_receipt = matches!(parsed, Ok(QueueMessage::DeliveryReceipt(_)));
    let passes_for_own = match bug {
        Some(Bug::PeersReceiptsAreBelieved) => is_receipt,
        Some(Bug::PeersMayCloseSockets) => !is_receipt,
        Some(_) | None => false,
    };
    let queue = if passes_for_own { SourceQueue::Receipts } else { message.queue };
    QueuedMessage { queue, ..message.clone() }
}

/// How many ends of its `drains` an invocation has counted, of the `ends` that it should have.
pub(crate) fn ends_of_drains(bug: Option<Bug>, ends: u64, drains: u64, tally: &Tally) -> u64 {
    let is_missing = bug == Some(Bug::ReceiptEndsADrain) && ends + tally.of(Metric::PushNotOpenYet) > drains;
    if is_missing { ends.saturating_sub(1) } else { ends }
}

/// An invocation's outside with, perhaps, a bug in it.
pub(crate) struct Planted<'a> {
    pub(crate) inner: &'a Invocation,
    pub(crate) bug: Option<Bug>,
}

impl Planted<'_> {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

impl Clock for Planted<'_> {
    fn now_ms(&self) -> u64 {
        self.inner.now_ms()
    }

    fn time_left_ms(&self) -> u64 {
        self.inner.time_left_ms()
    }
}

impl ReceiptStore for Planted<'_> {
    async fn read_for_delivery(
        &self,
        receipts: &[ReceiptKey],
        agents: &[AgentDid],
        pairs: &[Pair],
    ) -> Result<DeliveryState, StoreError> {
        let mut state = self.inner.read_for_delivery(receipts, agents, pairs).await?;
        if self.has(Bug::RevocationIsIgnored) {
            state.revoked.clear();
        }
        if self.has(Bug::StoredStateIsIgnored) {
            state.receipts.clear();
        }
        if self.has(Bug::LastWordIsNotRepeated) {
            for row in state.receipts.values_mut() {
                row.pushed_at_ms = row.pushed_at_ms.map(|at_ms| at_ms.max(row.receipt.processed_at_ms));
            }
        }
        if self.has(Bug::WaitingCountsAsPushed) {
            for row in state.receipts.values_mut() {
                row.pushed_at_ms.get_or_insert(0);
            }
        }
        if self.has(Bug::LeaseIsAlwaysOver) {
            for live in state.connections.values_mut().filter_map(|row| row.live.as_mut()) {
                live.lease_expires_at_ms = 0;
            }
        }
        Ok(state)
    }

    async fn record(&self, row: &StoredReceipt) -> Result<Recorded, StoreError> {
        if self.has(Bug::PushIsNotRecorded) && row.pushed_at_ms.is_some() {
            return Ok(Recorded::Stored);
        }
        self.inner.record(row).await
    }

    async fn replace(&self, seen: &StoredReceipt, row: &StoredReceipt) -> Result<Recorded, StoreError> {
        if self.has(Bug::RepetitionIsUnconditional) {
            return self.inner.record(row).await;
        }
        if self.has(Bug::LastWordIsNotRepeated) {
            // What it was told of the row's push is not what the row says.
            let is_seen = |stored: &StoredReceipt| stored.receipt == seen.receipt;
            let stored = self.inner.find(&seen.receipt.key()).await?.filter(is_seen);
            return self.inner.replace(stored.as_ref().unwrap_or(seen), row).await;
        }
        self.inner.replace(seen, row).await
    }

    async fn keep_waiting(&self, waiting: &Waiting) -> Result<(), StoreError> {
        if self.has(Bug::MailboxIsNotWritten) {
            return Ok(());
        }
        self.inner.keep_waiting(waiting).await
    }

    async fn stop_waiting(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.inner.stop_waiting(receipt).await
    }

    async fn waiting(&self, agent: &AgentDid, limit: usize) -> Result<Vec<MailboxItem>, StoreError> {
        let mut page = self.inner.waiting(agent, limit).await?;
        if self.has(Bug::DrainMissesTheLast) {
            page.pop();
        }
        if self.has(Bug::DrainTakesOutFirst) {
            for item in &page {
                if let MailboxItem::Readable(waiting) = item {
                    self.inner.stop_waiting(&waiting.receipt).await?;
                }
            }
        }
        Ok(page)
    }

    async fn remove_unreadable(&self, agent: &AgentDid, item: &str) -> Result<(), StoreError> {
        self.inner.remove_unreadable(agent, item).await
    }

    async fn find(&self, key: &ReceiptKey) -> Result<Option<StoredReceipt>, StoreError> {
        self.inner.find(key).await
    }
}

impl Gateway for Planted<'_> {
    async fn push(&self, connection_id: &str, frame: &str) -> Result<Push, StoreError> {
        let astray = self.has(Bug::PushGoesAstray).then(|| self.inner.other_socket(connection_id)).flatten();
        let connection_id = astray.as_deref().unwrap_or(connection_id);
        let renamed = self.has(Bug::FrameIdIsRandom).then(|| rename(frame, self.inner.now_ms()));
        let frame = renamed.as_deref().unwrap_or(frame);
        let pushed = self.inner.push(connection_id, frame).await;
        match pushed {
            Err(_) if self.has(Bug::PushHasNoTimeout) => std::future::pending().await,
            Err(_) if self.has(Bug::FailedPushCountsAsTaken) => Ok(Push::Taken),
            Ok(Push::Gone) if self.has(Bug::GoneCountsAsTaken) => Ok(Push::Taken),
            Ok(_) | Err(_) => pushed,
        }
    }

    async fn close(&self, connection_id: &str) -> Result<Closed, StoreError> {
        let newest =
            self.has(Bug::CloseHitsTheNewest).then(|| self.inner.newest_socket(connection_id)).flatten();
        let closed = self.inner.close(newest.as_deref().unwrap_or(connection_id)).await?;
        let is_revocation = self.inner.function == Function::RegistryEvents;
        Ok(if self.has(Bug::OpeningCountsAsCut) && is_revocation { Closed::Closed } else { closed })
    }
}

/// The frame with another id.
fn rename(frame: &str, at_ms: u64) -> String {
    let Ok(mut parsed) = serde_json::from_str::<serde_json::Value>(frame) else { return frame.to_owned() };
    parsed["id"] = Id::derive(at_ms, &[frame]).to_string().into();
    parsed.to_string()
}

impl Invocation {
    /// The queue that a message is on whose name begins so, whatever the handler was told.
    fn true_source(&self, told: SourceQueue, name: &str) -> SourceQueue {
        self.sim.with(|world| if world.peer_queue.knows(name) { SourceQueue::Peers } else { told })
    }

    /// An open socket of another agent.
    fn other_socket(&self, connection_id: &str) -> Option<String> {
        self.sim.with(|world| {
            let agent = world.sockets.agent(connection_id)?;
            let others = world.tables.connections.keys().filter(|other| *other != agent);
            others.flat_map(|other| world.sockets.open_of(other)).next().map(str::to_owned)
        })
    }

    /// The socket that the row of this socket's agent names.
    fn newest_socket(&self, connection_id: &str) -> Option<String> {
        self.sim.with(|world| {
            let agent = world.sockets.agent(connection_id)?;
            world.tables.row(agent).live.map(|live| live.connection_id)
        })
    }
}

impl ReceiptQueue for Planted<'_> {
    async fn send(
        &self,
        message: &QueueMessage,
        correlation_id: &str,
        delay_s: u32,
    ) -> Result<(), StoreError> {
        let is_dropped = match message {
            QueueMessage::Connected(_) => self.has(Bug::ConnectIsNotAnnounced),
            QueueMessage::Drain(_) => self.has(Bug::DrainIsNotAnnounced),
            QueueMessage::Deliver(turn) => self.has(Bug::RepeatIsForgotten) && turn.due.is_some(),
            QueueMessage::DeliveryReceipt(_)
            | QueueMessage::Close(_)
            | QueueMessage::DeliveryRefused(_)
            | QueueMessage::RestoreDelivery(_) => false,
        };
        if is_dropped {
            return Ok(());
        }
        let sent = self.inner.send(message, correlation_id, delay_s).await;
        if self.has(Bug::AcceptedBeforeQueued) && matches!(message, QueueMessage::DeliveryReceipt(_)) {
            return Ok(());
        }
        sent
    }

    async fn show_again(
        &self,
        queue: SourceQueue,
        receipt_handle: &str,
        after_s: u32,
    ) -> Result<(), StoreError> {
        let queue = match queue {
            SourceQueue::Peers if self.has(Bug::PeersBackOffIsAstray) => SourceQueue::Receipts,
            SourceQueue::Receipts | SourceQueue::Peers | SourceQueue::Events => {
                self.inner.true_source(queue, receipt_handle)
            }
        };
        self.inner.show_again(queue, receipt_handle, after_s).await
    }
}

impl DeadLetters for Planted<'_> {
    async fn bury(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        let is_given_up =
            matches!(QueueMessage::parse(&letter.body, None), Ok(QueueMessage::RestoreDelivery(_)));
        if self.has(Bug::BurialIsSkipped) || (is_given_up && self.has(Bug::GiveUpIsNotBuried)) {
            return Ok(());
        }
        let queue = match letter.queue {
            SourceQueue::Peers if self.has(Bug::PeersDeadLettersGoAstray) => SourceQueue::Receipts,
            SourceQueue::Receipts | SourceQueue::Peers | SourceQueue::Events => {
                self.inner.true_source(letter.queue, &letter.original_message_id)
            }
        };
        self.inner.bury(&DeadLetter { queue, ..letter.clone() }).await
    }
}

impl ConnectionStore for Planted<'_> {
    async fn connection(&self, agent: &AgentDid) -> Result<ConnectionRow, StoreError> {
        let row = self.inner.connection(agent).await?;
        if let Some(before) = self.seen_before(agent) {
            return Ok(before);
        }
        let is_blind = self.has(Bug::SecondLookIsBlind) && self.inner.function == Function::Consumer;
        Ok(if is_blind { ConnectionRow::default() } else { row })
    }

    async fn claim_connection(
        &self,
        newcomer: &ConnectionRef,
        lease_expires_at_ms: u64,
        history: &ConnectionHistory,
        seen: &ConnectionRow,
    ) -> Result<Claimed, StoreError> {
        self.inner.claim_connection(newcomer, lease_expires_at_ms, history, seen).await
    }

    async fn clear_connection(&self, agent: &AgentDid, connection_id: &str) -> Result<(), StoreError> {
        self.inner.clear_connection(agent, connection_id).await
    }

    async fn note_drain(&self, connection: &ConnectionRef, at_ms: u64) -> Result<(), StoreError> {
        self.inner.note_drain(connection, at_ms).await
    }

    async fn note_drain_announced(&self, connection: &ConnectionRef, at_ms: u64) -> Result<(), StoreError> {
        self.inner.note_drain_announced(connection, at_ms).await
    }

    async fn end_quarantine(&self, connection: &ConnectionRef) -> Result<(), StoreError> {
        self.inner.end_quarantine(connection).await
    }
}

impl DeliveryStore for Planted<'_> {
    async fn keep_delivery(&self, delivery: &SystemDelivery, expires_at_s: u64) -> Result<Kept, StoreError> {
        self.inner.keep_delivery(delivery, expires_at_s).await
    }

    async fn restore_delivery(
        &self,
        delivery: &SystemDelivery,
        expires_at_s: u64,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.inner.restore_delivery(delivery, expires_at_s, now_ms).await
    }

    async fn find_delivery(&self, key: &DeliveryKey) -> Result<Option<StoredDelivery>, StoreError> {
        self.inner.find_delivery(key).await
    }

    async fn deliveries(
        &self,
        agent: &AgentDid,
        after: Option<Id>,
        limit: usize,
    ) -> Result<DeliveryPage, StoreError> {
        self.inner.deliveries(agent, after, limit).await
    }

    async fn note_turn(&self, seen: &StoredDelivery, note: &TurnNote) -> Result<(), StoreError> {
        if self.has(Bug::TurnsAreNotNoted) {
            return Ok(());
        }
        self.inner.note_turn(seen, note).await
    }

    async fn remove_delivery(&self, seen: &StoredDelivery) -> Result<(), StoreError> {
        self.inner.remove_delivery(seen).await
    }

    async fn acknowledge(&self, agent: &AgentDid, delivery: Id) -> Result<(), StoreError> {
        let key = DeliveryKey { recipient: agent.clone(), delivery_id: delivery };
        let other = self.has(Bug::AckRemovesAnothers).then(|| self.inner.other_delivery(&key)).flatten();
        let DeliveryKey { recipient, delivery_id } = other.unwrap_or(key);
        self.inner.acknowledge(&recipient, delivery_id).await
    }
}

impl Invocation {
    /// A delivery to another agent.
    fn other_delivery(&self, key: &DeliveryKey) -> Option<DeliveryKey> {
        self.sim.with(|world| world.deliveries.keys().find(|other| other.recipient != key.recipient).cloned())
    }
}
