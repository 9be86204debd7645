//! Posting to sockets and closing them, on sockets that are really open.

use std::sync::Arc;

use acceptance::connector::{Connector, Session};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::fault_proxy::{Fault, Operation, Refusal};
use acceptance::registry_client::RegistryClient;
use acceptance::stack::Stack;
use acceptance::stamp;
use backbone::stores::{Closed, Gateway as _, Push, StoreError};
use backbone_aws::Invocation;
use serde_json::json;
use tokio::sync::Semaphore;

use super::matrix::{Call, Row, run, spoiled, throttled, unanswered, undone};
use super::world::{Process, World};
use crate::fixture::connection_id;

/// How many sockets are being opened at once: each takes two functions, and the machine is shared.
static OPENING: Semaphore = Semaphore::const_new(2);

/// An agent's open socket.
pub(super) struct Socket {
    pub(super) session: Session,
    pub(super) agent: String,
    pub(super) connection_id: String,
}

impl Socket {
    pub(super) async fn open() -> Self {
        let _turn = OPENING.acquire().await.unwrap();
        let stack = Stack::running();
        let identity = RegistryClient::new(&stack.registry_url).register("socket").await.unwrap();
        let connector = Connector::new(identity, &stack.proxy_url).unwrap();
        let session = connector.connect().await.unwrap();
        let agent = connector.did().to_owned();
        let connection_id = connection_id(&stack, &agent).await.unwrap();
        Self { session, agent, connection_id }
    }
}

struct PushFrame {
    socket: Arc<Socket>,
    frame: String,
}

impl Call for PushFrame {
    type Answer = Push;
    const OPERATION: Operation = Operation::PostToConnection;

    async fn prepare(world: &World, _: &Process) -> Self {
        let socket = world.socket().await;
        let frame = json!({
            "v": 1, "type": "receipt", "id": stamp::new_ulid(), "ts": stamp::now_iso(),
            "originalFrameId": stamp::new_ulid(), "toAgentDid": socket.agent, "status": "dead_lettered",
        });
        Self { socket, frame: frame.to_string() }
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<Push, StoreError> {
        invocation.push(&self.socket.connection_id, &self.frame).await
    }

    /// The same frame with the same id arrives as often as API Gateway has taken it, whatever we know of that.
    async fn check(&self, _: &Process, carried_out: usize) {
        eventually("all frames", async || {
            let frames = self.socket.session.frames();
            let ours = frames.iter().filter(|arrival| arrival.text == self.frame).count();
            if ours == carried_out { Ok(()) } else { Err(format!("{ours} instead of {carried_out}")) }
        })
        .await;
        assert_eq!(self.socket.session.end(), None);
    }
}

/// Answers that are final: one request, and the domain's word for it.
#[rustfmt::skip]
fn final_answers() -> Vec<Row<Push>> {
    [
        (Refusal::in_header(410, "GoneException"),            Push::Gone),
        (Refusal::in_header(403, "ForbiddenException"),       Push::Forbidden),
        (Refusal::in_header(413, "PayloadTooLargeException"), Push::TooLarge),
        (Refusal::bare(410),                                  Push::Gone),
        (Refusal::bare(403),                                  Push::Forbidden),
        (Refusal::bare(413),                                  Push::TooLarge),
    ]
    .map(|(refusal, push)| Row::new(Fault::Refused(refusal), 1, Some(push), 1))
    .into()
}

const THROTTLED: Refusal = Refusal::in_header(429, "LimitExceededException");

/// API Gateway names the error of a 429; what does not is not known to pass and is left to the queue.
fn nameless_429<T>() -> Vec<Row<T>> {
    vec![Row::new(Fault::Refused(Refusal::bare(429)), 1, None, 1)]
}

#[tokio::test]
async fn a_frame_is_taken_or_known_not_to_be() {
    let rows = [
        undone(Push::Taken),
        unanswered(Push::Taken),
        spoiled(Push::Taken),
        throttled(THROTTLED, Push::Taken),
        nameless_429(),
        final_answers(),
    ];
    run::<PushFrame>(rows.into_iter().flatten().collect()).await;
}

struct CloseSocket(Socket);

impl Call for CloseSocket {
    type Answer = Closed;
    const OPERATION: Operation = Operation::DeleteConnection;

    async fn prepare(_: &World, _: &Process) -> Self {
        Self(Socket::open().await)
    }

    async fn make(&self, invocation: &Invocation<'_>) -> Result<Closed, StoreError> {
        invocation.close(&self.0.connection_id).await
    }

    async fn check(&self, _: &Process, carried_out: usize) {
        if carried_out > 0 {
            self.0.session.ended(PATIENCE).await.unwrap();
        } else {
            assert_eq!(self.0.session.end(), None);
        }
    }
}

/// The answer to a close has no body that could be spoiled.
#[tokio::test]
async fn a_socket_is_closed_or_known_not_to_be() {
    let gone = |refusal| Row::new(Fault::Refused(refusal), 1, Some(Closed::Gone), 1);
    let rows = [
        undone(Closed::Closed),
        // Our own repetition finds that the socket is gone.
        unanswered(Closed::Gone),
        throttled(THROTTLED, Closed::Closed),
        nameless_429(),
        vec![gone(Refusal::in_header(410, "GoneException")), gone(Refusal::bare(410))],
    ];
    run::<CloseSocket>(rows.into_iter().flatten().collect()).await;
}
