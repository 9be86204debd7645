//! A measured figure, and how it stands against what it may be.

use std::collections::BTreeMap;

use serde::Serialize;

/// How much a counted figure may exceed its baseline: callgrind's counts differ by less than this from run to run.
const GROWTH_MAX: f64 = 1.05;
/// Below this share of its baseline a figure is no noise either: something was gained, and could be lost again unseen, or
/// something is no longer counted.
const SHRINKING_MAX: f64 = 0.8;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// Executed by the processor, in user space.
    Instructions,
    /// To AWS.
    Calls,
    Bytes,
    Kilobytes,
    Milliseconds,
    /// US dollars.
    Dollars,
    /// Of the same figure of the hello world.
    Ratio,
}

/// Whether a figure is the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Counted: it has a baseline and may not grow.
    Counted,
    /// Measured where a ceiling is all that can be demanded.
    Bounded,
    /// For reading: it depends on the machine and on what else it does.
    Read,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// Its budget and its subject: `P2 receipt`.
    pub(crate) id: String,
    pub(crate) what: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    pub(crate) kind: Kind,
    /// What it must not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ceiling: Option<f64>,
    /// What it would be good to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stretch: Option<f64>,
    /// So many times that of the hello world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times_hello: Option<f64>,
}

/// The figures that the repository has agreed to, by their ids: all that the gate judges. Those that are only bounded are
/// there without a value.
pub(crate) type Baseline = BTreeMap<String, Option<f64>>;

impl Figure {
    pub(crate) fn counted(id: impl Into<String>, what: &'static str, value: f64, unit: Unit) -> Self {
        let (ceiling, stretch, times_hello) = (None, None, None);
        Self { id: id.into(), what, value, unit, kind: Kind::Counted, ceiling, stretch, times_hello }
    }

    pub(crate) fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// Instructions, where they were counted.
    pub(crate) fn instructions(
        id: impl Into<String>,
        what: &'static str,
        value: Option<f64>,
    ) -> Option<Self> {
        value.map(|value| Self::counted(id, what, value, Unit::Instructions))
    }

    pub(crate) fn calls(id: impl Into<String>, what: &'static str, value: f64) -> Self {
        Self::counted(id, what, value, Unit::Calls)
    }

    /// With what it must not exceed.
    pub(crate) fn within(self, ceiling: f64) -> Self {
        Self { ceiling: Some(ceiling), ..self }
    }

    /// With what it would be good to reach.
    pub(crate) fn aiming_at(self, stretch: f64) -> Self {
        Self { stretch: Some(stretch), ..self }
    }

    /// With the hello world's figure beside it.
    pub(crate) fn beside_hello(self, hello: f64) -> Self {
        Self { times_hello: Some(self.value / hello), ..self }
    }

    /// What speaks against it, in words.
    pub(crate) fn objections(&self, baseline: &Baseline) -> Vec<String> {
        let mut objections = Vec::new();
        let id = &self.id;
        let agreed = baseline.get(id).copied();
        if self.kind == Kind::Read {
            // Whoever stops judging a figure says so in the baseline.
            objections.extend(agreed.map(|_| format!("{id}: it has a baseline and is for reading only")));
            return objections;
        }
        let shown = |value| show(value, self.unit);
        if !self.value.is_finite() {
            objections.push(format!("{id}: {} is no number", self.value));
        }
        match self.ceiling {
            Some(ceiling) if self.value > ceiling => {
                objections.push(format!(
                    "{id}: {} is above its ceiling, {}",
                    shown(self.value),
                    shown(ceiling)
                ));
            }
            None if self.kind == Kind::Bounded => objections.push(format!("{id}: nothing bounds it")),
            Some(_) | None => {}
        }
        let beside = |agreed, how| {
            let (value, change) = (shown(self.value), growth(self.value, agreed));
            format!("{id}: {value} is {change:+.1} % {how} its baseline, {}", shown(agreed))
        };
        match (agreed, self.kind) {
            (None, _) => objections.push(format!("{id}: there is no baseline for it")),
            (Some(Some(agreed)), Kind::Counted) if self.value > agreed * GROWTH_MAX => {
                objections.push(beside(agreed, "over"));
            }
            (Some(Some(agreed)), Kind::Counted) if self.value < agreed * SHRINKING_MAX => {
                objections.push(beside(agreed, "against") + ": record what was gained");
            }
            (Some(None), Kind::Counted) => {
                objections.push(format!("{id}: it is counted, and its baseline has no value"));
            }
            (Some(Some(_)), Kind::Bounded) => {
                objections.push(format!("{id}: it is only bounded, and its baseline has a value"));
            }
            (Some(_), _) => {}
        }
        objections
    }
}

