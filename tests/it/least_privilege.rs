//! The functions' roles are enforced, and what they allow on the receipt path is needed.
//!
//! With one statement of a role taken away the path breaks in the expected place and nowhere else. The roles belong to all tests,
//! so this one uses the stack alone (`.config/nextest.toml`) and gives everything back.

use std::collections::BTreeSet;

use acceptance::admin_api::AdminApi;
use acceptance::connector::{End, OnDelivery, Status};
use acceptance::eventually::PATIENCE;
use acceptance::registry_event::revoked;
use acceptance::stamp;
use backbone::stores::Kept;
use serde_json::{Value, json};

use crate::fixture::{Duo, Told, and_give_back, connection_id, logged, says};
use crate::template::{template, unconditional};

/// A role without one of its statements until [`Reduced::restore`].
struct Reduced {
    api: AdminApi,
    role: String,
    policy: String,
    whole: Value,
}

impl Reduced {
    /// Takes the statement `sid` from the role of the function `name`.
    async fn without(duo: &Duo, name: &str, sid: &str) -> Self {
        let api = AdminApi::of(&duo.stack);
        let role = api.function_role(&format!("{}-{name}", duo.stack.stack_name)).await.unwrap();
        let whole = api.role_policy(&role, name).await.unwrap();
        let mut reduced = whole.clone();
        let statements = reduced["Statement"].as_array_mut().unwrap();
        let count = statements.len();
        statements.retain(|statement| statement["Sid"] != sid);
        assert_eq!(statements.len(), count - 1, "{name} has no statement {sid}");
        api.put_role_policy(&role, name, &reduced).await.unwrap();
        Self { api, role, policy: name.to_owned(), whole }
    }

    async fn restore(self) {
        self.api.put_role_policy(&self.role, &self.policy, &self.whole).await.unwrap();
    }

    /// What becomes of `attempt` meanwhile. The permission is given back in any case: without it every other test would
    /// fail too.
    async fn during<T>(self, attempt: impl Future<Output = T>) -> T {
        and_give_back(attempt, self.restore()).await
    }
}

#[tokio::test]
async fn each_permission_is_needed() {
    let duo = Duo::paired().await;
    assert!(duo.stack.iam_enforced, "the tests run with IAM enforced");
    let mut session = duo.sender.connect().await.unwrap();
    let receipt = || duo.receipt(Status::DeliveredToWebhook, None);

    for (sid, status, code) in [
        ("ReadTrust", 503, "PROXY_AUTH_DEPENDENCY_UNAVAILABLE"),
        ("KeepNonces", 503, "PROXY_AUTH_DEPENDENCY_UNAVAILABLE"),
        ("QueueReceipts", 502, "PROXY_RELAY_RECEIPT_QUEUE_FAILED"),
    ] {
        let reduced = Reduced::without(&duo, "receipt", sid).await;
        let answer = reduced.during(duo.recipient.post_receipt(&receipt())).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), (status, Some(code)), "{sid}");
    }
    let (here, peer) = (duo.stack.proxy_url.as_str(), duo.stack.peer.as_ref().unwrap().proxy_url.as_str());
    let at_home = async |home: &str| {
        duo.stack.pair_at_homes((duo.sender.did(), home), (duo.recipient.did(), here)).await.unwrap();
    };
    for (sid, home) in [("ForwardReceipts", peer), ("BuryReceipts", "https://elsewhere.example.com")] {
        at_home(home).await;
        let reduced = Reduced::without(&duo, "receipt", sid).await;
        let answer = reduced.during(duo.recipient.post_receipt(&receipt())).await.unwrap();
        let failed = (502, Some("PROXY_RELAY_RECEIPT_QUEUE_FAILED"));
        assert_eq!((answer.status, answer.error_code()), failed, "{sid}");
        assert_eq!(duo.recipient.post_receipt(&receipt()).await.unwrap().status, 202, "{sid}");
    }
    at_home(here).await;
    let reduced = Reduced::without(&duo, "receipt", "LookUpReceipts").await;
    let unknown = receipt().request_id;
    let answer = reduced.during(duo.sender.get_receipt(&unknown, duo.recipient.did())).await.unwrap();
    assert_eq!((answer.status, answer.error_code()), (502, Some("PROXY_RELAY_RECEIPT_READ_FAILED")));

    for sid in ["KeepConnections", "ReadTrust", "AnnounceConnections"] {
        let reduced = Reduced::without(&duo, "connection", sid).await;
        let refused = reduced.during(duo.recipient.connect()).await.err().and_then(|error| error.status());
        // The emulator's word for whatever $connect answers but 200.
        assert_eq!(refused, Some(403), "without {sid}");
        let kept = connection_id(&duo.stack, duo.recipient.did()).await;
        assert_eq!(kept, None, "a connect without {sid} must not be promised anything");
    }

    // Nothing is lost meanwhile: the receipt waits in the queue until its consumer may push again.
    let reduced = Reduced::without(&duo, "consumer", "PostToConnections").await;
    let (held, since_ms, consumer) = (receipt(), stamp::now_ms(), &duo.stack.outputs.consumer_function);
    let refused_push = async {
        assert_eq!(duo.recipient.post_receipt(&held).await.unwrap().status, 202);
        let is_refused = |line: &Value| says(line, "lacks a permission");
        logged(&duo.stack, consumer, since_ms, "a refused push", is_refused).await;
        assert!(session.receipts().is_empty());
    };
    reduced.during(refused_push).await;
    assert_eq!(session.next_receipt(PATIENCE).await.unwrap().frame.original_frame_id, held.request_id);
}

