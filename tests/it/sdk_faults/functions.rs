//! What whole functions make of a dependency that fails, each within its own timeout.

use std::time::{Duration, Instant};

use acceptance::connector::{Identity, Receipt, Request, Status};
use acceptance::fault_proxy::{Fault, Operation, Seen, Silence, Spoiling};
use acceptance::registry_client::RegistryClient;
use acceptance::stack::Stack;
use acceptance::stamp;
use authorizer::handler::{AuthorizerEvent, AuthorizerFailure, AuthorizerFunction};
use backbone::auth::Gatekeeper;
use backbone::connection::ConnectionRef;
use backbone::did::AgentDid;
use backbone::front_door::FrontDoor;
use backbone::home::ProxyOrigin;
use backbone::metrics::Tally;
use backbone::session::connect;
use backbone::stores::ConnectionStore as _;
use backbone::trust::PairSide;
use backbone_aws::PairChange;
use backbone_aws::auth_policy::auth_policy;
use backbone_aws::http_api::HttpEvent;
use receipt::handler::ReceiptFunction;
use serde_json::{Value, json};

use super::world::{PEER, Process, World, new_agent};
use crate::fixture::{header_object, http_event};

const ALWAYS: usize = usize::MAX;

/// Timeouts of the functions, in seconds.
const AUTHORIZER_S: u64 = 9;
const CONNECTION_S: u64 = 10;
const RECEIPT_S: u64 = 15;

async fn register() -> Identity {
    RegistryClient::new(&Stack::running().registry_url).register("faults").await.unwrap()
}

/// The POST of a receipt by one of two agents that are paired in this process's tables.
struct Posting {
    process: Process,
    function: ReceiptFunction,
    sender: String,
    recipient: Identity,
}

impl Posting {
    /// The sender is at home at `home`.
    async fn prepare(world: &World, home: Option<&str>) -> Self {
        let process = world.process().await;
        process.create_queues().await;
        let recipient = register().await;
        let (sender, did) = (new_agent(), AgentDid::parse(&recipient.agent_did).unwrap());
        let home = home.map(|home| ProxyOrigin::parse(home).unwrap());
        let sides = (PairSide { agent: sender.clone(), home }, PairSide::of_unknown_home(did));
        let paired = process.somebody_else().put_pair(&sides.0, &sides.1).await.unwrap();
        assert_eq!(paired, PairChange::Changed);
        let function = ReceiptFunction::from_settings(process.aws.settings()).unwrap();
        Self { process, function, sender: sender.to_string(), recipient }
    }

    /// Posts a new receipt: status, and code of the error envelope.
    async fn post(&self) -> (u64, Option<String>) {
        let receipt = Receipt {
            request_id: stamp::new_ulid(),
            sender_agent_did: self.sender.clone(),
            recipient_agent_did: self.recipient.agent_did.clone(),
            status: Status::DeliveredToWebhook,
            reason: None,
        };
        let event = http_event(&Request::post_receipt(&receipt).sign(&self.recipient));
        let event: HttpEvent = serde_json::from_value(event).unwrap();
        let invocation = self.process.invocation(RECEIPT_S);
        let begun = Instant::now();
        let answer = self.function.handle(&invocation, &event, "our-request", &Tally::default()).await;
        assert!(begun.elapsed() < Duration::from_secs(RECEIPT_S), "{} ms", begun.elapsed().as_millis());
        let answer = serde_json::to_value(answer).unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body["error"]["code"].as_str().map(str::to_owned))
    }
}

/// Wherever the receipt has to go: to the own queue, to the peer's, or to the dead letters.
#[tokio::test]
async fn a_receipt_that_sqs_does_not_take_is_502_and_is_taken_later() {
    const UNKNOWN: &str = "https://unknown.test";
    for home in [None, Some(PEER), Some(UNKNOWN)] {
        let world = World::create().await;
        let posting = Posting::prepare(&world, home).await;
        let Process { proxy, receipts_queue, peer_queue, dlq, .. } = &posting.process;
        proxy.inject(Operation::SendMessage, Fault::Lost(Silence::Close), 4);
        assert_eq!(posting.post().await, (502, Some("PROXY_RELAY_RECEIPT_QUEUE_FAILED".to_owned())));
        assert_eq!(proxy.seen(Operation::SendMessage), Seen { requests: 4, carried_out: 0 });
        assert_eq!(posting.post().await, (202, None));
        for (queue, its_home) in [(receipts_queue, None), (peer_queue, Some(PEER)), (dlq, Some(UNKNOWN))] {
            let messages = posting.process.messages(queue).await;
            assert_eq!(messages.len(), usize::from(home == its_home), "{home:?}: {queue}");
        }
        posting.process.delete_queues().await;
    }
}

#[tokio::test]
async fn a_receipt_is_503_in_time_when_dynamodb_hangs() {
    let world = World::create().await;
    let posting = Posting::prepare(&world, None).await;
    for operation in Operation::DYNAMODB {
        posting.process.proxy.inject(operation, Fault::Lost(Silence::Hang), ALWAYS);
    }
    assert_eq!(posting.post().await, (503, Some("PROXY_AUTH_DEPENDENCY_UNAVAILABLE".to_owned())));
    assert_eq!(posting.process.proxy.seen(Operation::SendMessage), Seen::default());
    posting.process.delete_queues().await;
}

#[tokio::test]
async fn a_socket_is_refused_as_unavailable_in_time_when_dynamodb_hangs() {
    let world = World::create().await;
    let process = world.process().await;
    for operation in Operation::DYNAMODB {
        process.proxy.inject(operation, Fault::Lost(Silence::Hang), ALWAYS);
    }
    let signed = Request::get("/v1/relay/connect").sign(&register().await);
    let event: AuthorizerEvent =
        serde_json::from_value(json!({ "methodArn": "arn", "headers": header_object(&signed) })).unwrap();
    let function = AuthorizerFunction {
        gatekeeper: Gatekeeper::new(auth_policy(process.aws.settings()).unwrap()),
        connect_paths: vec!["/v1/relay/connect".to_owned()],
        front_door: FrontDoor::Optional,
    };
    let invocation = process.invocation(AUTHORIZER_S);
    let begun = Instant::now();
    let answer = function.handle(&invocation, &event, "our-request", &Tally::default()).await;
    assert!(begun.elapsed() < Duration::from_secs(AUTHORIZER_S), "{} ms", begun.elapsed().as_millis());
    assert!(matches!(answer, Err(AuthorizerFailure::Unavailable)), "{answer:?}");
}

/// The longest that SQS can take to say nothing leaves just enough time to take the row back.
#[tokio::test]
async fn a_connection_that_cannot_be_announced_leaves_no_row() {
    let world = World::create().await;
    let process = world.process().await;
    process.create_queues().await;
    process.proxy.inject(Operation::SendMessage, Fault::Spoiled(Spoiling::Stalled), ALWAYS);
    let newcomer = ConnectionRef {
        agent: new_agent(),
        connection_id: "a-socket".to_owned(),
        connected_at_ms: stamp::now_ms(),
    };
    let invocation = process.invocation(CONNECTION_S);
    let begun = Instant::now();
    let refusal =
        connect(&invocation, &newcomer, 60_000, "correlation", &Tally::default()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(CONNECTION_S), "{} ms", begun.elapsed().as_millis());
    assert_eq!(refusal.http_status(), 503, "{refusal}");
    let row = process.somebody_else().connection(&newcomer.agent).await.unwrap();
    assert_eq!(row.live, None);
    process.delete_queues().await;
}
