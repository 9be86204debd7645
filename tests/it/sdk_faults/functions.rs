//! What whole functions make of a dependency that fails, each within its own timeout.

use std::time::{Duration, Instant};

use acceptance::connector::{Identity, Receipt, Request, SignedRequest, Status};
use acceptance::fault_proxy::{Fault, Operation, Seen, Silence, Spoiling};
use acceptance::registry_client::RegistryClient;
use acceptance::stack::Stack;
use acceptance::stamp;
use authorizer::handler::{AuthorizerEvent, AuthorizerFailure, AuthorizerFunction};
use backbone::auth::Gatekeeper;
use backbone::connection::ConnectionRef;
use backbone::did::AgentDid;
use backbone::metrics::Tally;
use backbone::session::connect;
use backbone::stores::ConnectionStore as _;
use backbone::trust::PairSide;
use backbone_aws::PairChange;
use backbone_aws::auth_policy::auth_policy;
use receipt::handler::ReceiptFunction;
use receipt::http_event::HttpEvent;
use serde_json::{Value, json};

use super::world::{Process, World, new_agent};

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
    async fn prepare(world: &World) -> Self {
        let process = world.process().await;
        process.create_queues().await;
        let recipient = register().await;
        let (sender, did) = (new_agent(), AgentDid::parse(&recipient.agent_did).unwrap());
        let sides = [&sender, &did].map(|agent| PairSide::of_unknown_home(agent.clone()));
        assert_eq!(
            process.somebody_else().put_pair(&sides[0], &sides[1]).await.unwrap(),
            PairChange::Changed
        );
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
        let invocation = self.process.invocation(RECEIPT_S);
        let begun = Instant::now();
        let answer = self.function.handle(&invocation, &event, "our-request", &Tally::default()).await;
        assert!(begun.elapsed() < Duration::from_secs(RECEIPT_S), "{} ms", begun.elapsed().as_millis());
        let answer = serde_json::to_value(answer).unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body["error"]["code"].as_str().map(str::to_owned))
    }
}

fn http_event(request: &SignedRequest) -> HttpEvent {
    let event = json!({
        "rawPath": request.path_and_query, "headers": header_object(request),
        "body": String::from_utf8(request.body.clone()).unwrap(),
        "requestContext": { "http": { "method": request.method.as_str() } },
    });
    serde_json::from_value(event).unwrap()
}

/// The headers as API Gateway hands them over.
fn header_object(request: &SignedRequest) -> Value {
    request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect()
}

#[tokio::test]
async fn a_receipt_that_sqs_does_not_take_is_502_and_is_taken_later() {
    let world = World::create().await;
    let posting = Posting::prepare(&world).await;
    posting.process.proxy.inject(Operation::SendMessage, Fault::Lost(Silence::Close), 4);
    assert_eq!(posting.post().await, (502, Some("PROXY_RELAY_RECEIPT_QUEUE_FAILED".to_owned())));
    assert_eq!(posting.process.proxy.seen(Operation::SendMessage), Seen { requests: 4, carried_out: 0 });
    assert_eq!(posting.post().await, (202, None));
    assert_eq!(posting.process.messages(&posting.process.receipts_queue).await.len(), 1);
    posting.process.delete_queues().await;
}

#[tokio::test]
async fn a_receipt_is_503_in_time_when_dynamodb_hangs() {
    let world = World::create().await;
    let posting = Posting::prepare(&world).await;
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
