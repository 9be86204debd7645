//! The functions' roles are enforced, and what they allow is needed.
//!
//! With one statement of a role taken away the path breaks in the expected place and nowhere else. The roles belong to all tests,
//! so this one uses the stack alone (`.config/nextest.toml`) and gives everything back.

use std::collections::BTreeSet;

use acceptance::admin_api::AdminApi;
use acceptance::connector::{End, OnDelivery, Receipt, Session, Status};
use acceptance::eventually::PATIENCE;
use acceptance::registry_event::revoked;
use acceptance::stack::Stack;
use acceptance::stamp;
use backbone::stores::Kept;
use serde_json::{Value, json};

use crate::fixture::{Duo, Told, and_give_back, connection_id, logged, says};
use crate::template::{of_type, template, unconditional, untagged};

/// A permission: a function, and the statement of its role.
type Permission = (&'static str, &'static str);

/// What goes wrong without a permission on the way of a receipt.
#[derive(Clone, Copy)]
enum Loss {
    /// A receipt is refused with this status and code.
    Post(u16, &'static str),
    /// A receipt is refused if its sender is at home there.
    PostAbroad(Abroad),
    /// A look-up is refused.
    LookUp,
    /// A handshake is refused.
    Connect,
    /// A receipt waits in its queue.
    Push,
    /// Closing a displaced socket is left to the consumer.
    Close,
    /// The displaced socket stays open.
    CloseLater,
}

/// Somewhere else than at this stack.
#[derive(Clone, Copy)]
enum Abroad {
    AtThePeer,
    Nowhere,
}

/// Every one of these is taken away below.
const ON_THE_WAY_OF_A_RECEIPT: [(Permission, Loss); 12] = [
    (("receipt", "ReadTrust"), Loss::Post(503, "PROXY_AUTH_DEPENDENCY_UNAVAILABLE")),
    (("receipt", "KeepNonces"), Loss::Post(503, "PROXY_AUTH_DEPENDENCY_UNAVAILABLE")),
    (("receipt", "QueueReceipts"), Loss::Post(502, "PROXY_RELAY_RECEIPT_QUEUE_FAILED")),
    (("receipt", "ForwardReceipts"), Loss::PostAbroad(Abroad::AtThePeer)),
    (("receipt", "BuryReceipts"), Loss::PostAbroad(Abroad::Nowhere)),
    (("receipt", "LookUpReceipts"), Loss::LookUp),
    (("connection", "KeepConnections"), Loss::Connect),
    (("connection", "ReadTrust"), Loss::Connect),
    (("connection", "AnnounceConnections"), Loss::Connect),
    (("consumer", "PostToConnections"), Loss::Push),
    (("connection", "CloseConnections"), Loss::Close),
    (("consumer", "CloseConnections"), Loss::CloseLater),
];

/// These too: what takes a delivery's turn, and what ends it.
const OF_DELIVERIES: [Permission; 2] =
    [("consumer", "RepeatDeliveries"), ("connection", "RemoveAcknowledgedDeliveries")];

/// And these: without one of them a revocation waits.
const OF_REVOCATIONS: [Permission; 3] = [
    ("registry-events", "ChangeTrust"),
    ("registry-events", "GoThroughConnections"),
    ("registry-events", "CutConnections"),
];

/// Each of these would be missed by the tests of what it is for: roles are enforced in all of them.
const NOT_TAKEN: [(&str, &[&str]); 3] = [
    ("authorizer", &["KeepNonces", "ReadTrust"]),
    (
        "consumer",
        &[
            "BuryMessages",
            "BuryPeerMessages",
            "ConsumePeerReceipts",
            "ConsumeReceipts",
            "KeepReceipts",
            "ReadTrust",
            "ResolveConnections",
        ],
    ),
    (
        "registry-events",
        &["AnnounceDeliveries", "BuryEvents", "HandleEvents", "KeepDeliveries", "TakeSessionsBack"],
    ),
];

/// A permission that is new is taken away above, or named as one that is not.
#[test]
fn every_permission_is_accounted_for() {
    let template = template();
    let mut granted = Vec::new();
    for (_, properties) in of_type(&template, "AWS::Serverless::Function") {
        let role = untagged(&properties["Role"]).as_str().unwrap().strip_suffix(".Arn").unwrap();
        for policy in template["Resources"][role]["Properties"]["Policies"].as_sequence().unwrap() {
            let statements = policy["PolicyDocument"]["Statement"].as_sequence().unwrap().iter();
            let sids = statements.map(|statement| unconditional(statement)["Sid"].as_str().unwrap());
            let own = sids.filter(|sid| !["WriteLogs", "SendTraces"].contains(sid));
            granted.extend(own.map(|sid| (policy["PolicyName"].as_str().unwrap(), sid)));
        }
    }
    let not_taken = NOT_TAKEN.iter().flat_map(|(function, sids)| sids.iter().map(|sid| (*function, *sid)));
    let known: Vec<_> = ON_THE_WAY_OF_A_RECEIPT
        .iter()
        .map(|(permission, _)| *permission)
        .chain(OF_DELIVERIES)
        .chain(OF_REVOCATIONS)
        .chain(not_taken)
        .collect();
    let set = |permissions: &[(&str, &str)]| {
        permissions.iter().map(|(function, sid)| format!("{function}/{sid}")).collect::<BTreeSet<_>>()
    };
    assert_eq!(set(&granted), set(&known));
    assert_eq!((granted.len(), known.len()), (set(&granted).len(), set(&known).len()), "each is there once");
}

/// A role without one of its statements until [`Reduced::restore`].
struct Reduced {
    api: AdminApi,
    role: String,
    policy: String,
    whole: Value,
}

impl Reduced {
    /// Takes the statement `sid` from the role of the function `name`.
    async fn without(stack: &Stack, (name, sid): Permission) -> Self {
        let api = AdminApi::of(stack);
        let role = api.function_role(&format!("{}-{name}", stack.stack_name)).await.unwrap();
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
async fn each_permission_on_the_way_of_a_receipt_is_needed() {
    let path = Path { duo: Duo::paired().await };
    assert!(path.duo.stack.iam_enforced, "the tests run with IAM enforced");
    for (permission, loss) in ON_THE_WAY_OF_A_RECEIPT {
        let reduced = Reduced::without(&path.duo.stack, permission).await;
        match loss {
            Loss::Post(status, code) => path.a_post_is_refused(reduced, status, code).await,
            Loss::PostAbroad(home) => path.a_post_abroad_is_refused(reduced, home).await,
            Loss::LookUp => path.a_look_up_is_refused(reduced).await,
            Loss::Connect => path.a_handshake_is_refused(reduced).await,
            Loss::Push => path.a_receipt_waits(reduced).await,
            Loss::Close => path.the_consumer_closes(reduced).await,
            Loss::CloseLater => path.nobody_closes(reduced).await,
        }
    }
}

/// The way of a receipt between these two.
struct Path {
    duo: Duo,
}

impl Path {
    fn receipt(&self) -> Receipt {
        self.duo.receipt(Status::DeliveredToWebhook, None)
    }

    async fn a_post_is_refused(&self, reduced: Reduced, status: u16, code: &str) {
        let answer = reduced.during(self.duo.recipient.post_receipt(&self.receipt())).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), (status, Some(code)), "{}", answer.body);
        assert_eq!(self.duo.recipient.post_receipt(&self.receipt()).await.unwrap().status, 202);
    }

