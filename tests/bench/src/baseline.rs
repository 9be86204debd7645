//! The figures that the repository has agreed to. Who changes them does so in the commit that costs, or saves.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::Result;
use crate::figures::{Baseline, Figure, Kind};

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
    fn the_recorded_baseline_can_be_read() {
        assert!(!read().unwrap().is_empty());
    }
}
