//! A receipt, and which of two wins.

use serde::{Deserialize, Serialize};

use crate::did::AgentDid;
use crate::id::Id;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The recipient's webhook took it.
    DeliveredToWebhook,
    /// The recipient's connector gave it up.
    DeadLettered,
}

impl Status {
    /// The name used in bodies, rows and frames.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeliveredToWebhook => "delivered_to_webhook",
            Self::DeadLettered => "dead_lettered",
        }
    }

    /// Reads today's name, or the first design's name for the same thing (design 7).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "delivered_to_webhook" | "processed_by_openclaw" => Some(Self::DeliveredToWebhook),
            "dead_lettered" => Some(Self::DeadLettered),
            _ => None,
        }
    }
}

/// One statement about one message, as its recipient's connector made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message it is about: the frame id under which the recipient got it.
    pub request_id: Id,
    /// Who sent the message, and will hear of this.
    pub sender: AgentDid,
    /// Who got the message, and says this.
    pub recipient: AgentDid,
    /// What became of the message.
    pub status: Status,
    /// Why, in the recipient's words; never blank, at most
    /// [`REASON_CHARS_MAX`](crate::limits::REASON_CHARS_MAX) characters.
    pub reason: Option<String>,
    /// When the POST was accepted, in milliseconds since the Unix epoch.
    pub processed_at_ms: u64,
}

/// Which receipt: a message id is unique only for its sender.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptKey {
    /// Who sent the message.
    pub sender: AgentDid,
    /// The message.
    pub request_id: Id,
}

impl Receipt {
    /// Which receipt this is a state of.
    #[must_use]
    pub fn key(&self) -> ReceiptKey {
        ReceiptKey { sender: self.sender.clone(), request_id: self.request_id }
    }

    /// The id of the frame that carries this state.
    ///
    /// It depends on what the frame says and not on when: every redelivery and every repeated POST of the same
    /// state carries the same id, so the receiver can tell a repetition from news.
    #[must_use]
    pub fn frame_id(&self) -> Id {
        let request_id = self.request_id.to_string();
        // A receipt without a reason and one with an empty reason cannot both exist, so "" stands for none.
        let reason = self.reason.as_deref().unwrap_or_default();
        let parts =
            [self.sender.as_str(), self.recipient.as_str(), &request_id, self.status.as_str(), reason];
        Id::derive(self.request_id.time_ms(), &parts)
    }

    /// Where this stands in the order of states: the later wins, at the same time the larger frame id.
    #[must_use]
    pub fn order(&self) -> (u64, Id) {
        (self.processed_at_ms, self.frame_id())
    }
}

/// A receipt as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The latest state.
    pub receipt: Receipt,
    /// When API Gateway took its frame, in milliseconds since the Unix epoch; `None` while it waits.
    pub pushed_at_ms: Option<u64>,
    /// When it stops being readable, in seconds since the Unix epoch.
    pub expires_at_s: u64,
}

impl StoredReceipt {
    /// A state that was pushed at `now_ms`.
    #[must_use]
    pub fn pushed(receipt: Receipt, now_ms: u64, expires_at_s: u64) -> Self {
        // The clocks of whoever accepts and whoever pushes differ by a little, and it was accepted first.
        Self { pushed_at_ms: Some(now_ms.max(receipt.processed_at_ms)), receipt, expires_at_s }
    }

    /// The same state once it has been said again in `receipt`, without having been pushed again.
    #[must_use]
    pub fn said_again(&self, receipt: Receipt, expires_at_s: u64) -> Self {
        let before = receipt.processed_at_ms.saturating_sub(1);
        Self { pushed_at_ms: self.pushed_at_ms.map(|at_ms| at_ms.min(before)), receipt, expires_at_s }
    }

    /// Whether it was last pushed before it was last said.
    #[must_use]
    pub fn is_said_again_since_push(&self) -> bool {
        self.pushed_at_ms.is_some_and(|at_ms| at_ms < self.receipt.processed_at_ms)
    }

    /// Whether its retention is over at `now_s`, in seconds since the Unix epoch.
    #[must_use]
    pub const fn is_expired(&self, now_s: u64) -> bool {
        self.expires_at_s <= now_s
    }
}

/// How an incoming state stands to what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "only a new state is pushed and recorded"]
pub enum Standing {
    /// To be pushed and recorded.
    New,
    /// The stored state, which the sender has been sent.
    RepeatOfPushed,
    /// The stored state, which still waits to be sent.
    RepeatOfWaiting,
    /// Older than the stored state, which stays.
    Overtaken,
    /// About a message to somebody else: ids collide or somebody tries. What is stored stays.
    OtherRecipient,
}

