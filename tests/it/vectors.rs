//! Every signed vector against the real handlers, with the vector's own clock, on the local AWS's tables.
//!
//! The file is `tests/vectors.json`, or the one that the environment variable `VECTORS` names.

use std::collections::BTreeMap;
use std::sync::Arc;

use acceptance::connector::frame_rules;
use acceptance::stack::{PrivateTable, Stack, TableKeys};
use authorizer::handler::{AuthorizerEvent, AuthorizerFailure, AuthorizerFunction};
use backbone::auth::Gatekeeper;
use backbone::did::AgentDid;
use backbone::frame::ClientFrame;
use backbone::front_door::FrontDoor;
use backbone::home::KnownHomes;
use backbone::metrics::Tally;
use backbone::stores::TrustChanges as _;
use backbone::trust::PairSide;
use backbone_aws::Aws;
use backbone_aws::auth_policy::auth_policy;
use backbone_aws::http_api::HttpEvent;
use backbone_aws::settings::{self, Settings};
use receipt::handler::ReceiptFunction;
use serde::Deserialize;
use serde_json::{Value, json};

mod registry_stub;

use registry_stub::RegistryStub;

const CONNECT_PATH: &str = "/v1/relay/connect";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    now_seconds: u64,
    issuer: String,
    registry: Registry,
    positive: Vec<Case>,
    negative: Vec<Case>,
    frames: Vec<FrameCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registry {
    claw_keys_response: Value,
    crl_response: Value,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    context: Context,
    request: Request,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    pairs: Vec<(String, String)>,
    trust_revoked_agent_dids: Vec<String>,
    registry_validate_status: u16,
    crl: String,
    keys: String,
    crl_stale_behavior: String,
    send_twice: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    path_with_query: String,
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expect {
    status: u16,
    error_code: Option<String>,
    response_json: Option<Value>,
    details_includes: Option<BTreeMap<String, Value>>,
    queue_message_without_processed_at: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrameCase {
    name: String,
    text: String,
    ts_parse_frame: bool,
    rust_parse_frame: bool,
}

fn vectors() -> Vectors {
    let path =
        std::env::var("VECTORS").unwrap_or_else(|_| format!("{}/vectors.json", env!("CARGO_MANIFEST_DIR")));
    let text = std::fs::read(&path).unwrap_or_else(|problem| panic!("{path}: {problem}"));
    serde_json::from_slice(&text).unwrap_or_else(|problem| panic!("{path}: {problem}"))
}

/// The world of one vector: its own tables and queue, its registry, its clock.
struct World {
    stack: Stack,
    _tables: Vec<PrivateTable>,
    queue_url: String,
    _registry: RegistryStub,
    aws: Aws,
    issuer: String,
}

/// What a request was answered.
#[derive(Debug)]
struct Answered {
    status: u16,
    body: Value,
}

/// The registry that a case is about.
async fn registry_of(vectors: &Vectors, case: &Case) -> RegistryStub {
    let context = &case.context;
    assert!(
        matches!(context.keys.as_str(), "default" | "unavailable"),
        "{}: keys {}",
        case.name,
        context.keys
    );
    assert!(
        matches!(context.crl.as_str(), "default" | "unavailable" | "missing"),
        "{}: crl {}",
        case.name,
        context.crl
    );
    let available = |what: &str, value: &Value| (what == "default").then(|| value.clone());
    RegistryStub::start(
        available(&context.keys, &vectors.registry.claw_keys_response),
        available(&context.crl, &vectors.registry.crl_response),
        context.crl == "missing",
        context.registry_validate_status,
    )
    .await
}

impl World {
    async fn of(vectors: &Vectors, case: &Case) -> Self {
        let stack = Stack::running();
        let context = &case.context;
        let registry = registry_of(vectors, case).await;
        let mut tables = Vec::new();
        let mut values = BTreeMap::from([
            (settings::AWS_REGION, stack.region.clone()),
            (settings::AWS_ACCESS_KEY_ID, "test".to_owned()),
            (settings::AWS_SECRET_ACCESS_KEY, "test".to_owned()),
            (settings::AWS_ENDPOINT_URL, stack.aws_endpoint.clone()),
            (settings::REGISTRY_URL, registry.url.clone()),
            (settings::CRL_STALE_BEHAVIOR, context.crl_stale_behavior.clone()),
            (settings::CRL_MAX_AGE_MS, "900000".to_owned()),
            (settings::AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE, "60".to_owned()),
        ]);
        for (setting, keys) in [
            (settings::TRUST_TABLE, TableKeys::TRUST),
            (settings::NONCES_TABLE, TableKeys::NONCES),
            (settings::RECEIPTS_TABLE, TableKeys::RECEIPTS),
        ] {
            let table = PrivateTable::create(&stack, keys).await.unwrap();
            values.insert(setting, table.name.clone());
            tables.push(table);
        }
        let name = format!("vectors-{}", acceptance::stamp::new_ulid());
        let created = stack.sqs().create_queue().queue_name(name).send().await.unwrap();
        let queue_url = created.queue_url.unwrap();
        values.insert(settings::RECEIPTS_QUEUE_URL, queue_url.clone());
        let required: Vec<&'static str> = values.keys().copied().collect();
        let settings = Settings::from_env(&|name| values.get(name).cloned(), &required).unwrap();
        let now_ms = vectors.now_seconds * 1_000;
        let aws = Aws::new(settings).unwrap().with_clock(Arc::new(move || now_ms));
        let world = Self {
            stack,
            _tables: tables,
            queue_url,
            _registry: registry,
            aws,
            issuer: vectors.issuer.clone(),
        };
        world.write_trust(context).await;
        world
    }

    async fn write_trust(&self, context: &Context) {
        let operator = self.aws.invocation("operator", u64::MAX);
        let did = |text: &String| AgentDid::parse(text).unwrap();
        let side = |text: &String| PairSide::of_unknown_home(did(text));
        for (one, other) in &context.pairs {
            let _ = operator.put_pair(&side(one), &side(other)).await.unwrap();
        }
        for revoked in &context.trust_revoked_agent_dids {
            let _ = operator.revoke_agent(&did(revoked), None).await.unwrap();
        }
    }

    /// A gatekeeper that knows the vectors' registry by its real name, and reaches it where the stub listens.
    fn gatekeeper(&self) -> Gatekeeper {
        let mut policy = auth_policy(self.aws.settings()).unwrap();
        policy.issuer = backbone::auth::Issuer::parse(&self.issuer).unwrap();
        Gatekeeper::new(policy)
    }

    async fn post_or_get(&self, request: &Request) -> Answered {
        let (path, query) = request.path_with_query.split_once('?').unwrap_or((&request.path_with_query, ""));
        let headers: BTreeMap<_, _> =
            request.headers.iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        let event = json!({
            "rawPath": path, "rawQueryString": query, "headers": headers, "body": request.body,
            "requestContext": { "http": { "method": request.method } },
        });
        let event: HttpEvent = serde_json::from_value(event).unwrap();
        let function = ReceiptFunction {
            gatekeeper: self.gatekeeper(),
            homes: KnownHomes::alone(),
            version: "vectors".to_owned(),
            front_door: FrontDoor::Optional,
        };
        // A nonce that this very invocation has used is its own retry.
        let id = acceptance::stamp::new_ulid();
        let invocation = self.aws.invocation(&id, u64::MAX);
        let answer = function.handle(&invocation, &event, "vector", &Tally::default()).await;
        let answer = serde_json::to_value(answer).unwrap();
        Answered {
            status: answer["statusCode"].as_u64().unwrap().try_into().unwrap(),
            body: serde_json::from_str(answer["body"].as_str().unwrap()).unwrap(),
        }
    }

    /// The authorizer's answer as API Gateway would turn it into a status: the code is in the refusal, not on the wire.
    async fn connect(&self, request: &Request) -> Answered {
        let event: AuthorizerEvent =
            serde_json::from_value(json!({ "methodArn": "arn", "headers": request.headers })).unwrap();
        let function = AuthorizerFunction {
            gatekeeper: self.gatekeeper(),
            connect_paths: vec![CONNECT_PATH.to_owned(), "/prod".to_owned()],
            front_door: FrontDoor::Optional,
        };
        let invocation = self.aws.invocation("vector", u64::MAX);
        let status = match function.handle(&invocation, &event, "vector", &Tally::default()).await {
            Ok(_) => 101,
            Err(AuthorizerFailure::Unauthorized) => 401,
            Err(AuthorizerFailure::Unavailable) => 500,
        };
        Answered { status, body: Value::Null }
    }

    async fn queued(&self) -> Vec<Value> {
        let sqs = self.stack.sqs();
        let received =
            sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(10).send().await.unwrap();
        received
            .messages()
            .iter()
            .map(|message| serde_json::from_str(message.body().unwrap()).unwrap())
            .collect()
    }

    async fn remove(self) {
        let _ = self.stack.sqs().delete_queue().queue_url(&self.queue_url).send().await;
    }
}

/// Runs one vector and says in what it differs from what is expected.
async fn run(vectors: &Vectors, case: &Case) -> Result<(), String> {
    let world = World::of(vectors, case).await;
    let is_connect = case.request.path_with_query.starts_with(CONNECT_PATH);
    let answered = if is_connect && !has_upgrade(&case.request) && case.expect.status == 426 {
        // The upgrade is the front door's to ask for: API Gateway never invokes a function without it.
        at_the_front_door(&world.stack, &case.request).await
    } else if is_connect {
        world.connect(&case.request).await
    } else {
        if case.context.send_twice {
            let _ = world.post_or_get(&case.request).await;
        }
        world.post_or_get(&case.request).await
    };
    let queued = world.queued().await;
    world.remove().await;
    let expect = &case.expect;
    let code = answered.body["error"]["code"].as_str();
    if answered.status != expect.status {
        return Err(format!("status {} instead of {}: {}", answered.status, expect.status, answered.body));
    }
    // On the WebSocket side codes exist in the log only (design 6).
    if (!is_connect || expect.status == 426) && code != expect.error_code.as_deref() {
        return Err(format!("code {code:?} instead of {:?}", expect.error_code));
    }
    if expect.response_json.as_ref().is_some_and(|expected| *expected != answered.body) {
        return Err(format!("body {}", answered.body));
    }
    for (name, value) in expect.details_includes.iter().flatten() {
        if answered.body["error"]["details"][name] != *value {
            return Err(format!("details {}", answered.body["error"]["details"]));
        }
    }
    let expected_on_queue: Vec<Value> = expect.queue_message_without_processed_at.iter().cloned().collect();
    let without_time = queued.into_iter().map(|mut message| {
        let removed = message.as_object_mut().unwrap().remove("processedAt");
        assert!(removed.is_some_and(|at| at.as_str().is_some_and(|at| at.ends_with('Z'))));
        message
    });
    let on_queue: Vec<Value> = without_time.collect();
    if on_queue != expected_on_queue {
        return Err(format!("on the queue: {on_queue:?}"));
    }
    Ok(())
}

fn has_upgrade(request: &Request) -> bool {
    request.headers.keys().any(|name| name.eq_ignore_ascii_case("upgrade"))
}

async fn at_the_front_door(stack: &Stack, request: &Request) -> Answered {
    let client = acceptance::connector::http_client();
    let mut get = client.get(format!("{}{}", stack.proxy_url, request.path_with_query));
    for (name, value) in &request.headers {
        get = get.header(name, value);
    }
    let answer = get.send().await.unwrap();
    let status = answer.status().as_u16();
    Answered { status, body: serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default() }
}

async fn run_all(vectors: &Vectors, cases: &[Case]) {
    assert!(!cases.is_empty());
    let mut failures = Vec::new();
    for case in cases {
        if let Err(difference) = run(vectors, case).await {
            failures.push(format!("{}: {difference}", case.name));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} vectors fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

#[tokio::test]
async fn every_positive_request_is_answered_as_recorded() {
    let vectors = vectors();
    run_all(&vectors, &vectors.positive).await;
}

#[tokio::test]
async fn every_negative_request_is_refused_as_recorded() {
    let vectors = vectors();
    run_all(&vectors, &vectors.negative).await;
}

/// The recorded requests meet neither.
#[tokio::test]
async fn a_good_request_is_refused_without_keys_and_when_it_is_repeated() {
    let mut vectors = vectors();
    let is_post = |case: &Case| case.expect.queue_message_without_processed_at.is_some();
    let post = vectors.positive.iter().position(is_post).unwrap();
    let mut case = vectors.positive.swap_remove(post);
    case.expect.response_json = None;
    case.context.send_twice = true;
    (case.expect.status, case.expect.error_code) = (401, Some("PROXY_AUTH_REPLAY".to_owned()));
    assert_eq!(run(&vectors, &case).await, Ok(()), "replay");
    (case.context.send_twice, case.context.keys) = (false, "unavailable".to_owned());
    let unavailable = "PROXY_AUTH_DEPENDENCY_UNAVAILABLE".to_owned();
    (case.expect.status, case.expect.error_code) = (503, Some(unavailable));
    case.expect.queue_message_without_processed_at = None;
    assert_eq!(run(&vectors, &case).await, Ok(()), "keys unavailable");
}

#[test]
fn every_frame_is_judged_as_recorded() {
    let vectors = vectors();
    assert!(!vectors.frames.is_empty());
    for case in &vectors.frames {
        assert_eq!(frame_rules::typescript(&case.text).is_ok(), case.ts_parse_frame, "{}", case.name);
        assert_eq!(frame_rules::rust(&case.text).is_ok(), case.rust_parse_frame, "{}", case.name);
        // What neither connector takes for a frame, we do not take for one either.
        if !case.rust_parse_frame {
            assert_eq!(ClientFrame::parse(&case.text), None, "{}", case.name);
        }
    }
}
