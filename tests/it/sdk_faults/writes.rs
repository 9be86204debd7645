//! Conditional writes. The SDK repeats a write whose answer was lost, and then meets what it has written itself.

use acceptance::fault_proxy::Operation;
use acceptance::stamp;
use backbone::connection::{ConnectionHistory, ConnectionRef, ConnectionRow};
use backbone::did::AgentDid;
use backbone::receipt::{Receipt, Status, StoredReceipt};
use backbone::stores::{
    Claimed, ConnectionStore as _, NonceClaim, NonceStore as _, ReceiptStore as _, Recorded, StoreError,
};
use backbone_aws::Invocation;

use super::matrix::{Call, DYNAMODB_THROTTLES, Row, nonsense, run, spoiled, throttled, unanswered, undone};
use super::world::{Process, World, new_agent, new_id};

fn rows<T: Clone>(written: &T) -> Vec<Row<T>> {
    let written = || written.clone();
    [
        undone(written()),
        unanswered(written()),
        spoiled(written()),
        nonsense(),
        throttled(DYNAMODB_THROTTLES, written()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

struct Record(StoredReceipt);

impl Call for Record {
    type Answer = Recorded;
    const OPERATION: Operation = Operation::PutItem;

    async fn prepare(_: &World, _: &Process) -> Self {
        let receipt = Receipt {
            request_id: new_id(),
            sender: new_agent(),
            recipient: new_agent(),
            status: Status::DeliveredToWebhook,
            reason: None,
            processed_at_ms: 7,
        };
        Self(StoredReceipt { receipt, pushed_at_ms: Some(8), expires_at_s: stamp::now_s() + 60 })
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<Recorded, StoreError> {
        invocation.record(&self.0).await
    }

    async fn check(&self, process: &Process, carried_out: usize) {
        let found = process.somebody_else().find(&self.0.receipt.key()).await.unwrap();
        assert_eq!(found, (carried_out > 0).then(|| self.0.clone()));
    }
}

struct Replace(StoredReceipt);

impl Replace {
    fn again(&self) -> StoredReceipt {
        let receipt = Receipt { processed_at_ms: 9, ..self.0.receipt.clone() };
        self.0.said_again(receipt, self.0.expires_at_s)
    }
}

impl Call for Replace {
    type Answer = Recorded;
    const OPERATION: Operation = Operation::PutItem;

    async fn prepare(world: &World, process: &Process) -> Self {
        let Record(first) = Record::prepare(world, process).await;
        assert_eq!(process.somebody_else().record(&first).await.unwrap(), Recorded::Stored);
        Self(first)
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<Recorded, StoreError> {
        invocation.replace(&self.0, &self.again()).await
    }

    async fn check(&self, process: &Process, carried_out: usize) {
        let found = process.somebody_else().find(&self.0.receipt.key()).await.unwrap();
        assert_eq!(found, Some(if carried_out > 0 { self.again() } else { self.0.clone() }));
    }
}

struct ClaimNonce(AgentDid);

impl ClaimNonce {
    async fn claim(&self, invocation: &Invocation<'_>) -> Result<NonceClaim, StoreError> {
        invocation.claim_nonce(&self.0, "hash", stamp::now_s() + 60).await
    }
}

impl Call for ClaimNonce {
    type Answer = NonceClaim;
    const OPERATION: Operation = Operation::PutItem;

    async fn prepare(_: &World, _: &Process) -> Self {
        Self(new_agent())
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<NonceClaim, StoreError> {
        self.claim(invocation).await
    }

    async fn check(&self, process: &Process, carried_out: usize) {
        let expected = if carried_out > 0 { NonceClaim::Used } else { NonceClaim::Claimed };
        assert_eq!(self.claim(&process.somebody_else()).await.unwrap(), expected);
    }
}

struct ClaimConnection(ConnectionRef);

impl Call for ClaimConnection {
    type Answer = Claimed;
    const OPERATION: Operation = Operation::UpdateItem;

    async fn prepare(_: &World, _: &Process) -> Self {
        Self(ConnectionRef { agent: new_agent(), connection_id: "a-socket".to_owned(), connected_at_ms: 7 })
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<Claimed, StoreError> {
        let unclaimed = (ConnectionHistory::default(), ConnectionRow::default());
        invocation.claim_connection(&self.0, 8, &unclaimed.0, &unclaimed.1).await
    }

    async fn check(&self, process: &Process, carried_out: usize) {
        let row = process.somebody_else().connection(&self.0.agent).await.unwrap();
        let named = row.live.map(|live| live.of(&self.0.agent));
        assert_eq!(named, (carried_out > 0).then(|| self.0.clone()));
    }
}

#[tokio::test]
async fn what_our_own_repetition_finds_written_is_ours() {
    tokio::join!(
        run::<Record>(rows(&Recorded::Stored)),
        run::<Replace>(rows(&Recorded::Stored)),
        run::<ClaimNonce>(rows(&NonceClaim::Claimed)),
        run::<ClaimConnection>(rows(&Claimed::Claimed)),
    );
}
