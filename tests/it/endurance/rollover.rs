//! A day of two-hour lives, shortened: twelve sockets, each cut by the front door as API Gateway cuts them.

use std::time::{Duration, Instant};

use acceptance::connector::{Connector, End, Receipt, ReceivedReceipt, Session, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::load::Ledger;
use serde_json::json;

use super::{Scale, print_figures, queue_emptied};
use crate::fixture::Duo;

const LIVES: usize = 12;
/// With short lives the only one around whose end receipts are posted: see [`Scale::life_ms`].
const CUT_UNDER_LOAD: usize = 6;
/// A life in which a connector outlives a drain by more than the 30 s after which it has not died of it.
const LONG_ENOUGH_MS: u64 = 31_000;
const RECEIPTS_IN_A_LIFE: usize = 3;
/// For how long before the end of a life receipts are posted one after the other, and how fast: no agent may make more
/// than 300 requests a minute.
const BEFORE_THE_CUT: Duration = Duration::from_secs(1);
const POST_EVERY: Duration = Duration::from_millis(50);
/// How long a connector waits after a close, and after a refused handshake at first and at most (contract 8.2).
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(15);

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
    let connector = Connector::new(duo.sender.identity().clone(), &door).unwrap();
    let mut day = Day::default();
    let mut cut_at: Option<Instant> = None;
    for life in 1..=LIVES {
        let session = come_back(&connector).await;
        let opened = Instant::now();
        session.acknowledged_heartbeat(PATIENCE).await.unwrap();
        if let Some(cut_at) = cut_at {
            day.longest_gap = day.longest_gap.max(cut_at.elapsed());
        }
        for _ in 0..RECEIPTS_IN_A_LIFE {
            day.post(&duo).await;
        }
        day.all_arrived_or_cut(&session).await;
        if life == CUT_UNDER_LOAD || scale.life_ms >= LONG_ENOUGH_MS {
            let quiet = Duration::from_millis(scale.life_ms).saturating_sub(BEFORE_THE_CUT);
            tokio::time::sleep_until((opened + quiet).into()).await;
            day.post_until_cut(&duo, &session).await;
        }
        let end = session.ended(PATIENCE.max(Duration::from_millis(2 * scale.life_ms))).await.unwrap();
        assert!(matches!(end, End::Closed { code: 1001, .. }), "life {life}: {end:?}");
        assert!(session.frames().iter().all(|frame| frame.rust.is_ok() && frame.typescript.is_ok()));
        day.received.extend(session.receipts());
        cut_at = Some(Instant::now());
    }

    let session = come_back(&duo.sender).await;
    day.all_arrived_or_cut(&session).await;
    queue_emptied(&duo.stack).await;
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
}

/// Connects as a connector does after a close.
async fn come_back(connector: &Connector) -> Session {
    let mut pause = RECONNECT_AFTER;
    let began = Instant::now();
    loop {
        tokio::time::sleep(pause).await;
        match connector.connect().await {
            Ok(session) => return session,
            Err(problem) => assert!(began.elapsed() < PATIENCE, "{problem}"),
        }
        pause = (2 * pause).min(RECONNECT_AFTER_MAX);
    }
}

impl Day {
    async fn post(&mut self, duo: &Duo) {
        let receipt = duo.receipt(Status::DeliveredToWebhook, None);
        assert_eq!(duo.recipient.post_receipt(&receipt).await.unwrap().status, 202);
        self.sent.push(receipt);
    }

    /// Posts one after the other until the socket has been cut, and one more.
    async fn post_until_cut(&mut self, duo: &Duo, session: &Session) {
        while session.end().is_none() {
            self.post(duo).await;
            self.around_a_cut += 1;
            tokio::time::sleep(POST_EVERY).await;
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
