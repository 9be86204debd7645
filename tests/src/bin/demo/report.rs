//! What the demo prints.

use std::time::Duration;

pub(crate) use acceptance::report::Report;

/// Something that happened on a receipt's way, so long after its POST.
pub(crate) struct Hop {
    pub(crate) after: Duration,
    pub(crate) what: String,
}

/// A new part of the story.
pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

/// Something worth knowing.
pub(crate) fn line(text: &str) {
    println!("  {text}");
}

/// Hops in the order they happened.
pub(crate) fn hops(mut hops: Vec<Hop>) {
    hops.sort_by_key(|hop| hop.after);
    for hop in hops {
        println!("  {:>5} ms  {}", hop.after.as_millis(), hop.what);
    }
}
