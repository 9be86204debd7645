//! Random runs. Four tests, so that they share the cores.

use std::collections::BTreeMap;

use backbone::metrics::Metric;
use simulator::{Excuse, run_seed};

fn hold(mut seeds: std::ops::Range<u64>) {
    let broken = seeds.find(|&seed| !run_seed(seed, None, false).violations.is_empty());
    assert!(broken.is_none(), "{}", broken.map(story).unwrap_or_default());
}

/// The violations of a seed, what led to the first of them, and how to see it again.
fn story(seed: u64) -> String {
    let report = run_seed(seed, None, true);
    let end = report.trace.iter().position(|line| line.contains("VIOLATED")).map_or(0, |index| index + 1);
    let mut lines = report.trace[end.saturating_sub(80)..end].to_vec();
    lines.extend(report.violations.iter().map(ToString::to_string));
    lines.push(format!("replay with: cargo run -p simulator --bin simulate -- --from {seed} --seeds 1"));
    lines.join("\n")
}

#[test]
fn the_invariants_hold_for_the_first_quarter() {
    hold(0..2_500);
}

#[test]
fn the_invariants_hold_for_the_second_quarter() {
    hold(2_500..5_000);
}

#[test]
fn the_invariants_hold_for_the_third_quarter() {
    hold(5_000..7_500);
}

#[test]
fn the_invariants_hold_for_the_last_quarter() {
    hold(7_500..10_000);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..50 {
        let (one, other) = (run_seed(seed, None, true), run_seed(seed, None, true));
        assert!(one.trace == other.trace, "seed {seed} has two traces");
        assert_eq!(run_seed(seed, None, false).operations, one.operations, "tracing changed seed {seed}");
    }
}

#[test]
fn receipts_and_deliveries_come_to_every_end_and_take_every_detour() {
    let mut counted = BTreeMap::new();
    for seed in 0..1_000 {
        for (metric, count) in run_seed(seed, None, false).counted {
            *counted.entry(metric).or_insert(0_u64) += count;
        }
    }
    for metric in [
        Metric::ReceiptRepeated,
        Metric::ReceiptOvertaken,
        Metric::ReceiptOtherRecipient,
        Metric::MailboxSettled,
        Metric::MailboxBuried,
        Metric::RetentionOver,
        Metric::DrainContinued,
        Metric::DrainInterrupted,
        Metric::DeliveryAcknowledged,
        Metric::DeliveryRefused,
        Metric::DeliveryExpired,
        Metric::DeliveryUnacknowledged,
        Metric::DeliveryTooLarge,
        Metric::DeliveryRepeated,
        Metric::DeliveryHeld,
        Metric::DeliveryRestored,
    ] {
        assert!(counted.contains_key(&metric), "{metric:?} is not in {counted:?}");
    }
}

/// An excuse that is needed more often than when it was made hides something.
#[test]
fn excuses_are_rare() {
    let (mut accepted, mut excused) = (0, BTreeMap::new());
    for seed in 0..2_000 {
        let report = run_seed(seed, None, false);
        accepted += report.accepted;
        for (why, times) in report.excused {
            *excused.entry(why).or_insert(0) += times;
        }
    }
    for (why, per_10_000_max) in
        [(Excuse::LastWordRepeated, 1), (Excuse::ToBeRepeated, 4), (Excuse::ClaimedByTwo, 1)]
    {
        let times = excused.get(&why).copied().unwrap_or_default();
        assert!(times * 10_000 <= accepted * per_10_000_max, "{why:?}: {times} of {accepted}");
    }
}

#[test]
fn seeds_differ_and_do_something() {
    let reports: Vec<_> = (0..50).map(|seed| run_seed(seed, None, true)).collect();
    assert!(reports.iter().map(|report| report.accepted).sum::<usize>() > 250);
    for (seed, pair) in reports.windows(2).enumerate() {
        assert!(pair[0].trace != pair[1].trace, "seed {seed} is like the next");
    }
}
