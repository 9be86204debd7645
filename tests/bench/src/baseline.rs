//! The figures that the repository has agreed to. Who changes them does so in the commit that costs, or saves.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::Result;
use crate::figures::{Baseline, Figure, Kind, growth, show};

/// Two counts of the same programs differ by less.
const MOVED_PERCENT: f64 = 1.0;

/// Every processor has its own: the same sources are other instructions, and programs of other sizes.
fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("baseline-{}.json", std::env::consts::ARCH))
}

pub(crate) fn read() -> Result<Baseline> {
    let file = file();
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Baseline::new()),
        Err(error) => Err(format!("{}: {error}", file.display()).into()),
    }
}

pub(crate) fn write(figures: &[Figure]) -> Result<()> {
    let judged = figures.iter().filter(|figure| figure.kind != Kind::Read);
    let value = |figure: &Figure| (figure.kind == Kind::Counted).then(|| rounded(figure.value));
    let baseline: Baseline = judged.map(|figure| (figure.id.clone(), value(figure))).collect();
    Ok(std::fs::write(file(), serde_json::to_string_pretty(&baseline)? + "\n")?)
}

/// What was counted and is not what was agreed to, so that nobody records somebody else's growth unseen.
pub(crate) fn moved(figures: &[Figure], before: &Baseline) -> Vec<String> {
    let counted = figures.iter().filter(|figure| figure.kind == Kind::Counted);
    let moves = counted.filter_map(|figure| {
        let shown = |value| show(value, figure.unit);
        let agreed = before.get(&figure.id).copied().flatten();
        let change = agreed.map(|agreed| (agreed, growth(figure.value, agreed)));
        match change {
            None => Some(format!("{}: new, {}", figure.id, shown(figure.value))),
            Some((_, percent)) if percent.abs() <= MOVED_PERCENT => None,
            Some((agreed, percent)) => {
                Some(format!("{}: {} → {} ({percent:+.1} %)", figure.id, shown(agreed), shown(figure.value)))
            }
        }
    });
    moves.collect()
}

/// Counts without their noise: a fraction stays only where it says something.
fn rounded(value: f64) -> f64 {
    if value >= 1_000.0 { value.round() } else { (value * 1e3).round() / 1e3 }
}

/// What speaks against a change with these figures.
pub(crate) fn objections(figures: &[Figure], baseline: &Baseline) -> Vec<String> {
    let measured: BTreeSet<_> = figures.iter().map(|figure| figure.id.as_str()).collect();
    let gone = baseline.keys().filter(|id| !measured.contains(id.as_str()));
    let gone = gone.map(|id| format!("{id}: it has a baseline and was not measured"));
    figures.iter().flat_map(|figure| figure.objections(baseline)).chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;

    #[test]
    fn a_figure_that_is_no_longer_measured_is_missed() {
        let figures = [Figure::counted("P1", "", 1.0, Unit::Calls)];
        let agreed = |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), Some(1.0))).collect::<Baseline>();
        assert!(objections(&figures, &agreed(&["P1"])).is_empty());
        assert_eq!(
            objections(&figures, &agreed(&["P1", "P2"])),
            ["P2: it has a baseline and was not measured"]
        );
    }

    #[test]
    fn what_moves_is_said_before_it_is_recorded() {
        let figure = |id: &str, value| Figure::counted(id, "", value, Unit::Calls);
        let figures = [figure("P1", 100.0), figure("P2", 102.0), figure("P3", 98.0), figure("P4", 1.0)];
        let agreed = ["P1", "P2", "P3"].map(|id| (id.to_owned(), Some(100.0)));
        assert_eq!(
            moved(&figures, &agreed.into()),
            ["P2: 100.00 → 102.00 (+2.0 %)", "P3: 100.00 → 98.00 (-2.0 %)", "P4: new, 1.00"]
        );
    }

    #[test]
    fn the_recorded_baseline_can_be_read() {
        assert!(!read().unwrap().is_empty());
    }
}
