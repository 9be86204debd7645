//! One receipt at a time: how long it takes from its POST to its frame when nothing else is going on.

use std::collections::BTreeMap;
use std::time::Instant;

use acceptance::eventually::PATIENCE;
use acceptance::load::{self, Ledger};

use super::{arrivals, percentile, print_figures};
use crate::fixture::{Duo, receipts_handled};

const RECEIPTS: usize = 50;

#[tokio::test]
async fn one_receipt_after_the_other_arrives() {
    let duo = Duo::paired().await;
    let session = duo.sender.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    let receipts = load::receipts(RECEIPTS, duo.sender.did(), &[duo.recipient.did()]);
    let mut begun = BTreeMap::new();
    for (before, receipt) in receipts.iter().enumerate() {
        begun.insert(receipt.request_id.clone(), Instant::now());
        let answer = duo.recipient.post_receipt(receipt).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
        arrivals(&session, before + 1).await;
    }
    // What would come a second time has come then.
    receipts_handled(&duo.stack, duo.sender.did()).await;
    session.answers(PATIENCE).await.unwrap();
    let received = session.receipts();
    let mut delays: Vec<_> = received
        .iter()
        .map(|receipt| receipt.at.duration_since(begun[&receipt.frame.original_frame_id]))
        .collect();
    print_figures(format_args!(
        "{RECEIPTS} receipts, one at a time; POST to frame p50 {} ms, p99 {} ms",
        percentile(&mut delays, 50).as_millis(),
        percentile(&mut delays, 99).as_millis()
    ));
    let mut ledger = Ledger::of_sent(&receipts);
    ledger.note(&received);
    ledger.assert_each_once();
}
