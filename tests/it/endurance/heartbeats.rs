//! How long a heartbeat waits for its acknowledgement.

use std::time::Duration;

use acceptance::eventually::{PATIENCE, eventually};

use super::{percentile, print_figures};
use crate::fixture::Duo;

const HEARTBEATS: usize = 100;
/// What a warm function has to keep in the median: slower ones may be the machine's. A connector gives up after 15 s.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(100);

#[tokio::test]
async fn the_median_of_warm_heartbeats_is_acknowledged_within_100_ms() {
    let duo = Duo::paired().await;
    drop(duo.recipient.connect().await.unwrap().acknowledged_heartbeat(PATIENCE).await.unwrap());
    let connector = duo.sender.heartbeat_every(Duration::from_millis(20));
    let session = connector.connect().await.unwrap();
    let mut times = eventually("a hundred acknowledgements", async || {
        let times: Vec<Duration> = session
            .heartbeats()
            .iter()
            .filter_map(|heartbeat| Some(heartbeat.acknowledged?.duration_since(heartbeat.sent)))
            .collect();
        if times.len() >= HEARTBEATS { Ok(times) } else { Err(format!("{} acknowledged", times.len())) }
    })
    .await;
    let (half, most) = (percentile(&mut times, 50), percentile(&mut times, 99));
    print_figures(format_args!(
        "{} heartbeats through the front door: acknowledged after p50 {:.1} ms, p99 {:.1} ms",
        times.len(),
        half.as_secs_f64() * 1_000.0,
        most.as_secs_f64() * 1_000.0
    ));
    assert!(half < ACKNOWLEDGED_WITHIN, "{half:?}");
}
