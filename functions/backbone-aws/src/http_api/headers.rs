//! The headers of a request, as far as they are read here.

use std::collections::BTreeMap;
use std::fmt;

use backbone::front_door::ORIGIN_HEADER;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The client's own id of its request (contract 1.4).
pub(super) const REQUEST_ID: &str = "x-request-id";

/// Every header that a function reads, in lower case. A client, the front door and API Gateway send at least as many
/// others, and to keep one would cost 1,900 instructions, of the 200,000 that a refusal may take (budget P6).
const READ: [&str; 10] = [
    "authorization",
    "x-claw-agent-access",
    "x-claw-body-sha256",
    "x-claw-nonce",
    "x-claw-proof",
    "x-claw-service-id",
    "x-claw-service-secret",
    "x-claw-timestamp",
    ORIGIN_HEADER,
    REQUEST_ID,
];

/// The headers that are [`READ`]. So few are found sooner than hashed.
#[derive(Debug, Default)]
pub(super) struct Headers(BTreeMap<&'static str, String>);

impl Headers {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(READ.contains(&name), "{name} is never read out of an event");
        self.0.get(name).map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OfAll)
    }
}

/// Picks them out of all that came.
struct OfAll;

impl<'de> Visitor<'de> for OfAll {
    type Value = Headers;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("headers by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::default();
        while let Some(read) = all.next_key_seed(Name)? {
            match read {
                Some(name) => drop(headers.0.insert(name, all.next_value()?)),
                None => drop(all.next_value::<IgnoredAny>()?),
            }
        }
        Ok(headers)
    }
}

/// Its name, if it is one that is read.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a header's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(READ.into_iter().find(|read| *read == name))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use backbone::auth::SignedRequest;

    use super::*;

    fn headers(text: &str) -> Headers {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_read_is_kept_and_the_rest_passed_over() {
        let found =
            headers(r#"{"via":"1.1 x","x-claw-nonce":"n\u00e9","x-odd\"":"","authorization":"Claw t"}"#);
        assert_eq!(found.get("x-claw-nonce"), Some("né"));
        assert_eq!(found.get("authorization"), Some("Claw t"));
        assert_eq!(found.get("x-claw-proof"), None);
        assert_eq!(found.0.len(), 2);
    }

    #[test]
    fn all_that_authentication_asks_for_is_read() {
        let asked = RefCell::new(Vec::new());
        let _request = SignedRequest::read("GET", &[], b"", |name| {
            asked.borrow_mut().push(name.to_owned());
            None
        });
        let asked = asked.into_inner();
        assert!(asked.len() > 5 && asked.iter().all(|name| READ.contains(&name.as_str())), "{asked:?}");
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "x-other is never read")]
    fn a_header_that_is_never_read_is_not_asked_for() {
        let _found = Headers::default().get("x-other");
    }
}
