//! Reading many items at once.

use acceptance::fault_proxy::Operation;
use backbone::connection::{ConnectionHistory, ConnectionRef, ConnectionRow};
use backbone::did::AgentDid;
use backbone::receipt::ReceiptKey;
use backbone::stores::{Claimed, ConnectionStore as _, ReceiptStore as _, StoreError, TrustStore as _};
use backbone::trust::{Pair, PairSide, TrustQuestion};
use backbone_aws::{Invocation, PairChange};

use super::matrix::{Call, DYNAMODB_THROTTLES, Row, nonsense, run, spoiled, throttled, unanswered, undone};
use super::world::{Process, World, new_agent, new_id};

fn rows<T: Clone>(read: &T) -> Vec<Row<T>> {
    let read = || read.clone();
    [undone(read()), unanswered(read()), spoiled(read()), nonsense(), throttled(DYNAMODB_THROTTLES, read())]
        .into_iter()
        .flatten()
        .collect()
}

struct ReadForDelivery {
    receipt: ReceiptKey,
    agent: AgentDid,
}

impl Call for ReadForDelivery {
    /// The socket of the agent, as its row names it.
    type Answer = Option<String>;
    const OPERATION: Operation = Operation::BatchGetItem;

    async fn prepare(_: &World, process: &Process) -> Self {
        let agent = new_agent();
        let socket =
            ConnectionRef { agent: agent.clone(), connection_id: "a-socket".to_owned(), connected_at_ms: 7 };
        let unclaimed = (ConnectionHistory::default(), ConnectionRow::default());
        let writer = process.somebody_else();
        let claimed = writer.claim_connection(&socket, 8, &unclaimed.0, &unclaimed.1).await;
        assert_eq!(claimed.unwrap(), Claimed::Claimed);
        Self { receipt: ReceiptKey { sender: agent.clone(), request_id: new_id() }, agent }
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<Option<String>, StoreError> {
        let (receipts, agents) = ([self.receipt.clone()], [self.agent.clone()]);
        let state = invocation.read_for_delivery(&receipts, &agents, &[]).await?;
        let live = state.connections.get(&self.agent).and_then(|row| row.live.clone());
        Ok(live.map(|live| live.connection_id))
    }

    async fn check(&self, _: &Process, _: usize) {}
}

struct Trust(TrustQuestion);

impl Call for Trust {
    /// Whether the two are paired.
    type Answer = bool;
    const OPERATION: Operation = Operation::BatchGetItem;

    async fn prepare(_: &World, process: &Process) -> Self {
        let (one, other) = (new_agent(), new_agent());
        let sides = [&one, &other].map(|agent| PairSide::of_unknown_home(agent.clone()));
        assert_eq!(
            process.somebody_else().put_pair(&sides[0], &sides[1]).await.unwrap(),
            PairChange::Changed
        );
        let pair = Some(Pair::of(&one, &other));
        Self(TrustQuestion { agent: one, ait_jti: new_id(), pair, access_hash: Some("hash".to_owned()) })
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<bool, StoreError> {
        Ok(invocation.trust(&self.0).await?.pair.is_some())
    }

    async fn check(&self, _: &Process, _: usize) {}
}

#[tokio::test]
async fn what_is_read_is_known_or_known_not_to_be() {
    tokio::join!(run::<ReadForDelivery>(rows(&Some("a-socket".to_owned()))), run::<Trust>(rows(&true)));
}
