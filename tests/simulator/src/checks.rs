//! The invariants, checked at every step of a run.

use std::collections::BTreeSet;

use backbone::connection::ConnectionRef;
use backbone::delivery::QueuedMessage;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::metrics::{Metric, Tally};
use backbone::queue_message::QueueMessage;
use backbone::receipt::{Receipt, Status, StoredReceipt};
use backbone::stores::SourceQueue;
use serde_json::Value;

use crate::delivery_checks::deliver_frame_id;
use crate::invocation::Function;
use crate::ledger::{CountedEnd, Excuse, Invariant, Violation};
use crate::planted;
use crate::queue::{Content, Message};
use crate::sockets::SocketState;
use crate::world::{BEGIN_MS, World};

impl World {
    pub(crate) fn violated(&mut self, invariant: Invariant, what: String) {
        self.note(|| format!("VIOLATED {}: {what}", invariant.name()));
        let at_ms = self.now_ms() - BEGIN_MS;
        self.ledger.violations.push(Violation { invariant, at_ms, what });
    }

    /// A POST has put its receipt on the queue.
    pub(crate) fn check_queued(&mut self, receipt: &Receipt) {
        let frame_id = receipt.frame_id();
        let row = self.tables.receipts.get(&receipt.key());
        let told = row.is_some_and(|row| row.pushed_at_ms.is_some() && row.receipt.frame_id() == frame_id);
        if !told {
            *self.ledger.pushes_due.entry(frame_id).or_default() += 1;
        }
        self.ledger.queued.push(receipt.clone());
    }

    /// How often a frame may be pushed in a run without faults: once, once more for every POST that came before the
    /// push was recorded, and after any change of mind. And how often with the excuse that each other state may have it
    /// told once more.
    fn pushes_due(&self, receipt: &Receipt) -> (u64, u64) {
        let frame_id = receipt.frame_id();
        let states = self.ledger.queued.iter().filter(|other| other.key() == receipt.key());
        let (same, other): (Vec<_>, Vec<_>) = states.partition(|state| state.frame_id() == frame_id);
        if other.is_empty() && !self.forgets {
            let due = self.ledger.pushes_due.get(&frame_id).copied().unwrap_or_default();
            (due, due)
        } else {
            let count = |states: usize| u64::try_from(states).expect("a length fits");
            (count(same.len()), count(same.len() + other.len()))
        }
    }

    /// A POST is answered 202 (I4).
    pub(crate) fn check_accepted(&mut self, receipt: &Receipt) {
        if !self.ledger.queued.contains(receipt) {
            self.violated(Invariant::DurableBeforeAccepted, format!("{} is not queued", name(receipt)));
        }
        self.ledger.accepted.push(receipt.clone());
    }

    /// API Gateway takes a frame (I2, I5, I10, revocation). What was decided may be as old as `decided_ms`.
    pub(crate) fn check_frame(&mut self, connection_id: &str, frame: &str, decided_ms: u64) {
        let Some(agent) = self.sockets.agent(connection_id).cloned() else { return };
        if let Some(id) = deliver_frame_id(frame) {
            self.check_deliver_frame(&agent, id, frame, decided_ms);
            return;
        }
        let Some((id, receipt)) = read_frame(frame, &agent) else {
            self.violated(Invariant::OnlyToItsSender, format!("neither a receipt nor a delivery: {frame}"));
            return;
        };
        let expected = receipt.frame_id();
        if !self.ledger.posted.contains_key(&expected) {
            let what = format!("{} was pushed to {agent}, who has no such receipt", name(&receipt));
            self.violated(Invariant::OnlyToItsSender, what);
        } else if id != expected {
            let what = format!("{} was pushed as {id} and not as {expected}", name(&receipt));
            self.violated(Invariant::RepetitionsAreAlike, what);
        }
        if self.tables.revoked.get(&agent).is_some_and(|&revoked_ms| revoked_ms < decided_ms) {
            self.violated(Invariant::RevokedIsCut, format!("{} was pushed after that", name(&receipt)));
        }
        if let Some(stored) = self.ledger.order_at(&receipt.key(), decided_ms)
            && receipt.order() < stored
            && expected != stored.1
        {
            let what = format!("{} was pushed after the state of {}", name(&receipt), stored.0 - BEGIN_MS);
            self.violated(Invariant::NeverRegresses, what);
        }
    }

