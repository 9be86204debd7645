//! Revocation: what it ends at once, what it leaves alone, and what catches the one that nobody told of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use acceptance::admin_api::{AdminApi, Invoked};
use acceptance::connector::{Connector, End, Receipt, Session, Status};
use acceptance::eventually::PATIENCE;
use acceptance::registry_client::RegistryClient;
use acceptance::registry_event::{of_session, revoked};
use acceptance::stack::Stack;
use acceptance::stamp;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::fixture::{Duo, MailboxRows, events_handled};
use crate::negatives::handshakes_refused;

/// So many requests at once that several instances of a function work on them.
const AT_ONCE: usize = 12;

async fn tell(stack: &Stack, event: &Value) {
    stack.events_queue().send(&event.to_string()).await.unwrap();
}

/// What the schedule does every five minutes.
pub(crate) async fn reconcile(stack: &Stack) -> Invoked {
    let event =
        json!({ "version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    AdminApi::of(stack).invoke(&stack.outputs.registry_events_function, &event).await.unwrap()
}

async fn is_closed(session: &Session) {
    let end = session.ended(PATIENCE).await.unwrap();
    assert!(matches!(end, End::Closed { .. }), "{end:?}");
}

/// A connect once the socket's handshake is known to be over: it answers.
async fn open(connector: &Connector) -> Session {
    let session = connector.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    session
}

/// Many look-ups at once: status and code of each.
async fn look_up_at_once(duo: &Duo) -> Vec<(u16, Option<String>)> {
    let answers = (0..AT_ONCE).map(|_| async {
        let answer = duo.sender.get_receipt(&stamp::new_ulid(), duo.recipient.did()).await.unwrap();
        (answer.status, answer.error_code().map(str::to_owned))
    });
    join_all(answers).await
}

async fn every_door_is_shut(duo: &Duo) {
    let refused = (401, Some("PROXY_AUTH_REVOKED".to_owned()));
    assert_eq!(look_up_at_once(duo).await, vec![refused.clone(); AT_ONCE]);
    let receipt = Receipt {
        sender_agent_did: duo.recipient.did().to_owned(),
        recipient_agent_did: duo.sender.did().to_owned(),
        ..duo.receipt(Status::DeliveredToWebhook, None)
    };
    let posts = join_all((0..AT_ONCE).map(|_| duo.sender.post_receipt(&receipt))).await;
    for answer in posts.into_iter().map(Result::unwrap) {
        assert_eq!((answer.status, answer.error_code().map(str::to_owned)), refused);
    }
    let since_ms = stamp::now_ms();
    let handshakes = join_all((0..AT_ONCE).map(|_| duo.sender.connect())).await;
    for handshake in handshakes {
        assert_eq!(handshake.err().and_then(|error| error.status()), Some(401));
    }
    handshakes_refused(AT_ONCE, &duo.stack, since_ms, "PROXY_AUTH_REVOKED").await;
}

#[tokio::test]
async fn a_revocation_closes_the_socket_and_shuts_every_door() {
    let duo = Duo::paired().await;
    let session = open(&duo.sender).await;
    // Every instance knows the agent, its token and its yes.
    assert!(look_up_at_once(&duo).await.iter().all(|(status, _)| *status == 404));
    tell(&duo.stack, &revoked(duo.sender.did(), "agent_revoked")).await;
    is_closed(&session).await;
    every_door_is_shut(&duo).await;

    // What arrives for it from now on waits and is not lost. It is closed, so only the row can show that nobody pushes.
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
    duo.stack.receipts_queue().drained().await.unwrap();
    let rows = MailboxRows::of(&duo.stack, duo.sender.did()).await;
    assert_eq!(rows.waiting, BTreeSet::from([receipt.request_id.clone()]));
    assert_eq!(rows.pushed, BTreeMap::from([(receipt.request_id, false)]));
    assert!(session.receipts().is_empty());
}

#[tokio::test]
async fn an_event_that_was_lost_is_caught_by_the_reconciliation() {
    let duo = Duo::paired().await;
    let session = open(&duo.sender).await;
    RegistryClient::new(&duo.stack.registry_url).revoke(duo.sender.did()).await.unwrap();
    assert_eq!(session.end(), None);
    assert_eq!(reconcile(&duo.stack).await, Invoked::Answered(Value::Null));
    is_closed(&session).await;
    every_door_is_shut(&duo).await;
}

#[tokio::test]
async fn an_agent_whose_token_is_rotated_keeps_its_socket() {
    let mut duo = Duo::paired().await;
    let mut session = open(&duo.sender).await;
    let registry = RegistryClient::new(&duo.stack.registry_url);
    let rotated = registry.reissue(duo.sender.identity()).await.unwrap();
    for kind in ["agent.auth.refreshed", "agent.auth.refresh_rejected", "agent.auth.issued"] {
        tell(&duo.stack, &of_session(kind, duo.sender.did())).await;
    }
    events_handled(&duo.stack, duo.sender.did()).await;
    assert_eq!(reconcile(&duo.stack).await, Invoked::Answered(Value::Null));

    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    duo.recipient.post_receipt(&receipt).await.unwrap();
    assert_eq!(session.next_receipt(PATIENCE).await.unwrap().frame.original_frame_id, receipt.request_id);
    assert_eq!(session.end(), None);

    let old = duo.sender.get_receipt(&receipt.request_id, duo.recipient.did()).await.unwrap();
    assert_eq!((old.status, old.error_code()), (401, Some("PROXY_AUTH_REVOKED")), "the old token is revoked");
    duo.sender.become_identity(rotated);
    let new = duo.sender.get_receipt(&receipt.request_id, duo.recipient.did()).await.unwrap();
    assert_ne!(new.status, 401, "{}", new.body);
}

#[tokio::test]
async fn a_session_that_ended_is_cut_and_its_agent_may_come_back() {
    let mut duo = Duo::paired().await;
    let registry = RegistryClient::new(&duo.stack.registry_url);
    let session = open(&duo.sender).await;
    assert!(look_up_at_once(&duo).await.iter().all(|(status, _)| *status == 404));
    registry.end_session(duo.sender.did()).await.unwrap();
    // The registry's yes is remembered: without the event it would stand for its minute.
    assert!(look_up_at_once(&duo).await.iter().all(|(status, _)| *status == 404));

    tell(&duo.stack, &revoked(duo.sender.did(), "owner_auth_revoke")).await;
    is_closed(&session).await;
    let refused = (401, Some("PROXY_AGENT_ACCESS_INVALID".to_owned()));
    assert_eq!(look_up_at_once(&duo).await, vec![refused; AT_ONCE], "the registry was asked again");
    assert_eq!(duo.sender.connect().await.err().and_then(|error| error.status()), Some(401));

    let renewed = registry.reissue(duo.sender.identity()).await.unwrap();
    duo.sender.become_identity(renewed);
    let session = open(&duo.sender).await;
    assert!(look_up_at_once(&duo).await.iter().all(|(status, _)| *status == 404), "no ban");
    assert_eq!(session.end(), None);
}

#[tokio::test]
async fn no_event_lifts_a_revocation_and_an_operator_does() {
    let duo = Duo::paired().await;
    let registry = RegistryClient::new(&duo.stack.registry_url);
    let agent = duo.sender.did();
    let session = open(&duo.sender).await;
    // The first comes twice, and what happened before it comes after it.
    for event in [revoked(agent, "agent_revoked"), revoked(agent, "agent_revoked")] {
        tell(&duo.stack, &event).await;
    }
    is_closed(&session).await;
    for event in [
        of_session("agent.auth.issued", agent),
        of_session("agent.auth.refreshed", agent),
        revoked(agent, "refresh_token_expired"),
        revoked(agent, "agent_revoked"),
    ] {
        tell(&duo.stack, &event).await;
    }
    events_handled(&duo.stack, agent).await;
    every_door_is_shut(&duo).await;

    // What an operator has allowed stays allowed, although the registry's list goes on naming it.
    registry.revoke(agent).await.unwrap();
    assert_eq!(reconcile(&duo.stack).await, Invoked::Answered(Value::Null));
    duo.stack.operator(&["trust", "allow", agent]).await.unwrap();
    // A new entry, so that the list is not the one that is known already.
    registry.reissue(duo.recipient.identity()).await.unwrap();
    assert_eq!(reconcile(&duo.stack).await, Invoked::Answered(Value::Null));
    let shown = duo.stack.operator(&["trust", "show", agent]).await.unwrap();
    assert!(shown.contains("revoked  no"), "{shown}");
}

/// How long it takes from an event to the end of a socket, as the connector sees it.
#[tokio::test]
async fn time_to_cut() {
    const CUTS: usize = 50;
    let stack = Stack::running();
    let registry = RegistryClient::new(&stack.registry_url);
    let mut took = Vec::new();
    for _ in 0..CUTS {
        let agent = registry.register("cut").await.unwrap();
        let connector = Connector::new(agent, &stack.proxy_url).unwrap();
        let session = open(&connector).await;
        let event = revoked(connector.did(), "agent_revoked");
        let told = Instant::now();
        tell(&stack, &event).await;
        is_closed(&session).await;
        took.push(told.elapsed());
    }
    took.sort_unstable();
    let ms = |took: Duration| took.as_millis();
    print_figures(&format!(
        "time to cut, of {CUTS}: median {} ms, worst {} ms",
        ms(took[CUTS / 2]),
        ms(took[CUTS - 1])
    ));
}

#[expect(clippy::print_stdout, reason = "the figures are what is asked for")]
fn print_figures(figures: &str) {
    println!("{figures}");
}
