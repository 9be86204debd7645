//! System deliveries: an event is kept once, a turn is noted once, whatever becomes of the answers.

use acceptance::fault_proxy::Operation;
use acceptance::stamp;
use backbone::stores::{DeliveryStore as _, Kept, StoreError, TurnNote};
use backbone::system_delivery::{DeliverySource, StoredDelivery, SystemDelivery};
use backbone_aws::Invocation;

use super::matrix::{Call, DYNAMODB_THROTTLES, nonsense, run, throttled, unanswered, undone};
use super::world::{Process, World, new_agent, new_id};

fn delivery() -> SystemDelivery {
    SystemDelivery {
        delivery_id: new_id(),
        recipient: new_agent(),
        from: new_agent(),
        source: DeliverySource::GroupMemberJoined,
        payload: serde_json::json!({ "message": "x" }),
        created_at_ms: 7,
    }
}

struct KeepDelivery(StoredDelivery);

impl Call for KeepDelivery {
    type Answer = Kept;
    const OPERATION: Operation = Operation::PutItem;

    async fn prepare(_: &World, _: &Process) -> Self {
        let expires_at_s = stamp::now_s() + 60;
        Self(StoredDelivery {
            delivery: delivery(),
            attempts: 0,
            pushed_to: None,
            next_at_ms: 0,
            expires_at_s,
        })
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<Kept, StoreError> {
        invocation.keep_delivery(&self.0.delivery, self.0.expires_at_s).await
    }

    async fn check(&self, process: &Process, carried_out: usize) {
        let found = process.somebody_else().find_delivery(&self.0.delivery.key()).await.unwrap();
        assert_eq!(found, (carried_out > 0).then(|| self.0.clone()));
    }
}

struct NoteTurn(StoredDelivery);

impl Call for NoteTurn {
    type Answer = ();
    const OPERATION: Operation = Operation::UpdateItem;

    async fn prepare(_: &World, process: &Process) -> Self {
        let (outside, delivery) = (process.somebody_else(), delivery());
        assert_eq!(outside.keep_delivery(&delivery, stamp::now_s() + 60).await.unwrap(), Kept::New);
        Self(outside.find_delivery(&delivery.key()).await.unwrap().unwrap())
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<(), StoreError> {
        let note = TurnNote { attempts: 1, pushed_to: Some("a-socket".to_owned()), next_at_ms: 9 };
        invocation.note_turn(&self.0, &note).await
    }

    async fn check(&self, process: &Process, carried_out: usize) {
        let found = process.somebody_else().find_delivery(&self.0.delivery.key()).await.unwrap().unwrap();
        let noted = StoredDelivery {
            attempts: 1,
            pushed_to: Some("a-socket".to_owned()),
            next_at_ms: 9,
            ..self.0.clone()
        };
        assert_eq!(found, if carried_out > 0 { noted } else { self.0.clone() });
    }
}

#[tokio::test]
async fn an_event_is_kept_once_and_a_turn_noted_once() {
    let kept =
        [undone(Kept::New), unanswered(Kept::Known), nonsense(), throttled(DYNAMODB_THROTTLES, Kept::New)];
    let noted = [undone(()), unanswered(()), nonsense(), throttled(DYNAMODB_THROTTLES, ())];
    tokio::join!(
        run::<KeepDelivery>(kept.into_iter().flatten().collect()),
        run::<NoteTurn>(noted.into_iter().flatten().collect()),
    );
}
