//! Every await point of the handlers, with everything that can happen at it.

use std::collections::BTreeSet;

use backbone::metrics::Metric;
use simulator::Operation;
use simulator::crash_points::{FATES, SCRIPTS, Script};

fn holds_everywhere(script: &Script) {
    let operations = script.operations();
    for (number, operation) in (1..).zip(&operations) {
        for fate in FATES {
            let report = script.run(number, fate, false);
            if !report.violations.is_empty() {
                let trace = script.run(number, fate, true).trace.join("\n");
                panic!(
                    "{trace}\n{:?}\n{}: operation {number}, {operation:?} {fate:?}",
                    report.violations, script.name
                );
            }
        }
    }
}

#[test]
fn online() {
    holds_everywhere(&SCRIPTS[0]);
}

#[test]
fn offline() {
    holds_everywhere(&SCRIPTS[1]);
}

#[test]
fn gone() {
    holds_everywhere(&SCRIPTS[2]);
}

#[test]
fn superseded() {
    holds_everywhere(&SCRIPTS[3]);
}

#[test]
fn outage() {
    holds_everywhere(&SCRIPTS[4]);
}

#[test]
fn quarantine() {
    holds_everywhere(&SCRIPTS[5]);
}

#[test]
fn peer() {
    holds_everywhere(&SCRIPTS[6]);
}

#[test]
fn delivered() {
    holds_everywhere(&SCRIPTS[7]);
}

#[test]
fn refused() {
    holds_everywhere(&SCRIPTS[8]);
}

#[test]
fn revoked() {
    holds_everywhere(&SCRIPTS[9]);
}

#[test]
fn revoked_and_not_told() {
    holds_everywhere(&SCRIPTS[10]);
}

#[test]
fn session_ended() {
    holds_everywhere(&SCRIPTS[11]);
}

#[test]
fn session_ended_late() {
    holds_everywhere(&SCRIPTS[12]);
}

#[test]
fn the_scripts_reach_every_operation() {
    let reached: BTreeSet<Operation> = SCRIPTS.iter().flat_map(Script::operations).collect();
    let missed: Vec<_> =
        Operation::ALL.into_iter().filter(|operation| !reached.contains(operation)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// How often an undisturbed run of the script counted these.
fn counted<const N: usize>(script: &Script, metrics: [Metric; N]) -> [u64; N] {
    let counted = script.run(u64::MAX, FATES[0], false).counted;
    metrics.map(|metric| counted.get(&metric).copied().unwrap_or_default())
}

#[test]
fn what_is_counted_into_a_mailbox_is_counted_out_of_it() {
    for script in [&SCRIPTS[1], &SCRIPTS[2], &SCRIPTS[4], &SCRIPTS[5]] {
        let metrics = [Metric::MailboxStored, Metric::MailboxDrained, Metric::MailboxSettled];
        let [stored, drained, settled] = counted(script, metrics);
        assert!(stored > 0 && stored == drained + settled, "{}: {stored} {drained} {settled}", script.name);
    }
    // Also by whoever pushes it without a drain: what a drain had pushed would not have been said then.
    let trace = SCRIPTS[4].run(u64::MAX, FATES[0], true).trace;
    assert!(trace.iter().any(|line| line.ends_with("of 901000 ms pushed: Stored")), "{}", trace.join("\n"));
}

/// Only one comes while its connector is in quarantine.
#[test]
fn a_receipt_is_held_back_once() {
    assert_eq!(counted(&SCRIPTS[5], [Metric::Quarantined]), [1]);
}