/// Compares an incoming state with the stored one at `now_s` (design 4.2).
///
/// A stored state that is past its retention cannot be looked up any more, whether or not DynamoDB has got round to
/// deleting it, so saying it again is news. It still keeps older states from coming after it.
pub fn standing(incoming: &Receipt, stored: Option<&StoredReceipt>, now_s: u64) -> Standing {
    let Some(stored) = stored else { return Standing::New };
    if stored.receipt.recipient != incoming.recipient {
        return Standing::OtherRecipient;
    }
    if stored.is_expired(now_s) {
        let older = incoming.order() < stored.receipt.order();
        return if older { Standing::Overtaken } else { Standing::New };
    }
    if stored.receipt.frame_id() == incoming.frame_id() {
        return match stored.pushed_at_ms {
            Some(_) => Standing::RepeatOfPushed,
            None => Standing::RepeatOfWaiting,
        };
    }
    if incoming.order() < stored.receipt.order() { Standing::Overtaken } else { Standing::New }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn receipt(status: Status, reason: Option<&str>, processed_at_ms: u64) -> Receipt {
        let did = |ulid| AgentDid::parse(&format!("did:cdi:registry.clawdentity.com:agent:{ulid}")).unwrap();
        Receipt {
            request_id: Id::parse("01KN33X0KRM9Q3MFS6RVPP6F7F").unwrap(),
            sender: did("01KN0HGEG0G5PGG168DAWPBYT2"),
            recipient: did("01KN0HGEG0QK6E4CV6JTD76TK7"),
            status,
            reason: reason.map(str::to_owned),
            processed_at_ms,
        }
    }

    fn stored(receipt: Receipt, pushed: bool) -> StoredReceipt {
        StoredReceipt { receipt, pushed_at_ms: pushed.then_some(9), expires_at_s: u64::MAX }
    }

    #[test]
    fn the_sequence_of_the_contract_is_pushed_as_written() {
        // Contract 3.2: dead/x push, dead/x none, dead/y push, delivered push, dead/y push.
        let dead = |reason, at| receipt(Status::DeadLettered, Some(reason), at);
        let steps = [
            (dead("x", 1), Standing::New),
            (dead("x", 2), Standing::RepeatOfPushed),
            (dead("y", 3), Standing::New),
            (receipt(Status::DeliveredToWebhook, None, 4), Standing::New),
            (dead("y", 5), Standing::New),
        ];
        let mut row = None;
        for (incoming, expected) in steps {
            assert_eq!(standing(&incoming, row.as_ref(), 5), expected, "{incoming:?}");
            if expected == Standing::New {
                row = Some(stored(incoming, true));
            }
        }
    }

    #[test]
    fn an_older_state_never_replaces_a_newer_one() {
        let row = stored(receipt(Status::DeliveredToWebhook, None, 10), true);
        assert_eq!(standing(&receipt(Status::DeadLettered, None, 9), Some(&row), 5), Standing::Overtaken);
    }

    #[test]
    fn at_the_same_time_exactly_one_of_two_states_wins() {
        let one = receipt(Status::DeliveredToWebhook, None, 10);
        let two = receipt(Status::DeadLettered, None, 10);
        let one_after_two = standing(&one, Some(&stored(two.clone(), true)), 5);
        let two_after_one = standing(&two, Some(&stored(one, true)), 5);
        assert_ne!(one_after_two, two_after_one);
    }

    #[test]
    fn after_the_retention_a_repetition_is_news_and_an_older_state_is_not() {
        let row =
            StoredReceipt { expires_at_s: 5, ..stored(receipt(Status::DeliveredToWebhook, None, 10), true) };
        let again = receipt(Status::DeliveredToWebhook, None, 11);
        assert_eq!(standing(&again, Some(&row), 4), Standing::RepeatOfPushed);
        assert_eq!(standing(&again, Some(&row), 5), Standing::New);
        assert_eq!(standing(&receipt(Status::DeadLettered, None, 9), Some(&row), 5), Standing::Overtaken);
    }

    #[test]
    fn another_recipient_changes_nothing() {
        let mut other = receipt(Status::DeadLettered, None, 99);
        other.recipient = other.sender.clone();
        let row = stored(receipt(Status::DeliveredToWebhook, None, 10), false);
        assert_eq!(standing(&other, Some(&row), 5), Standing::OtherRecipient);
    }

    #[test]
    fn a_frame_id_says_what_and_not_when() {
        let first = receipt(Status::DeadLettered, Some("x"), 1);
        assert_eq!(first.frame_id(), receipt(Status::DeadLettered, Some("x"), 2).frame_id());
        assert_eq!(first.frame_id().time_ms(), first.request_id.time_ms());
        assert_ne!(first.frame_id(), receipt(Status::DeadLettered, Some("y"), 1).frame_id());
        assert_ne!(first.frame_id(), receipt(Status::DeliveredToWebhook, Some("x"), 1).frame_id());
    }
}
