//! The series as a picture: what a receipt costs over how many there are. A flat line is what is wanted.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::Result;
use crate::figures::number;
use crate::scale::Series;

const WIDTH: f64 = 740.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 20.0;
/// Below the axis there are its labels and one line per series.
const BOTTOM: f64 = 130.0;
/// 100,000, as a power of ten: the right end of the axis.
const DECADES: u8 = 5;
const COLOURS: [&str; 4] = ["#0b6e99", "#d9730d", "#6940a5", "#0f7b6c"];

/// Draws the series into `docs/scale.svg`.
pub(crate) fn write(series: &[Series]) -> Result<()> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/scale.svg");
    Ok(std::fs::write(file, draw(series)?)?)
}

fn draw(series: &[Series]) -> Result<String> {
    let costs = series.iter().flat_map(|series| &series.points).map(|point| point.instructions);
    let top = (costs.fold(0.0, f64::max) / 500e3).ceil() * 500e3;
    let x = |decades: f64| LEFT + decades / f64::from(DECADES) * (WIDTH - LEFT - RIGHT);
    let y = |instructions: f64| TOP + (1.0 - instructions / top) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>
"#
    );
    let mut level = 0.0;
    while level <= top {
        let height = y(level);
        writeln!(svg, r##"<path d="M{LEFT} {height:.1}H{}" stroke="#ddd"/>"##, WIDTH - RIGHT)?;
        writeln!(
            svg,
            r#"<text x="{}" y="{:.1}" text-anchor="end">{:.1} M</text>"#,
            LEFT - 6.0,
            height + 4.0,
            level / 1e6
        )?;
        level += 500e3;
    }
    for decade in 0..=DECADES {
        let label = 10_u32.pow(decade.into());
        let (x, y) = (x(decade.into()), HEIGHT - BOTTOM + 18.0);
        writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">{label}</text>"#)?;
    }
    for ((series, colour), row) in series.iter().zip(COLOURS).zip(0_u8..) {
        let points: Vec<_> = series
            .points
            .iter()
            .map(|point| Ok((x(number(point.how_many.max(1).try_into()?).log10()), y(point.instructions))))
            .collect::<Result<_>>()?;
        let line: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            line.join(" ")
        )?;
        for (x, y) in points {
            writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#)?;
        }
        let legend = HEIGHT - BOTTOM + 44.0 + f64::from(row) * 20.0;
        writeln!(svg, r#"<text x="{LEFT}" y="{legend:.1}" fill="{colour}">{}</text>"#, series.what)?;
    }
    writeln!(svg, "</svg>")?;
    Ok(svg)
}
