//! What a peer may say: that one of its agents has said something about a message from one of ours (design 8).
//!
//! A peer's account can put anything on the peer queue. What is believed is a receipt of a pair that exists here, from
//! the peer at which the pair's recipient is at home, for a sender who is at home here. So a peer can speak for its own
//! agents only, to those of ours who have paired with them, and nothing goes round in circles.

use super::QueuedMessage;
use super::settle::Outcome;
use crate::home::{Home, KnownHomes, ProxyOrigin};
use crate::limits::PEER_CLOCK_AHEAD_MS_MAX;
use crate::metrics::{Metric, Tally};
use crate::reason_code::ReasonCode;
use crate::receipt::Receipt;
use crate::stores::{DeliveryState, SourceQueue};
use crate::trust::Pair;

/// Why a message from the peer queue is not believed. It is kept as a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PeerRefusal {
    /// It is one of those that this stack sends to itself.
    #[error("a peer may send receipts only")]
    Type,
    /// It names no proxy it comes from, or one that is no peer.
    #[error("it does not come from a peer of this stack")]
    Unknown,
    /// Its time has not come yet.
    #[error("its time is ahead of ours")]
    Time,
    /// The two agents are strangers here.
    #[error("its agents are not paired on this proxy")]
    NotPaired,
    /// The peer speaks for somebody else's agent.
    #[error("its recipient is not at home at the peer it comes from")]
    ForeignHome,
    /// Forwarding it once more would be the beginning of a circle.
    #[error("its sender is not at home here")]
    Loop,
}

impl PeerRefusal {
    /// The reason code of the dead letter.
    const fn reason_code(self) -> ReasonCode {
        match self {
            Self::Type => ReasonCode::PeerType,
            Self::Unknown => ReasonCode::PeerUnknown,
            Self::Time => ReasonCode::PeerTime,
            Self::NotPaired => ReasonCode::PeerNotPaired,
            Self::ForeignHome => ReasonCode::PeerForeignHome,
            Self::Loop => ReasonCode::PeerLoop,
        }
    }

    /// What becomes of the message.
    pub(super) fn outcome(self, tally: &Tally) -> Outcome {
        tally.count(Metric::PeerRefused);
        Outcome::Bury { reason_code: self.reason_code(), reason: self.to_string() }
    }
}