/// By how many percent `value` exceeds `before`.
pub(crate) fn growth(value: f64, before: f64) -> f64 {
    if before == 0.0 { if value == 0.0 { 0.0 } else { 100.0 } } else { (value / before - 1.0) * 100.0 }
}

/// A value with its unit, as short as it stays exact enough.
pub(crate) fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Instructions => format!("{:.1} k", value / 1e3),
        Unit::Calls => format!("{value:.2}"),
        Unit::Bytes if value < 100e3 => format!("{value:.0} B"),
        Unit::Bytes => format!("{:.3} MB", value / 1e6),
        Unit::Kilobytes => format!("{value:.0} kB"),
        Unit::Milliseconds => format!("{value:.2} ms"),
        Unit::Dollars => format!("${value:.3}"),
        Unit::Ratio => format!("{value:.2}×"),
    }
}

/// A count as a figure. Counts here are far below 2^53.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "exact below 2^53")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objections(value: f64, ceiling: f64, baseline: &[(&str, f64)]) -> Vec<String> {
        let baseline = baseline.iter().map(|(id, value)| ((*id).to_owned(), Some(*value))).collect();
        Figure::counted("P", "", value, Unit::Calls).within(ceiling).objections(&baseline)
    }

    #[test]
    fn a_figure_may_reach_its_ceiling_and_five_percent_over_its_baseline() {
        assert!(objections(2.0, 2.0, &[("P", 2.0)]).is_empty());
        assert!(objections(1.05, 2.0, &[("P", 1.0)]).is_empty());
        assert!(objections(0.8, 2.0, &[("P", 1.0)]).is_empty());
        assert_eq!(objections(0.79, 2.0, &[("P", 1.0)]).len(), 1);
        assert_eq!(objections(2.01, 2.0, &[("P", 2.0)]).len(), 1);
        assert_eq!(objections(1.06, 2.0, &[("P", 1.0)]).len(), 1);
        assert_eq!(objections(3.0, 2.0, &[("P", 1.0)]).len(), 2);
    }

    #[test]
    fn what_was_nothing_may_not_become_something() {
        assert!(objections(0.0, 1.0, &[("P", 0.0)]).is_empty());
        assert_eq!(objections(0.1, 1.0, &[("P", 0.0)]).len(), 1);
    }

    #[test]
    fn a_figure_without_a_baseline_is_refused_unless_it_is_for_reading() {
        assert_eq!(objections(1.0, 2.0, &[]).len(), 1);
        let bounded = Figure::counted("P", "", 1.0, Unit::Calls).within(2.0).of_kind(Kind::Bounded);
        assert_eq!(bounded.objections(&Baseline::new()).len(), 1);
        let agreed = Baseline::from([("P".to_owned(), None)]);
        assert!(bounded.objections(&agreed).is_empty());
        let above = Figure { value: 3.0, ..bounded.clone() };
        assert_eq!(above.objections(&agreed).len(), 1);
        assert!(above.of_kind(Kind::Read).objections(&Baseline::new()).is_empty());
        assert_eq!(bounded.of_kind(Kind::Counted).objections(&agreed).len(), 1);
    }

    #[test]
    fn no_figure_stops_being_judged_unseen() {
        let agreed = |value| Baseline::from([("P".to_owned(), value)]);
        let figure = Figure::counted("P", "", 1.0, Unit::Calls).within(2.0);
        let objections = |kind, value| figure.clone().of_kind(kind).objections(&agreed(value));
        assert_eq!(objections(Kind::Read, Some(1.0)).len(), 1);
        assert_eq!(objections(Kind::Read, None).len(), 1);
        assert_eq!(objections(Kind::Bounded, Some(1.0)).len(), 1);
        let unbounded = Figure { ceiling: None, ..figure.of_kind(Kind::Bounded) };
        assert_eq!(unbounded.objections(&agreed(None)).len(), 1);
    }

    #[test]
    fn what_is_no_number_is_not_within_anything() {
        for value in [f64::NAN, f64::INFINITY] {
            let ratio = Figure::counted("P", "", value, Unit::Ratio).within(1.0).of_kind(Kind::Bounded);
            let objections = ratio.objections(&Baseline::from([("P".to_owned(), None)]));
            assert!(objections.iter().any(|objection| objection.contains("no number")), "{value}");
        }
    }
}