    /// API Gateway answers 200 to a frame (I5).
    pub(crate) fn check_taken(&mut self, frame: &str, connection_id: &str) {
        let Some(agent) = self.sockets.agent(connection_id).cloned() else { return };
        let Some((_, receipt)) = read_frame(frame, &agent) else { return };
        let frame_id = receipt.frame_id();
        let (times, latest_ms) = self.ledger.taken.entry(frame_id).or_default();
        *times += 1;
        let last_told = self.ledger.last_told.entry(receipt.key()).or_insert(receipt.order());
        *last_told = receipt.order().max(*last_told);
        *latest_ms = receipt.processed_at_ms.max(*latest_ms);
        let times = *times;
        if !self.profile.is_clean() || self.forced.is_some() {
            return;
        }
        let (due, excused) = self.pushes_due(&receipt);
        if times > due && times <= excused {
            self.ledger.excuse(Excuse::LastWordRepeated, &receipt);
        } else if times > due {
            let what = format!("{} was pushed {times} times, for {due} reasons", name(&receipt));
            self.violated(Invariant::RepetitionsAreAlike, what);
        }
    }

    /// A row was written (I10).
    pub(crate) fn check_recorded(&mut self, before: Option<&StoredReceipt>, row: &StoredReceipt) {
        let order = row.receipt.order();
        if before.is_some_and(|before| order < before.receipt.order()) {
            self.violated(
                Invariant::NeverRegresses,
                format!("{} replaced a later state", name(&row.receipt)),
            );
        }
        if before.is_some_and(|before| row.receipt.recipient != before.receipt.recipient) {
            let what = format!("{} replaced another recipient's", name(&row.receipt));
            self.violated(Invariant::NeverRegresses, what);
        }
        let now_ms = self.now_ms();
        self.ledger.orders.entry(row.receipt.key()).or_default().push((now_ms, order));
    }

    /// A message has left the queue for good (I1). What was decided may be as old as `decided_ms`.
    pub(crate) fn check_deleted(&mut self, message: &Message, decided_ms: u64) {
        match &message.content {
            Content::Known(known) => match known.as_ref() {
                QueueMessage::DeliveryReceipt(receipt) => {
                    self.check_kept(receipt, decided_ms, "left the queue");
                }
                QueueMessage::Deliver(turn) if self.deliveries.get(&turn.key).is_some() => {
                    self.check_delivery_kept(&turn.key, "has had its turn");
                }
                QueueMessage::RestoreDelivery(delivery) => {
                    self.check_delivery_kept(&delivery.key(), "was restored");
                }
                QueueMessage::Deliver(_)
                | QueueMessage::DeliveryRefused(_)
                | QueueMessage::Connected(_)
                | QueueMessage::Drain(_)
                | QueueMessage::Close(_) => {}
            },
            Content::Junk { body, .. } => {
                let is_body =
                    |content: &Content| matches!(content, Content::Junk { body: other, .. } if other == body);
                let buried = self.dead().any(|dead| dead.reason.is_some() && is_body(&dead.content));
                if !buried && !self.queued().any(is_body) {
                    self.violated(Invariant::NothingIsLost, format!("{} {body:?} was dropped", message.id));
                }
            }
            // They are on a queue of their own, with checks of its own.
            Content::Event(_) => {}
        }
    }

    /// A receipt has left a place; it must be in another, or at an end (I1).
    /// What was decided about it may be as old as `decided_ms`.
    pub(crate) fn check_kept(&mut self, receipt: &Receipt, decided_ms: u64, moment: &str) {
        if self.ledger.was_said_before(receipt, decided_ms)
            && (self.is_told(receipt, 0) || self.is_held(receipt, 0))
        {
            self.ledger.repeated.insert((receipt.frame_id(), receipt.processed_at_ms));
        }
        match self.place_of(receipt) {
            Place::Kept => {}
            Place::Excused(why) => self.ledger.excuse(why, receipt),
            Place::Ended(end) => {
                let state = (receipt.frame_id(), receipt.processed_at_ms);
                // A repetition is counted as that, whatever comes after it.
                if !self.ledger.said_again.contains(&state) {
                    self.ledger.ends.insert((end, state.0, state.1));
                }
            }
            Place::Nowhere => {
                self.violated(Invariant::NothingIsLost, format!("{} {moment} and is nowhere", name(receipt)));
            }
        }
    }