#[tokio::test]
async fn each_permission_on_deliveries_is_needed() {
    let duo = Duo::paired().await;
    let told = Told::answering(OnDelivery::Ignore).await;
    let session = told.connector.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    assert_eq!(told.keep().await, Kept::New);
    let logged = async |function: &str, since_ms, words: &str| {
        logged(&told.stack, function, since_ms, words, |line| says(line, words)).await;
    };

    let (reduced, since_ms) = (Reduced::without(&duo, "consumer", "RepeatDeliveries").await, stamp::now_ms());
    let refused_turn = async {
        told.take_turn().await;
        logged(&told.stack.outputs.consumer_function, since_ms, "a delivery's turn could not be taken").await;
        assert!(!session.frames().iter().any(|arrival| arrival.text.contains("\"deliver\"")));
    };
    reduced.during(refused_turn).await;
    told.is_noted(1).await;

    let (reduced, since_ms) =
        (Reduced::without(&duo, "connection", "RemoveAcknowledgedDeliveries").await, stamp::now_ms());
    let acknowledge = || {
        let ack = json!({ "v": 1, "type": "deliver_ack", "id": stamp::new_ulid(), "ts": stamp::now_iso(),
            "ackId": told.delivery.delivery_id.to_string(), "accepted": true });
        session.send_text(ack.to_string());
    };
    let refused_removal = async {
        acknowledge();
        logged(&told.stack.outputs.connection_function, since_ms, "an acknowledgement was not kept").await;
        told.is_noted(1).await;
    };
    reduced.during(refused_removal).await;
    acknowledge();
    told.is_done().await;
    assert_eq!(session.end(), None);
}

#[tokio::test]
async fn a_revocation_waits_in_its_queue_for_each_permission() {
    for sid in ["ChangeTrust", "GoThroughConnections", "CutConnections"] {
        let duo = Duo::paired().await;
        let session = duo.sender.connect().await.unwrap();
        session.acknowledged_heartbeat(PATIENCE).await.unwrap();
        let since_ms = stamp::now_ms();
        let reduced = Reduced::without(&duo, "registry-events", sid).await;
        let refused_cut = async {
            let event = revoked(duo.sender.did(), "agent_revoked").to_string();
            duo.stack.events_queue().send(&event).await.unwrap();
            let (function, words) = (&duo.stack.outputs.registry_events_function, "an event was not handled");
            logged(&duo.stack, function, since_ms, words, |line| says(line, words)).await;
            assert_eq!(session.end(), None, "{sid}");
        };
        reduced.during(refused_cut).await;
        let end = session.ended(PATIENCE).await.unwrap();
        assert!(matches!(end, End::Closed { .. }), "{sid}: {end:?}");
    }
}

/// What of each role is taken away above, and what is not and why.
const TAKEN: [(&str, &[&str]); 5] = [
    ("AuthorizerRole", &[]),
    (
        "ConnectionRole",
        &["AnnounceConnections", "KeepConnections", "ReadTrust", "RemoveAcknowledgedDeliveries"],
    ),
    ("ConsumerRole", &["PostToConnections", "RepeatDeliveries"]),
    (
        "ReceiptRole",
        &["BuryReceipts", "ForwardReceipts", "KeepNonces", "LookUpReceipts", "QueueReceipts", "ReadTrust"],
    ),
    ("RegistryEventsRole", &["ChangeTrust", "CutConnections", "GoThroughConnections"]),
];

/// Each of them would be missed by the tests of what it is for: roles are enforced in all of them.
const LEFT: [(&str, &[&str]); 5] = [
    ("AuthorizerRole", &["KeepNonces", "ReadTrust"]),
    ("ConnectionRole", &["CloseConnections"]),
    (
        "ConsumerRole",
        &[
            "BuryMessages",
            "BuryPeerMessages",
            "CloseConnections",
            "ConsumePeerReceipts",
            "ConsumeReceipts",
            "KeepReceipts",
            "ReadTrust",
            "ResolveConnections",
        ],
    ),
    ("ReceiptRole", &[]),
    (
        "RegistryEventsRole",
        &["AnnounceDeliveries", "BuryEvents", "ForgetSessions", "HandleEvents", "KeepDeliveries"],
    ),
];

/// A permission that is new is taken away above, or named as one that is not.
#[test]
fn every_permission_is_accounted_for() {
    let template = template();
    for ((role, taken), (left_role, left)) in TAKEN.into_iter().zip(LEFT) {
        assert_eq!(role, left_role);
        let policy = &template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"];
        let granted: Vec<_> = policy["Statement"]
            .as_sequence()
            .unwrap()
            .iter()
            .map(|statement| unconditional(statement)["Sid"].as_str().unwrap())
            .filter(|sid| !["WriteLogs", "SendTraces"].contains(sid))
            .collect();
        let known: BTreeSet<_> = taken.iter().chain(left).copied().collect();
        assert_eq!(granted.iter().copied().collect::<BTreeSet<_>>(), known, "{role}");
        assert_eq!(granted.len(), taken.len() + left.len(), "{role}");
    }
}
