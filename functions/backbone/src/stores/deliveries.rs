//! System deliveries.

use std::future::Future;

use crate::did::AgentDid;
use crate::id::Id;
use crate::stores::StoreError;
use crate::system_delivery::{DeliveryKey, StoredDelivery, SystemDelivery};

/// Whether a delivery was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept now.
    New,
    /// It was kept before, and is as it was.
    Known,
}

/// What a turn leaves on a delivery's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnNote {
    /// How often API Gateway has taken its frame.
    pub attempts: u32,
    /// The connection that was pushed to last.
    pub pushed_to: Option<String>,
    /// When it is looked at again, in milliseconds since the Unix epoch.
    pub next_at_ms: u64,
}

/// System deliveries that wait for their acknowledgement.
pub trait DeliveryStore {
    /// Keeps a delivery until `expires_at_s` (seconds since the Unix epoch); the same one again changes nothing. The
    /// answer may be [`Kept::Known`] for a call that was repeated after its answer got lost, so whoever keeps a
    /// delivery announces it in either case.
    fn keep_delivery(
        &self,
        delivery: &SystemDelivery,
        expires_at_s: u64,
    ) -> impl Future<Output = Result<Kept, StoreError>> + Send;
    /// Puts a delivery back that was given up, as one that was never tried, and is due at `now_ms`. See
    /// [`keep_delivery`](Self::keep_delivery).
    fn restore_delivery(
        &self,
        delivery: &SystemDelivery,
        expires_at_s: u64,
        now_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// One delivery, strongly consistent; `None` once it is acknowledged or given up.
    fn find_delivery(
        &self,
        key: &DeliveryKey,
    ) -> impl Future<Output = Result<Option<StoredDelivery>, StoreError>> + Send;
    /// The deliveries of an agent with an id above `after`, at most `limit`, by id, strongly consistent. One that
    /// cannot be read is passed over: its own turn makes that known.
    fn deliveries(
        &self,
        agent: &AgentDid,
        after: Option<Id>,
        limit: usize,
    ) -> impl Future<Output = Result<DeliveryPage, StoreError>> + Send;
    /// Writes down what became of a turn that found `seen`. Changes nothing if another turn has been noted since, or
    /// if the delivery is gone: whoever is noted first is right.
    fn note_turn(
        &self,
        seen: &StoredDelivery,
        note: &TurnNote,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Forgets a delivery that was given up, unless another turn has been noted, or it was put back, since it was `seen`.
    fn remove_delivery(&self, seen: &StoredDelivery) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Forgets a delivery that its recipient has acknowledged; one that is not there changes nothing.
    fn acknowledge(
        &self,
        agent: &AgentDid,
        delivery: Id,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Some of an agent's deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// Those that can be read.
    pub deliveries: Vec<StoredDelivery>,
    /// Where the next page begins, if there is one.
    pub next: Option<Id>,
}