    /// What one invocation of the consumer, begun at `begun_ms`, has counted: of each receipt at most one end, and of each
    /// drain just one, unless its connection is not open yet (I1).
    pub(crate) fn check_counts(&mut self, batch: &[QueuedMessage], tally: &Tally, begun_ms: u64) {
        let (mut receipts, mut drains) = (0, BTreeSet::new());
        for message in batch {
            match QueueMessage::parse(&message.body, message.version.as_deref()) {
                Ok(QueueMessage::DeliveryReceipt(_)) => receipts += 1,
                Ok(QueueMessage::Connected(connection) | QueueMessage::Drain(connection))
                    if message.queue == SourceQueue::Receipts =>
                {
                    drains.insert(connection);
                }
                Ok(_) | Err(_) => {}
            }
        }
        let counted = |metrics: [Metric; 3]| metrics.map(|metric| tally.of(metric)).iter().sum::<u64>();
        let ends =
            counted([Metric::ReceiptRepeated, Metric::ReceiptOvertaken, Metric::ReceiptOtherRecipient]);
        if ends > receipts {
            self.violated(Invariant::NothingIsLost, format!("{receipts} receipts, {ends} ends were counted"));
        }
        let count = |drains: usize| u64::try_from(drains).expect("a length fits");
        let opening = drains.iter().filter(|connection| connection.may_be_opening(begun_ms)).count();
        // A 410 of its own; receipts for such connections have theirs.
        let unopened = count(opening).min(tally.of(Metric::PushNotOpenYet));
        let drains = count(drains.len());
        let ends = counted([Metric::DrainFinished, Metric::DrainContinued, Metric::DrainInterrupted]);
        let ends = planted::ends_of_drains(self.bug, ends, drains, tally);
        // A panic interrupts a drain once for every message that has asked for it.
        let ends_max = drains + tally.of(Metric::RecordPanicked);
        if ends > ends_max || ends + unopened < drains {
            self.violated(Invariant::NothingIsLost, format!("{drains} drains, {ends} ends were counted"));
        }
    }

    /// Whether the sender has been told what a receipt says, as said at `since_ms` or later.
    fn is_told(&self, receipt: &Receipt, since_ms: u64) -> bool {
        self.ledger.taken.get(&receipt.frame_id()).is_some_and(|(_, latest_ms)| *latest_ms >= since_ms)
    }

    /// Whether what a receipt says is waiting, queued or buried, as said at `since_ms` or later.
    fn is_held(&self, receipt: &Receipt, since_ms: u64) -> bool {
        let is_it = |other: &Receipt| says_the_same(other, receipt) && other.processed_at_ms >= since_ms;
        self.tables.mailbox_of(&receipt.sender).any(|waiting| is_it(&waiting.receipt))
            || self.queued().filter_map(Content::receipt).any(is_it)
            || self.dead().filter_map(|dead| dead.content.receipt()).any(is_it)
    }

    /// Whether another state is still under way: a later one replaces it, after an older one it is told again.
    fn is_to_be_repeated(&self, receipt: &Receipt) -> bool {
        let mut others = self.queued().filter_map(Content::receipt);
        others.any(|other| other.key() == receipt.key() && other.frame_id() != receipt.frame_id())
    }

    /// Whether what a row says is the latest that its sender has been told, or is still kept to be told.
    pub(crate) fn is_last_word_kept(&self, row: &StoredReceipt) -> bool {
        let (receipt, key) = (&row.receipt, row.receipt.key());
        let since_ms = if row.pushed_at_ms.is_none() { 0 } else { receipt.processed_at_ms };
        self.ledger.last_told.get(&key).is_some_and(|(_, told)| *told == receipt.frame_id())
            || self.is_told(receipt, receipt.processed_at_ms)
            || self.is_held(receipt, since_ms)
    }

