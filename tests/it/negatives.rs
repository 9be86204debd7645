//! The contract's table of refusals (5.9), row by row, through the front door.
//!
//! [`ROWS`] lists them all. What can be provoked over the wire is; for the others it says where they are shown instead.

use std::collections::BTreeSet;

use acceptance::connector::{Connector, HttpAnswer, Identity, Request, Status, http_client};
use acceptance::registry_client::{Endpoint, Fault, RegistryClient};
use acceptance::stack::Stack;
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::fixture::{Duo, forged, logged_times};

/// How a row is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// By these tests.
    OverTheWire,
    /// Somewhere else, for this reason.
    Elsewhere(&'static str),
}

use Shown::{Elsewhere, OverTheWire};

/// The rows of the table, numbered as there; one with two conditions has two lines.
const ROWS: [(&str, Shown); 24] = [
    ("1 limit per address", Elsewhere("throttling of the $connect route, or a WAF rule: AWS's own")),
    ("2 no authorization", OverTheWire),
    ("3 another scheme", OverTheWire),
    ("4 keys unavailable", Elsewhere("every instance has seen the keys; `vectors` starts without")),
    ("5 bad token", OverTheWire),
    ("6 timestamp", OverTheWire),
    ("7 nonce missing", OverTheWire),
    ("8 body hash missing", OverTheWire),
    ("8 proof missing", OverTheWire),
    ("9 skew", OverTheWire),
    ("10 body hash", OverTheWire),
    ("10 signature", OverTheWire),
    ("11 replay", OverTheWire),
    ("11 nonce store fails", Elsewhere("`least_privilege` takes its permission; 503 by design")),
    ("12 agent revoked", OverTheWire),
    ("12 trust store fails", Elsewhere("`least_privilege` takes its permission")),
    ("13 token revoked", OverTheWire),
    ("13 list unavailable", Elsewhere("fail-closed is another deployment; `vectors`")),
    ("14 no pair", OverTheWire),
    ("15 access token missing", OverTheWire),
    ("16 access token refused", OverTheWire),
    ("16 registry unavailable", OverTheWire),
    ("17 rate", OverTheWire),
    ("18 upgrade", OverTheWire),
];
// Row 19 is about a binding that this stack does not have: a connection that cannot be kept is a refused handshake.