/// Whether `receipt` of `message` is to be believed at `now_ms`. What this stack has put on its own queue always is.
pub(super) fn check(
    homes: &KnownHomes,
    state: &DeliveryState,
    message: &QueuedMessage,
    receipt: &Receipt,
    now_ms: u64,
) -> Result<(), PeerRefusal> {
    match message.queue {
        // Events are no receipts, wherever they are; what is on that queue is this stack's own.
        SourceQueue::Receipts | SourceQueue::Events => return Ok(()),
        SourceQueue::Peers => {}
    }
    let named = message.origin_proxy.as_deref().and_then(ProxyOrigin::parse);
    let peer = named.filter(|origin| homes.is_peer(origin)).ok_or(PeerRefusal::Unknown)?;
    if receipt.processed_at_ms > now_ms.saturating_add(PEER_CLOCK_AHEAD_MS_MAX) {
        return Err(PeerRefusal::Time);
    }
    let pair = Pair::of(&receipt.sender, &receipt.recipient);
    let pair_homes = state.pairs.get(&pair).ok_or(PeerRefusal::NotPaired)?;
    if pair.home_of(&receipt.recipient, pair_homes) != Some(&peer) {
        return Err(PeerRefusal::ForeignHome);
    }
    match homes.locate(pair.home_of(&receipt.sender, pair_homes)) {
        Home::Here => Ok(()),
        Home::Peer(_) | Home::Unknown(_) => Err(PeerRefusal::Loop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::Status;
    use crate::receipt::tests::receipt;
    use crate::trust::{PairHomes, PairSide};

    const NOW_MS: u64 = 1_775_000_000_000;
    const OWN: &str = "https://own.com";
    const PEER: &str = "https://peer.com";
    const OTHER_PEER: &str = "https://other-peer.com";

    fn origin(text: &str) -> ProxyOrigin {
        ProxyOrigin::parse(text).unwrap()
    }

    /// The verdict on the receipt at `NOW_MS`, from `queue`, naming `from`, about a pair at these homes, if it exists.
    fn verdict(
        queue: SourceQueue,
        from: Option<&str>,
        pair: Option<[Option<&str>; 2]>,
        processed_at_ms: u64,
    ) -> Result<(), PeerRefusal> {
        let homes = KnownHomes::new(Some(origin(OWN)), [PEER, OTHER_PEER].map(origin)).unwrap();
        let receipt = receipt(Status::DeliveredToWebhook, None, processed_at_ms);
        let mut state = DeliveryState::default();
        if let Some([sender, recipient]) = pair {
            let side = |agent: &crate::did::AgentDid, home: Option<&str>| PairSide {
                agent: agent.clone(),
                home: home.map(origin),
            };
            let sides = (side(&receipt.sender, sender), side(&receipt.recipient, recipient));
            let homes = PairHomes::of(&sides.0, &sides.1);
            state.pairs.insert(Pair::of(&receipt.sender, &receipt.recipient), homes);
        }
        let message = QueuedMessage {
            queue,
            message_id: "m".to_owned(),
            receipt_handle: "h".to_owned(),
            body: String::new(),
            version: None,
            origin_proxy: from.map(str::to_owned),
            correlation_id: None,
            receive_count: 1,
            sent_ms: 0,
            first_seen_ms: 0,
        };
        check(&homes, &state, &message, &receipt, NOW_MS)
    }

    fn from_peers(from: Option<&str>, pair: Option<[Option<&str>; 2]>) -> Result<(), PeerRefusal> {
        verdict(SourceQueue::Peers, from, pair, NOW_MS)
    }

    #[test]
    fn a_peer_speaks_for_its_own_agents_to_ours() {
        for sender in [Some(OWN), None] {
            assert_eq!(from_peers(Some(PEER), Some([sender, Some(PEER)])), Ok(()), "{sender:?}");
        }
        assert_eq!(from_peers(Some("https://PEER.com:443/"), Some([None, Some(PEER)])), Ok(()));
    }

    #[test]
    fn what_else_a_peer_says_is_not_believed() {
        let good = Some([Some(OWN), Some(PEER)]);
        for (from, pair, expected) in [
            (None, good, PeerRefusal::Unknown),
            (Some("https://stranger.com"), good, PeerRefusal::Unknown),
            (Some(OWN), Some([Some(OWN), Some(OWN)]), PeerRefusal::Unknown),
            (Some("peer.com"), good, PeerRefusal::Unknown),
            (Some(PEER), None, PeerRefusal::NotPaired),
            (Some(OTHER_PEER), good, PeerRefusal::ForeignHome),
            (Some(PEER), Some([Some(OWN), None]), PeerRefusal::ForeignHome),
            (Some(PEER), Some([Some(OWN), Some(OWN)]), PeerRefusal::ForeignHome),
            (Some(PEER), Some([Some(PEER), Some(PEER)]), PeerRefusal::Loop),
            (Some(PEER), Some([Some(OTHER_PEER), Some(PEER)]), PeerRefusal::Loop),
            (Some(PEER), Some([Some("https://stranger.com"), Some(PEER)]), PeerRefusal::Loop),
        ] {
            assert_eq!(from_peers(from, pair), Err(expected), "{from:?} {pair:?}");
        }
    }

    #[test]
    fn a_peers_clock_may_be_a_little_ahead() {
        let at = |ms| verdict(SourceQueue::Peers, Some(PEER), Some([None, Some(PEER)]), ms);
        assert_eq!(at(NOW_MS + PEER_CLOCK_AHEAD_MS_MAX), Ok(()));
        assert_eq!(at(NOW_MS + PEER_CLOCK_AHEAD_MS_MAX + 1), Err(PeerRefusal::Time));
    }

    #[test]
    fn what_this_stack_queued_itself_needs_no_peer() {
        assert_eq!(verdict(SourceQueue::Receipts, None, None, u64::MAX), Ok(()));
    }
}
