//! The invariants of system deliveries.

use backbone::did::AgentDid;
use backbone::frame::deliver_frame_text;
use backbone::id::Id;
use backbone::limits::DELIVERY_ATTEMPTS_MAX;
use backbone::queue_message::QueueMessage;
use backbone::system_delivery::DeliveryKey;
use serde_json::Value;

use crate::deliveries::name;
use crate::ledger::Invariant;
use crate::queue::Content;
use crate::recipients::Mood;
use crate::world::World;

/// The id of a `deliver` frame; `None` for any other text.
pub(crate) fn deliver_frame_id(frame: &str) -> Option<Id> {
    let frame: Value = serde_json::from_str(frame).ok()?;
    (frame.get("type")?.as_str()? == "deliver").then_some(())?;
    Id::parse(frame.get("id")?.as_str()?)
}

impl World {
    /// API Gateway takes a `deliver` frame for a socket of `agent` (I2, I5, revocation). What was decided may be as old
    /// as `decided_ms`.
    pub(crate) fn check_deliver_frame(&mut self, agent: &AgentDid, id: Id, frame: &str, decided_ms: u64) {
        let key = DeliveryKey { recipient: agent.clone(), delivery_id: id };
        match self.ledger.deliveries.get(&key) {
            Some(delivery) if deliver_frame_text(delivery) == frame => {}
            Some(_) => self.violated(Invariant::RepetitionsAreAlike, format!("{frame} is not the delivery")),
            None => {
                let of_agent = |known: &&DeliveryKey| known.recipient == *agent;
                let without_id = |text: &str| {
                    let mut frame: Value = serde_json::from_str(text).unwrap_or_default();
                    frame["id"] = Value::Null;
                    frame
                };
                let is_renamed = self.ledger.deliveries.keys().filter(of_agent).any(|known| {
                    let text = deliver_frame_text(&self.ledger.deliveries[known]);
                    without_id(&text) == without_id(frame)
                });
                let invariant =
                    if is_renamed { Invariant::RepetitionsAreAlike } else { Invariant::OnlyToItsSender };
                self.violated(invariant, format!("{} was pushed to {agent}", name(&key)));
            }
        }
        if self.tables.revoked.get(agent).is_some_and(|&revoked_ms| revoked_ms < decided_ms) {
            self.violated(Invariant::RevokedIsCut, format!("{} was pushed after that", name(&key)));
        }
        let times = self.ledger.offered.entry(key.clone()).or_default();
        *times += 1;
        let times = *times;
        // A connect and a turn may come at the same time.
        let allowed =
            u64::from(DELIVERY_ATTEMPTS_MAX - self.deliveries.tried_before) + self.sockets.dialled_by(agent);
        if self.profile.is_clean() && self.forced.is_none() && times > allowed {
            self.violated(Invariant::RepetitionsAreAlike, format!("{} was pushed {times} times", name(&key)));
        }
    }

    /// A row was removed as acknowledged (I1).
    pub(crate) fn check_acknowledged(&mut self, key: &DeliveryKey) {
        if !self.ledger.acknowledged.contains(key) {
            let what = format!("{} was removed, and nobody had acknowledged it", name(key));
            self.violated(Invariant::NothingIsLost, what);
        }
    }

    /// A delivery has left a place; it must be in another (I1).
    pub(crate) fn check_delivery_kept(&mut self, key: &DeliveryKey, moment: &str) {
        if !self.is_delivery_kept(key) {
            self.violated(Invariant::NothingIsLost, format!("{} {moment} and is nowhere", name(key)));
        }
    }

    /// Whether a delivery is acknowledged, buried as a whole, or waits with a message that comes back to it.
    fn is_delivery_kept(&self, key: &DeliveryKey) -> bool {
        let is_waiting = self.deliveries.get(key).is_some();
        let dead = self.queue.dead.iter().map(|dead| &dead.content);
        self.ledger.acknowledged.contains(key)
            || self.queue.contents().chain(dead).any(|content| match content.about_delivery() {
                Some(QueueMessage::Deliver(turn)) => is_waiting && turn.key == *key,
                Some(QueueMessage::RestoreDelivery(delivery)) => delivery.key() == *key,
                Some(_) | None => false,
            })
    }

    /// At the end, every delivery that was announced is kept (I1); those that somebody acknowledges are (I9); and one
    /// message at a time comes back to those that still wait, besides the one that is being handled (I5).
    pub(crate) fn check_deliveries_settled(&mut self) {
        for key in self.ledger.announced.clone() {
            self.check_delivery_kept(&key, "was announced");
        }
        let waiting: Vec<DeliveryKey> = self.deliveries.keys().cloned().collect();
        for key in waiting {
            let is_mute = self.moods.get(&key.recipient) == Some(&Mood::IsMute);
            let is_revoked = self.tables.revoked.contains_key(&key.recipient);
            // A write that landed late may have put back what was acknowledged.
            let is_done = self.ledger.acknowledged.contains(&key);
            if !is_mute && !is_revoked && !is_done {
                self.violated(Invariant::Settles, format!("{} still waits", name(&key)));
            }
            let turns = self.queue.contents().filter_map(Content::about_delivery);
            let turns =
                turns.filter(|message| matches!(message, QueueMessage::Deliver(turn) if turn.key == key));
            // The one that is being handled has sent the next.
            let turns = turns.count();
            if turns > 2 {
                self.violated(Invariant::RepetitionsAreAlike, format!("{turns} messages for {}", name(&key)));
            }
        }
    }
}