    async fn a_post_abroad_is_refused(&self, reduced: Reduced, home: Abroad) {
        let duo = &self.duo;
        let here = duo.stack.proxy_url.as_str();
        let abroad = match home {
            Abroad::AtThePeer => duo.stack.peer.as_ref().unwrap().proxy_url.as_str(),
            Abroad::Nowhere => "https://elsewhere.example.com",
        };
        let at_home = async |home: &str| {
            duo.stack.pair_at_homes((duo.sender.did(), home), (duo.recipient.did(), here)).await.unwrap();
        };
        at_home(abroad).await;
        self.a_post_is_refused(reduced, 502, "PROXY_RELAY_RECEIPT_QUEUE_FAILED").await;
        at_home(here).await;
    }

    async fn a_look_up_is_refused(&self, reduced: Reduced) {
        let unknown = self.receipt().request_id;
        let look_up = self.duo.sender.get_receipt(&unknown, self.duo.recipient.did());
        let answer = reduced.during(look_up).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), (502, Some("PROXY_RELAY_RECEIPT_READ_FAILED")));
    }

    async fn a_handshake_is_refused(&self, reduced: Reduced) {
        let agent = &self.duo.recipient;
        let refused = reduced.during(agent.connect()).await.err().and_then(|error| error.status());
        // The emulator's word for whatever $connect answers but 200.
        assert_eq!(refused, Some(403));
        let kept = connection_id(&self.duo.stack, agent.did()).await;
        assert_eq!(kept, None, "a connect that was refused must not be promised anything");
    }

    /// Nothing is lost meanwhile: the receipt waits in the queue until its consumer may push again.
    async fn a_receipt_waits(&self, reduced: Reduced) {
        let duo = Duo::paired().await;
        let mut session = duo.sender.connect().await.unwrap();
        let (held, since_ms) = (duo.receipt(Status::DeliveredToWebhook, None), stamp::now_ms());
        let refused_push = async {
            assert_eq!(duo.recipient.post_receipt(&held).await.unwrap().status, 202);
            let is_refused = |line: &Value| says(line, "lacks a permission");
            let consumer = &duo.stack.outputs.consumer_function;
            logged(&duo.stack, consumer, since_ms, "a refused push", is_refused).await;
            assert!(session.receipts().is_empty());
        };
        reduced.during(refused_push).await;
        let received = session.next_receipt(PATIENCE).await.unwrap();
        assert_eq!(received.frame.original_frame_id, held.request_id);
    }

    /// What $connect may not close the consumer does, through the queue.
    async fn the_consumer_closes(&self, reduced: Reduced) {
        let [older, newer] = reduced.during(self.displaced_in_vain()).await;
        let end = older.ended(PATIENCE).await.unwrap();
        assert!(matches!(end, End::Closed { .. }), "{end:?}");
        assert_eq!(newer.end(), None);
    }

    /// Unless it may not either, and then it goes on trying.
    async fn nobody_closes(&self, reduced: Reduced) {
        let stack = &self.duo.stack;
        let left_open = async {
            let since_ms = stamp::now_ms();
            let first = Reduced::without(stack, ("connection", "CloseConnections")).await;
            let [older, newer] = first.during(self.displaced_in_vain()).await;
            let (consumer, words) = (&stack.outputs.consumer_function, "a socket could not be closed");
            logged(stack, consumer, since_ms, words, |line| says(line, words)).await;
            assert_eq!(older.end(), None);
            [older, newer]
        };
        let [older, newer] = reduced.during(left_open).await;
        let end = older.ended(PATIENCE).await.unwrap();
        assert!(matches!(end, End::Closed { .. }), "{end:?}");
        assert_eq!(newer.end(), None);
    }

    /// A socket and the newer one that has displaced it, once the function has said that it could not close it.
    async fn displaced_in_vain(&self) -> [Session; 2] {
        let agent = Duo::strangers().await.sender;
        let older = agent.connect().await.unwrap();
        older.acknowledged_heartbeat(PATIENCE).await.unwrap();
        let since_ms = stamp::now_ms();
        let newer = agent.connect().await.unwrap();
        let words = "a displaced socket was not closed";
        let stack = &self.duo.stack;
        logged(stack, &stack.outputs.connection_function, since_ms, words, |line| says(line, words)).await;
        [older, newer]
    }
}

