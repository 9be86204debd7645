//! The page itself: files that a browser takes as they are.

use axum::Router;
use axum::http::header;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, type and content of every file.
const FILES: [(&str, &str, &str); 13] = [
    ("/", HTML, include_str!("assets/index.html")),
    ("/icon.svg", SVG, include_str!("assets/icon.svg")),
    ("/layout.css", CSS, include_str!("assets/layout.css")),
    ("/parts.css", CSS, include_str!("assets/parts.css")),
    ("/theme.css", CSS, include_str!("assets/theme.css")),
    ("/agents.js", SCRIPT, include_str!("assets/agents.js")),
    ("/api.js", SCRIPT, include_str!("assets/api.js")),
    ("/dead_letters.js", SCRIPT, include_str!("assets/dead_letters.js")),
    ("/dom.js", SCRIPT, include_str!("assets/dom.js")),
    ("/format.js", SCRIPT, include_str!("assets/format.js")),
    ("/lines.js", SCRIPT, include_str!("assets/lines.js")),
    ("/main.js", SCRIPT, include_str!("assets/main.js")),
    ("/receipts.js", SCRIPT, include_str!("assets/receipts.js")),
];

/// A route for each file.
pub(super) fn routes() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, kind)], content) }))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const THEME: &str = include_str!("assets/theme.css");
    /// What text stands on, and what text is written in.
    const GROUNDS: [&str; 3] = ["ground", "card", "sunk"];
    const INKS: [&str; 7] = ["ink", "soft", "brand", "queued", "pushed", "waiting", "dead"];
    /// What WCAG 2 asks of text, level AA.
    const CONTRAST_MIN: f64 = 4.5;

    /// The colours that a part of the theme sets.
    fn colours(css: &str) -> BTreeMap<&str, [u8; 3]> {
        let declarations = css.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
        declarations
            .map(|(name, value)| {
                let part = |at: usize| u8::from_str_radix(&value[at..at + 2], 16).unwrap();
                (name, [part(0), part(2), part(4)])
            })
            .collect()
    }

    /// WCAG 2's relative luminance.
    fn luminance(colour: [u8; 3]) -> f64 {
        let [red, green, blue] = colour.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        if one > other { one / other } else { other / one }
    }

    #[test]
    fn every_text_can_be_read_by_day_and_by_night() {
        let (light, dark) = THEME.split_once("@media (prefers-color-scheme: dark)").unwrap();
        for theme in [colours(light), colours(dark)] {
            let pairs = GROUNDS.iter().flat_map(|ground| INKS.map(|ink| (*ground, ink)));
            for (ground, ink) in pairs.chain([("brand", "on-strong")]) {
                let ratio = contrast(theme[ground], theme[ink]);
                assert!(ratio >= CONTRAST_MIN, "{ink} on {ground}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let named = |text: &'static str, before: &'static str| {
            text.split(before).skip(1).filter_map(|rest| rest.split_once('"').map(|(name, _)| name))
        };
        let is_there = |name: &str| FILES.iter().any(|(path, ..)| path.trim_start_matches('/') == name);
        for (path, _, content) in FILES {
            let names = ["href=\"/", "src=\"/", "from \"./"].map(|before| named(content, before));
            for name in names.into_iter().flatten() {
                assert!(is_there(name), "{path} names {name}");
            }
        }
    }
}
