//! Many sockets, one revocation: one socket closes.

use std::time::Instant;

use acceptance::admin_api::Invoked;
use acceptance::connector::{Connector, End, Session};
use acceptance::eventually::PATIENCE;
use acceptance::registry_client::RegistryClient;
use acceptance::registry_event::revoked;
use acceptance::stack::Stack;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};

use super::{Scale, print_figures};
use crate::fixture::events_handled;
use crate::revocation::reconcile;

/// Handshakes under way at once.
const AT_ONCE: usize = 20;

async fn open(stack: &Stack) -> (Connector, Session) {
    let agent = RegistryClient::new(&stack.registry_url).register("one of many").await.unwrap();
    let connector = Connector::new(agent, &stack.proxy_url).unwrap();
    let session = connector.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    (connector, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_sockets_only_the_revoked_agents_closes() {
    let (stack, connections) = (Stack::running(), Scale::of_this_run().connections);
    let begun = Instant::now();
    let all: Vec<_> =
        stream::iter(0..connections).map(|_| open(&stack)).buffer_unordered(AT_ONCE).collect().await;
    let opened = begun.elapsed();

    let (revoked_one, others) = all.split_first().unwrap();
    let told = Instant::now();
    stack.events_queue().send(&revoked(revoked_one.0.did(), "agent_revoked").to_string()).await.unwrap();
    let end = revoked_one.1.ended(PATIENCE).await.unwrap();
    assert!(matches!(end, End::Closed { .. }), "{end:?}");
    let cut = told.elapsed();

    // The look at every connection finds nobody else to cut.
    let begun = Instant::now();
    assert!(matches!(reconcile(&stack).await, Invoked::Answered(_)));
    let (opened, cut, looked) = (opened.as_millis(), cut.as_millis(), begun.elapsed().as_millis());
    print_figures(format!(
        "{connections} sockets opened in {opened} ms; one cut after {cut} ms; all looked at in {looked} ms"
    ));
    events_handled(&stack, revoked_one.0.did()).await;
    // Whoever was cut beside it would learn of it a moment later.
    let alive = others.iter().map(|(_, session)| session.answers(PATIENCE));
    let unanswered = join_all(alive).await.into_iter().filter_map(Result::err).count();
    assert_eq!(unanswered, 0, "of {}", others.len());
    let ended: Vec<_> =
        others.iter().filter_map(|(connector, session)| Some((connector.did(), session.end()?))).collect();
    assert!(ended.is_empty(), "{ended:?}");
}