/// Ticks off what has been provoked.
#[derive(Default)]
struct Provoked(BTreeSet<&'static str>);

impl Provoked {
    fn note(&mut self, row: &'static str, answer: &HttpAnswer, status: u16, code: &str) {
        assert_eq!((answer.status, answer.error_code()), (status, Some(code)), "{row}: {}", answer.body);
        let error = &answer.json["error"];
        assert!(
            error["message"].as_str().is_some_and(|message| !message.is_empty()),
            "{row}: {}",
            answer.body
        );
        assert_eq!(error["requestId"].as_str(), answer.header("x-request-id"), "{row}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{row}");
        self.0.insert(row);
    }

    fn are(&self, these: &[&'static str]) {
        assert_eq!(self.0, these.iter().copied().collect());
    }
}

/// The rows that a request can be made to meet by changing it.
fn spoiled(duo: &Duo) -> Vec<(&'static str, u16, &'static str, Spoil)> {
    let skewed = (stamp::now_s() - 301).to_string();
    let forged = forged(duo.recipient.identity());
    vec![
        ("2 no authorization", 401, "PROXY_AUTH_MISSING_TOKEN", without("Authorization")),
        ("3 another scheme", 401, "PROXY_AUTH_INVALID_SCHEME", Box::new(|request| request.scheme("claw"))),
        ("5 bad token", 401, "PROXY_AUTH_INVALID_AIT", with("Authorization", forged)),
        ("6 timestamp", 401, "PROXY_AUTH_INVALID_TIMESTAMP", without("X-Claw-Timestamp")),
        ("7 nonce missing", 401, "PROXY_AUTH_INVALID_NONCE", without("X-Claw-Nonce")),
        ("8 body hash missing", 401, "PROXY_AUTH_INVALID_PROOF", without("X-Claw-Body-SHA256")),
        ("8 proof missing", 401, "PROXY_AUTH_INVALID_PROOF", without("X-Claw-Proof")),
        ("9 skew", 401, "PROXY_AUTH_TIMESTAMP_SKEW", Box::new(move |request| request.timestamp(&skewed))),
        (
            "10 signature",
            401,
            "PROXY_AUTH_INVALID_PROOF",
            Box::new(|request| request.signed_path("/elsewhere")),
        ),
        ("15 access token missing", 401, "PROXY_AGENT_ACCESS_REQUIRED", without("X-Claw-Agent-Access")),
        (
            "16 access token refused",
            401,
            "PROXY_AGENT_ACCESS_INVALID",
            with("X-Claw-Agent-Access", "clw_agt_x".to_owned()),
        ),
    ]
}

type Spoil = Box<dyn Fn(Request) -> Request>;

fn without(header: &'static str) -> Spoil {
    Box::new(move |request| request.without_header(header))
}

fn with(header: &'static str, value: String) -> Spoil {
    Box::new(move |request| request.header(header, &value))
}

#[test]
fn every_row_is_accounted_for() {
    let numbers: BTreeSet<u32> =
        ROWS.iter().map(|(row, _)| row.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (1..=18).collect());
    let wire: Vec<_> = ROWS.iter().filter(|(_, shown)| *shown == OverTheWire).map(|(row, _)| *row).collect();
    let provoked = [&SPOILED[..], &STATES, &["16 registry unavailable"]].concat();
    assert_eq!(wire.into_iter().collect::<BTreeSet<_>>(), provoked.into_iter().collect());
    assert!(ROWS.iter().all(|(_, shown)| !matches!(shown, Elsewhere(reason) if reason.is_empty())));
}

const SPOILED: [&str; 12] = [
    "2 no authorization",
    "3 another scheme",
    "5 bad token",
    "6 timestamp",
    "7 nonce missing",
    "8 body hash missing",
    "8 proof missing",
    "9 skew",
    "10 body hash",
    "10 signature",
    "15 access token missing",
    "16 access token refused",
];

#[tokio::test]
async fn a_spoiled_request_is_refused_as_the_table_says() {
    let duo = Duo::paired().await;
    let post = || Request::post_receipt(&duo.receipt(Status::DeliveredToWebhook, None));
    let mut provoked = Provoked::default();
    for (row, status, code, spoil) in spoiled(&duo) {
        let answer = duo.recipient.send(spoil(post())).await.unwrap();
        provoked.note(row, &answer, status, code);
        // On the WebSocket side there is no code on the wire, and nothing but 401 for all of these.
        let since_ms = stamp::now_ms();
        let refused = duo.recipient.connect_with(spoil).await;
        assert_eq!(refused.err().and_then(|error| error.status()), Some(401), "{row}");
        // Without the header the emulator does not ask the authorizer.
        if code != "PROXY_AUTH_MISSING_TOKEN" {
            handshake_refused(&duo.stack, since_ms, code).await;
        }
    }
    let tampered = post().body_after_signing(post().sign(duo.recipient.identity()).body);
    let answer = duo.recipient.send(tampered).await.unwrap();
    provoked.note("10 body hash", &answer, 401, "PROXY_AUTH_INVALID_PROOF");
    provoked.are(&SPOILED);
}

/// Ten requests short of the limit per agent and minute.
const ALMOST_THE_LIMIT: u64 = 290;

const STATES: [&str; 6] =
    ["11 replay", "12 agent revoked", "13 token revoked", "14 no pair", "17 rate", "18 upgrade"];

#[tokio::test]
async fn a_good_request_is_refused_in_the_states_that_the_table_names() {
    let duo = Duo::paired().await;
    let mut provoked = Provoked::default();
    let post = || Request::post_receipt(&duo.receipt(Status::DeliveredToWebhook, None));

    let signed = post().sign(duo.recipient.identity());
    assert_eq!(duo.recipient.send_signed(&signed).await.unwrap().status, 202);
    let replayed = duo.recipient.send_signed(&signed).await.unwrap();
    provoked.note("11 replay", &replayed, 401, "PROXY_AUTH_REPLAY");

    let strangers = Duo::strangers().await;
    let receipt = strangers.receipt(Status::DeliveredToWebhook, None);
    let unknown = strangers.recipient.post_receipt(&receipt).await.unwrap();
    provoked.note("14 no pair", &unknown, 403, "PROXY_AUTH_FORBIDDEN");
    assert_eq!(unknown.json["error"]["details"]["agentDid"], strangers.recipient.did());
    strangers.recipient.connect().await.unwrap();

    let upgrade =
        http_client().get(format!("{}/v1/relay/connect", duo.stack.proxy_url)).send().await.unwrap();
    let (status, headers) = (upgrade.status().as_u16(), upgrade.headers().clone());
    let body = upgrade.text().await.unwrap();
    let json = serde_json::from_str(&body).unwrap();
    provoked.note(
        "18 upgrade",
        &HttpAnswer { status, headers, body, json },
        426,
        "PROXY_RELAY_UPGRADE_REQUIRED",
    );

    let limited = rate_limited(&duo).await;
    provoked.note("17 rate", &limited, 429, "PROXY_RATE_LIMIT_EXCEEDED");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);

    let other = Duo::paired().await;
    revoke_token(&other).await;
    let stale = other.sender.get_receipt(&stamp::new_ulid(), other.recipient.did()).await.unwrap();
    provoked.note("13 token revoked", &stale, 401, "PROXY_AUTH_REVOKED");
    other.stack.revoke(other.recipient.did()).await.unwrap();
    let receipt = other.receipt(Status::DeliveredToWebhook, None);
    let revoked = other.recipient.post_receipt(&receipt).await.unwrap();
    provoked.note("12 agent revoked", &revoked, 401, "PROXY_AUTH_REVOKED");
    for agent in [&other.sender, &other.recipient] {
        let since_ms = stamp::now_ms();
        assert_eq!(agent.connect().await.err().and_then(|error| error.status()), Some(401));
        handshake_refused(&other.stack, since_ms, "PROXY_AUTH_REVOKED").await;
    }
    provoked.are(&STATES);
}

/// Waits until the authorizer has logged that it has refused a handshake for this: the front door answers 401 when it
/// crashes, too. Whose it was no line says, so those who ask take turns (`.config/nextest.toml`).
pub(crate) async fn handshake_refused(stack: &Stack, since_ms: u64, code: &str) {
    handshakes_refused(1, stack, since_ms, code).await;
}

/// The same of so many handshakes.
pub(crate) async fn handshakes_refused(count: usize, stack: &Stack, since_ms: u64, code: &str) {
    let authorizer = &stack.outputs.authorizer_function;
    logged_times(count, stack, authorizer, since_ms, code, |line| line["error.code"] == code).await;
}

/// Writes what the revocation list becomes in the trust table: the sender's token is revoked, the agent is not.
async fn revoke_token(duo: &Duo) {
    let key = format!("jti#{}", duo.sender.identity().jti);
    let row = duo.stack.dynamodb().put_item().table_name(&duo.stack.outputs.trust_table);
    row.item("key", AttributeValue::S(key)).send().await.unwrap();
}

/// The refusal that the sender's look-ups meet before a minute is over, as if it had asked for a long time already, in
/// this minute and in the next, which may begin meanwhile. Instances count by themselves and tell each other every tenth
/// request.
async fn rate_limited(duo: &Duo) -> HttpAnswer {
    let minute = stamp::now_s() / 60;
    for minute in [minute, minute + 1] {
        let row = duo.stack.dynamodb().put_item().table_name(&duo.stack.outputs.nonces_table);
        row.item("agentDid", AttributeValue::S(duo.sender.did().to_owned()))
            .item("what", AttributeValue::S(format!("rate#{minute}")))
            .item("requests", AttributeValue::N(ALMOST_THE_LIMIT.to_string()))
            .item("expiresAt", AttributeValue::N((stamp::now_s() + 300).to_string()))
            .send()
            .await
            .unwrap();
    }
    for asked in 0..1_000 {
        let answer = duo.sender.get_receipt(&stamp::new_ulid(), duo.recipient.did()).await.unwrap();
        if answer.status != 404 {
            assert!(asked >= 10, "it may ask ten times more: {asked}");
            return answer;
        }
    }
    panic!("a thousand requests in a row are let through")
}

/// For everybody else the registry must answer meanwhile, so this test uses the stack alone (`.config/nextest.toml`).
#[tokio::test]
async fn alone_a_registry_that_is_down_is_503() {
    let duo = Duo::paired().await;
    let registry = RegistryClient::new(&duo.stack.registry_url);
    let fresh: Identity = registry.register("newcomer").await.unwrap();
    duo.stack.pair(&fresh.agent_did, duo.recipient.did()).await.unwrap();
    let newcomer = Connector::new(fresh, &duo.stack.proxy_url).unwrap();
    registry.set_fault(Endpoint::Validate, Fault::Unavailable).await.unwrap();
    let answer = newcomer.get_receipt(&stamp::new_ulid(), duo.recipient.did()).await;
    let since_ms = stamp::now_ms();
    let handshake = newcomer.connect().await.err().and_then(|error| error.status());
    registry.set_fault(Endpoint::Validate, Fault::None).await.unwrap();
    let row = "16 registry unavailable";
    Provoked::default().note(row, &answer.unwrap(), 503, "PROXY_AUTH_DEPENDENCY_UNAVAILABLE");
    // The emulator reports every failing authorizer as 500 and the front door takes it for the refusal it mostly is.
    assert_eq!(handshake, Some(401));
    handshake_refused(&duo.stack, since_ms, "PROXY_AUTH_DEPENDENCY_UNAVAILABLE").await;
    let later = newcomer.get_receipt(&stamp::new_ulid(), duo.recipient.did()).await.unwrap();
    assert_eq!(later.status, 404, "{}", later.body);
}