#[tokio::test]
async fn each_permission_on_deliveries_is_needed() {
    let told = Told::answering(OnDelivery::Ignore).await;
    let session = told.connector.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    assert_eq!(told.keep().await, Kept::New);
    let logged = async |function: &str, since_ms, words: &str| {
        logged(&told.stack, function, since_ms, words, |line| says(line, words)).await;
    };

    let [turns, removal] = OF_DELIVERIES;
    let (reduced, since_ms) = (Reduced::without(&told.stack, turns).await, stamp::now_ms());
    let refused_turn = async {
        told.take_turn().await;
        logged(&told.stack.outputs.consumer_function, since_ms, "a delivery's turn could not be taken").await;
        assert!(!session.frames().iter().any(|arrival| arrival.text.contains("\"deliver\"")));
    };
    reduced.during(refused_turn).await;
    told.is_noted(1).await;

    let (reduced, since_ms) = (Reduced::without(&told.stack, removal).await, stamp::now_ms());
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
    for permission in OF_REVOCATIONS {
        let duo = Duo::paired().await;
        let session = duo.sender.connect().await.unwrap();
        session.acknowledged_heartbeat(PATIENCE).await.unwrap();
        let since_ms = stamp::now_ms();
        let reduced = Reduced::without(&duo.stack, permission).await;
        let refused_cut = async {
            let event = revoked(duo.sender.did(), "agent_revoked").to_string();
            duo.stack.events_queue().send(&event).await.unwrap();
            let (function, words) = (&duo.stack.outputs.registry_events_function, "an event was not handled");
            logged(&duo.stack, function, since_ms, words, |line| says(line, words)).await;
            assert_eq!(session.end(), None, "{permission:?}");
        };
        reduced.during(refused_cut).await;
        let end = session.ended(PATIENCE).await.unwrap();
        assert!(matches!(end, End::Closed { .. }), "{permission:?}: {end:?}");
    }
}
