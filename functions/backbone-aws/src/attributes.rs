//! Attributes of items: how values are written, and read back without trusting them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use backbone::error_chain::ErrorChain;
use backbone::stores::StoreError;

/// An item, or the key of one.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// A text attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// An item of these attributes.
pub(crate) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// An item that was read, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) operation: &'static str,
    pub(crate) item: &'a Item,
}

impl<'a> Row<'a> {
    /// The text `name`, if it is there and a text.
    pub(crate) fn find_text(self, name: &str) -> Option<&'a str> {
        self.item.get(name)?.as_s().ok().map(String::as_str)
    }

    /// The number `name`, if it is there and a whole number.
    pub(crate) fn find_number(self, name: &str) -> Option<u64> {
        self.item.get(name)?.as_n().ok()?.parse().ok()
    }

    /// The number `name`, which must be one if it is there.
    pub(crate) fn optional_number(self, name: &'static str) -> Result<Option<u64>, StoreError> {
        self.item.get(name).map(|_| self.number(name)).transpose()
    }

    /// The number `name`, which must be there.
    pub(crate) fn number(self, name: &'static str) -> Result<u64, StoreError> {
        self.find_number(name).ok_or_else(|| self.corrupt(name))
    }

    /// The text `name`, which must be there and mean something to `parse`.
    pub(crate) fn parse<T>(
        self,
        name: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, StoreError> {
        self.find_text(name).and_then(parse).ok_or_else(|| self.corrupt(name))
    }

    /// The text `name`, which must mean something to `parse` if it is there.
    pub(crate) fn optional<T>(
        self,
        name: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        self.item.get(name).map(|_| self.parse(name, parse)).transpose()
    }

    /// Says which row cannot be read, by the attributes that are its key: those are names and no secrets.
    pub(crate) fn log_unreadable(self, agent: &str, item: &str, error: &StoreError) {
        let (agent, item) = (self.find_text(agent), self.find_text(item));
        tracing::error!(agent.did = agent, item, "passed over: {}", ErrorChain(error));
    }

    fn corrupt(self, what: &'static str) -> StoreError {
        StoreError::Corrupt { operation: self.operation, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let item = item([("word", text("x")), ("largest", number(u64::MAX))]);
        let row = Row { operation: "test", item: &item };
        assert_eq!(row.find_text("word"), Some("x"));
        assert_eq!(row.number("largest").unwrap(), u64::MAX);
        assert_eq!(row.optional_number("none").unwrap(), None);
        assert_eq!(row.optional("none", Some).unwrap(), None);
        assert_eq!(row.optional("word", Some).unwrap(), Some("x"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let item = item([("word", text("x")), ("part", AttributeValue::N("1.5".to_owned()))]);
        let row = Row { operation: "test", item: &item };
        for (error, name) in [
            (row.number("word").unwrap_err(), "word"),
            (row.number("none").unwrap_err(), "none"),
            (row.optional_number("part").unwrap_err(), "part"),
            (row.parse("word", |_| None::<()>).unwrap_err(), "word"),
            (row.parse("part", Some).unwrap_err(), "part"),
            (row.optional("part", Some).unwrap_err(), "part"),
        ] {
            assert_eq!(error.to_string(), format!("test found an item that cannot be read: {name}"));
        }
    }
}
