//! Who is connected, all of them, page by page.

use std::future::Future;

use crate::did::AgentDid;
use crate::stores::StoreError;

/// Some of the agents whose rows name a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveAgents {
    /// They, in no order.
    pub agents: Vec<AgentDid>,
    /// Where the next page begins, if there is one.
    pub next: Option<AgentDid>,
}

/// Goes through the connections.
pub trait ConnectionPages {
    /// The agents with a socket of one page of the table, strongly consistent. A page may be empty and not the last.
    fn live_agents(
        &self,
        after: Option<&AgentDid>,
    ) -> impl Future<Output = Result<LiveAgents, StoreError>> + Send;
}
