//! System deliveries in the simulated tables.

use std::collections::BTreeMap;

use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::stores::{DeliveryPage, DeliveryStore, Kept, StoreError, TurnNote};
use backbone::system_delivery::{DeliveryKey, StoredDelivery, SystemDelivery};

use crate::invocation::Invocation;
use crate::operation::Operation;
use crate::world::BEGIN_MS;

/// The deliveries table, with the conditions that DynamoDB checks for us.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    rows: BTreeMap<DeliveryKey, StoredDelivery>,
    /// How often each delivery has been pushed already when the run begins.
    pub(crate) tried_before: u32,
}

impl Deliveries {
    pub(crate) fn get(&self, key: &DeliveryKey) -> Option<&StoredDelivery> {
        self.rows.get(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &DeliveryKey> {
        self.rows.keys()
    }

    fn keep(&mut self, delivery: &SystemDelivery, expires_at_s: u64) -> Kept {
        if self.rows.contains_key(&delivery.key()) {
            return Kept::Known;
        }
        self.put(delivery, expires_at_s, 0);
        Kept::New
    }

    fn put(&mut self, delivery: &SystemDelivery, expires_at_s: u64, next_at_ms: u64) {
        let row = StoredDelivery {
            delivery: delivery.clone(),
            attempts: self.tried_before,
            pushed_to: None,
            next_at_ms,
            expires_at_s,
        };
        self.rows.insert(delivery.key(), row);
    }

    fn page(&self, agent: &AgentDid, after: Option<Id>, limit: usize) -> DeliveryPage {
        let theirs = self.rows.values().filter(|row| row.delivery.recipient == *agent);
        let behind = theirs.filter(|row| after.is_none_or(|after| after < row.delivery.delivery_id));
        let deliveries: Vec<_> = behind.take(limit).cloned().collect();
        let last = deliveries.last().map(|row| row.delivery.delivery_id);
        DeliveryPage { next: last.filter(|_| deliveries.len() == limit), deliveries }
    }

    /// The row, if it is as it was seen.
    fn as_seen(&mut self, seen: &StoredDelivery) -> Option<&mut StoredDelivery> {
        self.rows.get_mut(&seen.delivery.key()).filter(|row| row.next_at_ms == seen.next_at_ms)
    }

    fn remove(&mut self, key: &DeliveryKey) -> Option<StoredDelivery> {
        self.rows.remove(key)
    }
}

/// Short words for a delivery.
pub(crate) fn name(key: &DeliveryKey) -> String {
    format!("delivery …{}", &key.delivery_id.to_string()[20..])
}

impl DeliveryStore for Invocation {
    async fn keep_delivery(&self, delivery: &SystemDelivery, expires_at_s: u64) -> Result<Kept, StoreError> {
        let (delivery, who) = (delivery.clone(), self.name());
        self.call(Operation::KeepDelivery, move |world| {
            let kept = world.deliveries.keep(&delivery, expires_at_s);
            world.note(|| format!("{who}: keep {}: {kept:?}", name(&delivery.key())));
            Ok(kept)
        })
        .await
    }

    async fn restore_delivery(
        &self,
        delivery: &SystemDelivery,
        expires_at_s: u64,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let (delivery, who) = (delivery.clone(), self.name());
        self.call(Operation::RestoreDelivery, move |world| {
            world.deliveries.put(&delivery, expires_at_s, now_ms);
            world.note(|| format!("{who}: restore {}", name(&delivery.key())));
            Ok(())
        })
        .await
    }

    async fn find_delivery(&self, key: &DeliveryKey) -> Result<Option<StoredDelivery>, StoreError> {
        let key = key.clone();
        self.call(Operation::FindDelivery, move |world| Ok(world.deliveries.get(&key).cloned())).await
    }

    async fn deliveries(
        &self,
        agent: &AgentDid,
        after: Option<Id>,
        limit: usize,
    ) -> Result<DeliveryPage, StoreError> {
        let agent = agent.clone();
        self.call(Operation::Deliveries, move |world| Ok(world.deliveries.page(&agent, after, limit))).await
    }

    async fn note_turn(&self, seen: &StoredDelivery, note: &TurnNote) -> Result<(), StoreError> {
        let (seen, note, who) = (seen.clone(), note.clone(), self.name());
        self.call(Operation::NoteTurn, move |world| {
            let found = world.deliveries.as_seen(&seen);
            let is_noted = found.is_some();
            if let Some(row) = found {
                row.attempts = note.attempts;
                row.next_at_ms = note.next_at_ms;
                row.pushed_to = note.pushed_to.or(row.pushed_to.take());
            }
            world.note(|| {
                let next_s = (note.next_at_ms - BEGIN_MS) / 1_000;
                let key = seen.delivery.key();
                format!("{who}: {} after {} next at {next_s} s: {is_noted}", name(&key), note.attempts)
            });
            Ok(())
        })
        .await
    }

    async fn remove_delivery(&self, seen: &StoredDelivery) -> Result<(), StoreError> {
        let (seen, who) = (seen.clone(), self.name());
        self.call(Operation::RemoveDelivery, move |world| {
            let key = seen.delivery.key();
            let is_removed = world.deliveries.as_seen(&seen).is_some();
            world.note(|| format!("{who}: remove {}: {is_removed}", name(&key)));
            if is_removed {
                world.deliveries.remove(&key);
                world.check_delivery_kept(&key, "was given up");
            }
            Ok(())
        })
        .await
    }

    async fn acknowledge(&self, agent: &AgentDid, delivery: Id) -> Result<(), StoreError> {
        let (key, who) = (DeliveryKey { recipient: agent.clone(), delivery_id: delivery }, self.name());
        self.call(Operation::Acknowledge, move |world| {
            let is_removed = world.deliveries.remove(&key).is_some();
            world.note(|| format!("{who}: acknowledge {}: {is_removed}", name(&key)));
            if is_removed {
                world.check_acknowledged(&key);
            }
            Ok(())
        })
        .await
    }
}
