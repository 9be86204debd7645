//! What the checks remember of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::receipt::{Receipt, ReceiptKey};
use backbone::system_delivery::{DeliveryKey, SystemDelivery};

/// A rule that must hold at every moment of every run; numbered as in the project's list of invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every accepted receipt ends pushed, waiting, buried, queued, or in a counted end, every system delivery
    /// acknowledged, waiting or buried; no message is dropped.
    NothingIsLost,
    /// Nothing is pushed that was not accepted, nor to another agent.
    OnlyToItsSender,
    /// No 202 before the queue has the receipt.
    DurableBeforeAccepted,
    /// Repetitions carry the same frame id, and need a cause.
    RepetitionsAreAlike,
    /// A bad message does not fail its neighbours.
    FailsAlone,
    /// What is gone removes only itself.
    NewerSocketSurvives,
    /// No invocation runs into its timeout.
    InTime,
    /// Once faults stop, everything ends.
    Settles,
    /// A stored state never regresses, and pushes follow it.
    NeverRegresses,
    /// A revoked agent is pushed nothing and keeps no socket.
    RevokedIsCut,
    /// A session that has ended keeps no socket and opens none.
    EndedIsCut,
}

impl Invariant {
    /// The number in the project's list, or the name of what the list leaves to the design.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingIsLost => "I1",
            Self::OnlyToItsSender => "I2",
            Self::DurableBeforeAccepted => "I4",
            Self::RepetitionsAreAlike => "I5",
            Self::FailsAlone => "I6",
            Self::NewerSocketSurvives => "I7",
            Self::InTime => "I8",
            Self::Settles => "I9",
            Self::NeverRegresses => "I10",
            Self::RevokedIsCut => "revocation",
            Self::EndedIsCut => "session",
        }
    }
}

/// A moment at which an invariant did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// When, in milliseconds since the run began.
    pub at_ms: u64,
    /// What happened to what.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at_ms, what } = self;
        write!(formatter, "{} ({invariant:?}) at {} ms: {what}", invariant.name(), at_ms)
    }
}

/// An end of a receipt that is neither pushed nor kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CountedEnd {
    Overtaken,
    OtherRecipient,
    RetentionOver,
}

/// Why a check lets pass what it would otherwise not. How often each does is reported: one that is needed more and more
/// hides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excuse {
    /// A frame was repeated because of another state of its receipt: the last word is told again.
    LastWordRepeated,
    /// A state that was not told is to be repeated, as another one is still under way.
    ToBeRepeated,
    /// Of two recipients who spoke of one message at once both were pushed: the first stays, and was told before the other.
    ClaimedByTwo,
}

/// Where a state stands among those of its receipt.
type Order = (u64, Id);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// What was posted by somebody who may, by frame id.
    pub(crate) posted: BTreeMap<Id, Receipt>,
    /// What a POST has put on the queue.
    pub(crate) queued: Vec<Receipt>,
    /// What was answered 202.
    pub(crate) accepted: Vec<Receipt>,
    /// How often API Gateway has answered 200 to a frame, and the latest time that the frame said.
    pub(crate) taken: BTreeMap<Id, (u64, u64)>,
    /// Of what senders were told of a receipt, where the latest statement stands: frames carry its time.
    pub(crate) last_told: BTreeMap<ReceiptKey, Order>,
    /// How often a frame may be pushed in a run without faults.
    pub(crate) pushes_due: BTreeMap<Id, u64>,
    /// Every order that a receipt's row has had, and since when.
    pub(crate) orders: BTreeMap<ReceiptKey, Vec<(u64, Order)>>,
    /// What ended as the repetition of what was stored, by frame and time.
    pub(crate) repeated: BTreeSet<(Id, u64)>,
    /// What was noted as said again of a state that had been pushed, by frame and time.
    pub(crate) said_again: BTreeSet<(Id, u64)>,
    /// What an event was about.
    pub(crate) deliveries: BTreeMap<DeliveryKey, SystemDelivery>,
    /// Those whose event has been handled.
    pub(crate) announced: BTreeSet<DeliveryKey>,
    /// Those that a connector has acknowledged.
    pub(crate) acknowledged: BTreeSet<DeliveryKey>,
    /// How often API Gateway has taken the frame of a delivery.
    pub(crate) offered: BTreeMap<DeliveryKey, u64>,
    /// When the latest session of an agent had ended of whose end an event was received, in milliseconds since the Unix
    /// epoch.
    pub(crate) session_ends: BTreeMap<AgentDid, u64>,
    /// Until when authorizers may have begun that let somebody in on a session of an agent that has ended, by all that its
    /// ends have seen so far, in milliseconds since the Unix epoch.
    pub(crate) let_in_until_ms: BTreeMap<AgentDid, u64>,
    /// Events that were sent again in the place of one that has few receives left.
    pub(crate) begun_anew: BTreeSet<String>,
    /// The latest session of an agent whose end has been dealt with: its event has left the queue.
    pub(crate) sessions_done: BTreeMap<AgentDid, u64>,
    /// What ended so, by frame and time: a state leaves its mailbox and the queue, and is counted once.
    pub(crate) ends: BTreeSet<(CountedEnd, Id, u64)>,
    /// What was let pass, by frame and time.
    pub(crate) excused: BTreeSet<(Excuse, Id, u64)>,
    /// Invocations that did not answer; what they had counted may be lost.
    pub(crate) deaths: u64,
    pub(crate) violations: Vec<Violation>,
}

impl Ledger {
    /// Notes that a receipt was let pass.
    pub(crate) fn excuse(&mut self, why: Excuse, receipt: &Receipt) {
        self.excused.insert((why, receipt.frame_id(), receipt.processed_at_ms));
    }

    /// Where a receipt's row stood at `at_ms`.
    pub(crate) fn order_at(&self, key: &ReceiptKey, at_ms: u64) -> Option<Order> {
        let orders = self.orders.get(key)?;
        orders.iter().filter(|(since_ms, _)| *since_ms < at_ms).map(|(_, order)| *order).max()
    }

    /// Whether what a sender was told last of `receipt`'s message is another recipient's word.
    pub(crate) fn is_anothers_told(&self, receipt: &Receipt) -> bool {
        let told = self.last_told.get(&receipt.key()).and_then(|(_, frame_id)| self.posted.get(frame_id));
        told.is_some_and(|told| told.recipient != receipt.recipient)
    }

    /// Whether a receipt's row held what `receipt` says, said at another time, at some moment from `since_ms` on.
    pub(crate) fn was_said_before(&self, receipt: &Receipt, since_ms: u64) -> bool {
        let orders = self.orders.get(&receipt.key()).map(Vec::as_slice).unwrap_or_default();
        let first = orders.iter().rposition(|(at_ms, _)| *at_ms < since_ms).unwrap_or_default();
        let is_other = |order: &Order| order.1 == receipt.frame_id() && order.0 != receipt.processed_at_ms;
        orders[first..].iter().any(|(_, order)| is_other(order))
    }
}
