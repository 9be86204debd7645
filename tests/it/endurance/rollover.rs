//! A day of two-hour lives, shortened: twelve sockets, each cut by the front door as API Gateway cuts them.

use std::time::{Duration, Instant};

use acceptance::connector::{Connector, End, Receipt, ReceivedReceipt, Session, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::load::Ledger;
use serde_json::json;

use super::{Scale, print_figures};
use crate::fixture::{Duo, receipts_handled};

const LIVES: usize = 12;
/// With short lives the first one around whose end receipts are posted, and the only one unless the cut came before them: see
/// [`Scale::life_ms`].
const CUT_UNDER_LOAD: usize = 6;
/// A life in which a connector outlives a drain by more than the 30 s after which it has not died of it.
const LONG_ENOUGH_MS: u64 = 31_000;
const RECEIPTS_IN_A_LIFE: usize = 3;
/// Posted around a cut, the last of them after it.
const AROUND_A_CUT_MIN: usize = 3;
/// So long before the end of a life receipts begin to be posted, each when the one before it has arrived: no agent may make
/// more than 300 requests a minute, so not all the time. It is four heartbeats, so that one that is late does not matter.
const LOAD_MS: u64 = 2_000;
const HEARTBEAT_EVERY_MS: u64 = 500;

/// What became of a day.
#[derive(Default)]
struct Day {
    sent: Vec<Receipt>,
    received: Vec<ReceivedReceipt>,
    around_a_cut: usize,
    longest_gap: Duration,
}

#[tokio::test]
async fn a_day_of_lives_loses_and_repeats_nothing() {
    let scale = Scale::of_this_run();
    let duo = Duo::paired().await;
    let door = duo.stack.open_door(&json!({ "lifeMs": scale.life_ms })).await.unwrap();
    let connector = Connector::new(duo.sender.identity().clone(), &door)
        .unwrap()
        .heartbeat_every(Duration::from_millis(HEARTBEAT_EVERY_MS));
    let is_long = scale.life_ms >= LONG_ENOUGH_MS;
    let quiet = Duration::from_millis(scale.life_ms - LOAD_MS);
    let longest_life = PATIENCE.max(Duration::from_millis(2 * scale.life_ms));
    let mut day = Day::default();
    let mut cut_at: Option<Instant> = None;
    for life in 1..=LIVES {
        let session = connector.reconnect(PATIENCE).await.unwrap();
        let opened = Instant::now();
        session.acknowledged_heartbeat(PATIENCE).await.unwrap();
        if let Some(cut_at) = cut_at {
            day.longest_gap = day.longest_gap.max(cut_at.elapsed());
        }
        for _ in 0..RECEIPTS_IN_A_LIFE {
            day.post(&duo).await;
        }
        day.all_arrived_or_cut(&session).await;
        if is_long || (life >= CUT_UNDER_LOAD && day.around_a_cut < AROUND_A_CUT_MIN) {
            // A slow machine may see the cut come first: what counts is how many were posted on the whole, if need be in the
            // next life.
            let _ = session.acknowledged_heartbeat_since(opened + quiet, longest_life).await;
            day.post_until_cut(&duo, &session).await;
        }
        let end = session.ended(longest_life).await.unwrap();
        assert!(matches!(end, End::Closed { code: 1001, .. }), "life {life}: {end:?}");
        assert!(session.frames().iter().all(|frame| frame.rust.is_ok() && frame.typescript.is_ok()));
        day.received.extend(session.receipts());
        cut_at = Some(Instant::now());
    }

    let session = duo.sender.reconnect(PATIENCE).await.unwrap();
    day.all_arrived_or_cut(&session).await;
    // Its connect has a drain coming, which is the last that could repeat something.
    receipts_handled(&duo.stack, duo.sender.did()).await;
    session.answers(PATIENCE).await.unwrap();
    day.received.extend(session.receipts());
    let mut ledger = Ledger::of_sent(&day.sent);
    ledger.note(&day.received);
    print_figures(format_args!(
        "{LIVES} lives of {:.1} s: {ledger}; {} of them posted around a cut; from a cut to the next acknowledged \
         heartbeat {} ms at most",
        Duration::from_millis(scale.life_ms).as_secs_f64(),
        day.around_a_cut,
        day.longest_gap.as_millis()
    ));
    ledger.assert_each_once();
    let expected = if is_long { LIVES * AROUND_A_CUT_MIN } else { AROUND_A_CUT_MIN };
    assert!(day.around_a_cut >= expected, "{} posted around a cut", day.around_a_cut);
}

impl Day {
    async fn post(&mut self, duo: &Duo) {
        let receipt = duo.receipt(Status::DeliveredToWebhook, None);
        assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
        self.sent.push(receipt);
    }

    /// Posts one after the other, each when the one before it has arrived, until the socket has been cut, and one more.
    async fn post_until_cut(&mut self, duo: &Duo, session: &Session) {
        while session.end().is_none() {
            self.post(duo).await;
            self.around_a_cut += 1;
            self.all_arrived_or_cut(session).await;
        }
        self.post(duo).await;
        self.around_a_cut += 1;
    }

    /// Waits until all that was posted has come, on this socket or on those before it. What has not when the socket is
    /// cut has another one to come on.
    async fn all_arrived_or_cut(&self, session: &Session) {
        eventually("all receipts", async || {
            let mut ledger = Ledger::of_sent(&self.sent);
            ledger.note(&self.received);
            ledger.note(&session.receipts());
            let missing = ledger.missing();
            if missing.is_empty() || session.end().is_some() {
                Ok(())
            } else {
                Err(format!("{missing:?} missing"))
            }
        })
        .await;
    }
}
