//! What happens less often than a receipt is posted and pushed, and P13: keeping one costs the same, however many wait.

use crate::Result;
use crate::events::Cast;
use crate::figures::{Figure, Kind, Unit, number};
use crate::function::Workshop;
use crate::loads::{BATCH, DRAINED, Loads};
use crate::measure::{PerEvent, per_event};

/// Receipts in a mailbox that has long been full.
const HELD: usize = 100_000;
/// Two counts of the same work differ by less than this.
const NOISE: f64 = 1.01;

pub(super) async fn measure(workshop: &Workshop, cast: &Cast, loads: &Loads<'_>) -> Result<Vec<Figure>> {
    let kept = per_event(workshop, cast, &loads.keeping(0)).await?;
    let kept_beside = per_event(workshop, cast, &loads.keeping(HELD)).await?;
    let drained = per_event(workshop, cast, &loads.draining()).await?;
    let looked_up = per_event(workshop, cast, &loads.look_up()).await?;
    let revoked = per_event(workshop, cast, &loads.revocation()).await?;

    let share = |of: usize| move |value: f64| value / number(of.try_into().unwrap_or(u64::MAX));
    let mut figures = vec![Figure::calls(
        "P8 kept",
        "AWS calls per receipt for a sender away",
        share(BATCH)(kept.aws_calls()),
    )];
    figures.extend(Figure::instructions(
        "P7 kept",
        "instructions per receipt for a sender away",
        kept.instructions.map(share(BATCH)),
    ));
    figures.extend(mailbox_figures(&kept, &kept_beside));
    figures.extend(Figure::instructions(
        "P7 drained",
        "instructions per receipt out of a mailbox",
        drained.instructions.map(share(DRAINED)),
    ));
    figures.push(Figure::calls("P8 drained", "AWS calls to drain a mailbox of ten", drained.aws_calls()));
    for (subject, what, calls, event) in [
        ("look-up", "instructions of a look-up", "AWS calls of a look-up", looked_up),
        (
            "revocation",
            "instructions of a revocation that cuts a socket",
            "AWS calls of a revocation that cuts a socket",
            revoked,
        ),
    ] {
        figures.extend(Figure::instructions(format!("P5 {subject}"), what, event.instructions));
        figures.push(Figure::calls(format!("P8 {subject}"), calls, event.aws_calls()));
    }
    Ok(figures)
}

/// P13: keeping a receipt beside many others, to keeping it in an empty mailbox. A function that does not read the mailbox
/// has no way of telling the two apart; whether `DynamoDB` has, the endurance test `held_mailbox` looks.
fn mailbox_figures(kept: &PerEvent, kept_beside: &PerEvent) -> Vec<Figure> {
    let what = "with 100,000 held already, to none";
    let ratio = |id: &str, many: f64, none: f64| {
        Figure::counted(format!("P13 {id}"), what, many / none, Unit::Ratio).of_kind(Kind::Bounded)
    };
    let counted = |id, of: &dyn Fn(&PerEvent) -> f64| ratio(id, of(kept_beside), of(kept)).within(1.0);
    let mut figures: Vec<_> = kept_beside
        .instructions
        .zip(kept.instructions)
        .map(|(many, none)| ratio("instructions", many, none).within(NOISE))
        .into_iter()
        .collect();
    figures.push(counted("calls", &PerEvent::aws_calls));
    figures.push(counted("units", &|event| event.sum(|calls| calls.read_units + calls.write_units)));
    figures.push(counted("bytes", &|event| event.sum(|calls| calls.bytes_answered)));
    let queries = kept_beside.calls_of("Query");
    figures.push(Figure::calls("P13 queries", "of the mailbox, to keep ten receipts", queries).within(0.0));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Calls, Operation};
    use crate::figures::Baseline;

    fn objections(kept: &PerEvent, kept_beside: &PerEvent) -> Vec<String> {
        let agreed = |id: &str, value| (format!("P13 {id}"), value);
        let ratios = ["instructions", "calls", "units", "bytes"].map(|id| agreed(id, None));
        let baseline: Baseline = ratios.into_iter().chain([agreed("queries", Some(0.0))]).collect();
        let figures = mailbox_figures(kept, kept_beside);
        figures.iter().flat_map(|figure| figure.objections(&baseline)).collect()
    }

    /// Ten writes, and a read of a mailbox that answers with so many units.
    fn keeping(read: Option<usize>) -> PerEvent {
        let calls = |count, read_units, write_units| Calls {
            count,
            bytes_answered: 2 + read_units * 4_096,
            read_units,
            write_units,
            ..Calls::default()
        };
        let writes = (Operation::named("PutItem"), calls(10, 0, 10));
        let reads = read.map(|units| (Operation::named("Query"), calls(1, units, 0)));
        let calls = [writes].into_iter().chain(reads).collect();
        PerEvent { instructions: Some(1e6), sha256: None, calls, events: 1.0 }
    }

    #[test]
    fn whoever_reads_the_mailbox_does_not_pass() {
        assert!(objections(&keeping(None), &keeping(None)).is_empty());
        let objections = objections(&keeping(Some(1)), &keeping(Some(3)));
        for id in ["P13 units", "P13 bytes", "P13 queries"] {
            assert!(objections.iter().any(|objection| objection.starts_with(id)), "{id}: {objections:?}");
        }
    }

    #[test]
    fn a_read_that_is_as_dear_in_an_empty_mailbox_is_seen_too() {
        let objections = objections(&keeping(Some(1)), &keeping(Some(1)));
        assert!(objections[0].starts_with("P13 queries"), "{objections:?}");
    }

    #[test]
    fn what_has_called_nobody_is_no_mailbox_that_costs_the_same() {
        let mut nothing = keeping(None);
        nothing.calls.clear();
        assert!(!objections(&nothing, &nothing).is_empty());
    }
}
