//! Sixteen recipients that post at the same time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use acceptance::connector::{Connector, Receipt};
use acceptance::eventually::PATIENCE;
use acceptance::load::{self, Ledger};
use acceptance::registry_client::RegistryClient;
use futures_util::future::join_all;

use super::{arrivals, dead_letters, percentile, print_figures, queue_emptied};
use crate::fixture::Duo;

/// As many recipients as posts at once. The limit per agent and minute stays as deployed: none comes near it.
const CONNECTORS: usize = 16;
const RECEIPTS: usize = 2_000;

#[tokio::test]
async fn two_thousand_posts_sixteen_at_once_arrive_each_once() {
    let duo = Duo::paired().await;
    let registry = RegistryClient::new(&duo.stack.registry_url);
    let mut connectors = Vec::with_capacity(CONNECTORS);
    for number in 0..CONNECTORS {
        let identity = registry.register(&format!("recipient-{number}")).await.unwrap();
        duo.stack.pair(duo.sender.did(), &identity.agent_did).await.unwrap();
        connectors.push(Connector::new(identity, &duo.stack.proxy_url).unwrap());
    }
    let session = duo.sender.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();

    let workloads: Vec<Vec<Receipt>> = connectors
        .iter()
        .map(|connector| load::receipts(RECEIPTS / CONNECTORS, duo.sender.did(), &[connector.did()]))
        .collect();
    let began = Instant::now();
    let posts =
        connectors.iter().zip(&workloads).map(|(connector, receipts)| post_one_by_one(connector, receipts));
    let posted: BTreeMap<String, Instant> = join_all(posts).await.into_iter().flatten().collect();
    let posting = began.elapsed();
    let received = arrivals(&session, RECEIPTS).await;
    queue_emptied(&duo.stack).await;
    let mut ledger = Ledger::of_sent(workloads.iter().flatten());
    ledger.note(&session.receipts());

    let mut delays: Vec<Duration> = received
        .iter()
        .filter_map(|receipt| Some(receipt.at.duration_since(*posted.get(&receipt.frame.original_frame_id)?)))
        .collect();
    let last = received.iter().map(|receipt| receipt.at.duration_since(began)).max().unwrap_or_default();
    print_figures(format_args!(
        "{ledger}; {CONNECTORS} at once, {:.0} posts/s; POST to frame p50 {} ms, p99 {} ms; last frame after {:.1} s",
        f64::from(u32::try_from(RECEIPTS).unwrap()) / posting.as_secs_f64(),
        percentile(&mut delays, 50).as_millis(),
        percentile(&mut delays, 99).as_millis(),
        last.as_secs_f64()
    ));
    ledger.assert_each_once();
    assert_eq!(session.end(), None);
    assert_eq!(dead_letters(&duo).await, [""; 0]);
}

/// Posts each receipt when the one before it is answered; when each was begun.
async fn post_one_by_one(connector: &Connector, receipts: &[Receipt]) -> Vec<(String, Instant)> {
    let mut begun = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        begun.push((receipt.request_id.clone(), Instant::now()));
        let answer = connector.post_receipt(receipt).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    begun
}
