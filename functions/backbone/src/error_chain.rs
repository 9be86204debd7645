//! Printing an error with its causes, once, at the edge.

use std::error::Error;
use std::fmt;

/// Writes an error and its sources, joined by `: `.
///
/// Our own errors say one thing each and leave the cause to `source()`. AWS's SDK repeats itself on the way down, so
/// equal neighbours are written once.
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        formatter.write_str(&last)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if text != last {
                write!(formatter, ": {text}")?;
                last = text;
            }
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn causes_follow_and_repetitions_do_not() {
        let error =
            Layer("send failed", Some(Box::new(Layer("reset", Some(Box::new(Layer("reset", None)))))));
        assert_eq!(ErrorChain(&error).to_string(), "send failed: reset");
    }
}
