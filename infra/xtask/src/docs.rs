//! `cargo xtask docs`: the pages that are written from other files of the repository.

mod configuration;
mod contracts;
mod yaml;

use std::fs;

use crate::failure::Failure;
use crate::workspace;

/// A page, and what makes its text.
type Page = (&'static str, fn() -> Result<String, Failure>);

const PAGES: [Page; 2] =
    [("docs/configuration.md", configuration::page), ("docs/contracts/README.md", contracts::page)];

pub(crate) fn run() -> Result<(), Failure> {
    for (path, page) in PAGES {
        let text = page()?;
        let file = workspace::root().join(path);
        let is_new = fs::read_to_string(&file).ok().as_ref() != Some(&text);
        if is_new {
            fs::write(&file, text).map_err(|error| Failure::io(format!("cannot write {path}"), &error))?;
        }
        println!("{path}: {}", if is_new { "written" } else { "up to date" });
    }
    Ok(())
}

/// One row of a table; what would end a cell is escaped.
fn row<const N: usize>(cells: [&str; N]) -> String {
    let cells = cells.map(|cell| if cell.is_empty() { "–".to_owned() } else { cell.replace('|', "\\|") });
    format!("| {} |\n", cells.join(" | "))
}

/// The first two lines of a table.
fn header<const N: usize>(names: [&str; N]) -> String {
    row(names) + &format!("|{}\n", "---|".repeat(N))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pages_are_up_to_date() {
        for (path, page) in PAGES {
            let committed = fs::read_to_string(workspace::root().join(path)).expect("the page is there");
            assert!(page().expect("a page") == committed, "{path} is out of date: run `cargo xtask docs`");
        }
    }
}
