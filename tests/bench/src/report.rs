//! What was measured, for people and for programs.

use std::fmt::Write as _;

use serde_json::json;

use crate::Result;
use crate::figures::{Baseline, Figure, growth, show};
use crate::price::total;
use crate::suite::Measured;

/// A table, and the bills.
pub(crate) fn text(measured: &Measured, baseline: &Baseline) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 7]| {
        let [id, what, value, ceiling, stretch, hello, change] = cells;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{id:<25} {what:<48} {value:>11} {ceiling:>10} {stretch:>10} {hello:>8} {change:>9}"
        );
    };
    line(["figure", "", "", "ceiling", "stretch", "x hello", "baseline"]);
    for figure in &measured.figures {
        let shown = |value: Option<f64>| value.map_or_else(String::new, |value| show(value, figure.unit));
        let change = baseline
            .get(&figure.id)
            .copied()
            .flatten()
            .map(|agreed| format!("{:+.1} %", growth(figure.value, agreed)));
        line([
            &figure.id,
            figure.what,
            &format!("{}{}", show(figure.value, figure.unit), mark(figure)),
            &shown(figure.ceiling),
            &shown(figure.stretch),
            &figure.times_hello.map_or_else(String::new, |times| format!("{times:.2}")),
            &change.unwrap_or_default(),
        ]);
    }
    for bill in &measured.bills {
        let _ = writeln!(text, "\n{}: ${:.3}", bill.of, total(&bill.positions));
        for position in &bill.positions {
            let _ = writeln!(text, "  {:<48} ${:.4}", position.what, position.dollars);
        }
    }
    text
}

/// `*` where the stretch is reached, `!` above the ceiling, whether the gate judges it or not.
fn mark(figure: &Figure) -> &'static str {
    let within = |bound: Option<f64>| bound.is_some_and(|bound| figure.value <= bound);
    match (within(figure.stretch), figure.ceiling) {
        (true, _) => " *",
        (false, Some(_)) if !within(figure.ceiling) => " !",
        (false, _) => "  ",
    }
}

/// All figures and bills.
pub(crate) fn json(measured: &Measured) -> Result<String> {
    let bills = measured.bills.iter().map(|bill| {
        let positions = bill.positions.iter().map(|position| json!({ "what": position.what, "dollars": position.dollars }));
        json!({ "of": bill.of, "dollars": total(&bill.positions), "positions": positions.collect::<Vec<_>>() })
    });
    let all = json!({ "figures": measured.figures, "bills": bills.collect::<Vec<_>>() });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}