    /// Where a receipt is. Its sender may have been told the same before, if nothing else since then; and while the row
    /// says that this waits to be told, an earlier statement of it brings the same about.
    pub(crate) fn place_of(&self, receipt: &Receipt) -> Place {
        let (since_ms, frame_id) = (receipt.processed_at_ms, receipt.frame_id());
        let row = self.tables.receipts.get(&receipt.key());
        let waits = row.is_some_and(|row| row.receipt.frame_id() == frame_id && row.pushed_at_ms.is_none());
        if self.ledger.repeated.contains(&(frame_id, since_ms))
            || self.ledger.last_told.get(&receipt.key()).is_some_and(|(_, told)| *told == frame_id)
            || self.is_told(receipt, since_ms)
            || self.is_held(receipt, if waits { 0 } else { since_ms })
        {
            return Place::Kept;
        }
        if row.is_some_and(|row| row.receipt.frame_id() == frame_id) && self.is_to_be_repeated(receipt) {
            return Place::Excused(Excuse::ToBeRepeated);
        }
        match row {
            Some(row) if row.receipt.recipient != receipt.recipient => {
                Place::Ended(CountedEnd::OtherRecipient)
            }
            Some(row) if receipt.order() < row.receipt.order() => Place::Ended(CountedEnd::Overtaken),
            Some(row) if row.expires_at_s * 1_000 <= self.now_ms() => Place::Ended(CountedEnd::RetentionOver),
            Some(_) | None => Place::Nowhere,
        }
    }

    /// A row has lost its connection (I7).
    pub(crate) fn check_cleared(&mut self, asked: &str, cleared: &str) {
        if asked != cleared {
            self.violated(
                Invariant::NewerSocketSurvives,
                format!("{asked} was gone, {cleared} was forgotten"),
            );
        } else if self.sockets.is(cleared, SocketState::Open) {
            self.violated(Invariant::NewerSocketSurvives, format!("{cleared} is open and was forgotten"));
        }
    }

    /// A function closes a socket (I7). An agent's newest is closed when it is revoked, by whoever comes to it, and when
    /// its session has ended, by `registry-events`.
    pub(crate) fn check_closing(&mut self, function: Function, connection_id: &str) {
        let Some(agent) = self.sockets.agent(connection_id).cloned() else { return };
        let connection = ConnectionRef { agent, connection_id: connection_id.to_owned(), connected_at_ms: 0 };
        let agent = &connection.agent;
        let may_be_closed = self.tables.revoked.contains_key(agent)
            || (function == Function::RegistryEvents && self.may_be_of_ended_session(agent, connection_id));
        if self.tables.row_of(&connection).is_some() && !may_be_closed {
            self.violated(
                Invariant::NewerSocketSurvives,
                format!("{connection_id} is the newest and was closed"),
            );
        }
    }
}

/// Where a receipt can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Pushed, waiting, queued or buried.
    Kept,
    /// None of these that can be shown, for a reason.
    Excused(Excuse),
    /// At one of the ends that are counted.
    Ended(CountedEnd),
    Nowhere,
}

/// Whether two receipts are the same state, whenever they were accepted.
fn says_the_same(one: &Receipt, other: &Receipt) -> bool {
    let words = |receipt: &Receipt| (receipt.request_id, receipt.status);
    words(one) == words(other)
        && one.reason == other.reason
        && one.recipient == other.recipient
        && one.sender == other.sender
}

/// Short words for a receipt.
pub(crate) fn name(receipt: &Receipt) -> String {
    let request = receipt.request_id.to_string();
    let reason = receipt.reason.as_deref().unwrap_or("-");
    let at_ms = receipt.processed_at_ms.saturating_sub(BEGIN_MS);
    format!("…{} {}/{reason} of {at_ms} ms", &request[20..], receipt.status.as_str())
}

/// The id of a receipt frame, and the receipt it tells `agent` about.
pub(crate) fn read_frame(frame: &str, agent: &AgentDid) -> Option<(Id, Receipt)> {
    let frame: Value = serde_json::from_str(frame).ok()?;
    let text = |name: &str| frame.get(name).and_then(Value::as_str);
    let receipt = Receipt {
        request_id: Id::parse(text("originalFrameId")?)?,
        sender: agent.clone(),
        recipient: AgentDid::parse(text("toAgentDid")?)?,
        status: Status::parse(text("status")?)?,
        reason: text("reason").map(str::to_owned),
        processed_at_ms: backbone::timestamp::from_iso(text("ts")?)?,
    };
    Some((Id::parse(text("id")?)?, receipt))
}
