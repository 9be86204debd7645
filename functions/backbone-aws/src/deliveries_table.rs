//! The deliveries table: system deliveries that wait for their acknowledgement, by `recipientAgentDid` and
//! `deliveryId`.

use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::stores::{DeliveryStore, StoreError};

use crate::attributes::text;
use crate::outside::{Invocation, unavailable};
use crate::settings::DELIVERIES_TABLE;

impl DeliveryStore for Invocation<'_> {
    /// The agent is part of the key, so nobody can acknowledge what was sent to somebody else.
    async fn acknowledge(&self, agent: &AgentDid, delivery: Id) -> Result<(), StoreError> {
        const OPERATION: &str = "acknowledge";
        let write = self
            .dynamodb()
            .delete_item()
            .table_name(self.setting(OPERATION, DELIVERIES_TABLE)?)
            .key("recipientAgentDid", text(agent.as_str()))
            .key("deliveryId", text(delivery.to_string()))
            .send();
        self.in_time(OPERATION, async { write.await.map(drop).map_err(unavailable(OPERATION)) }).await
    }
}
