//! Whether a request came through the front door (design 9).
//!
//! The two APIs have hosts of their own that anybody can reach. The front door adds a header with a secret to what it
//! passes on; what lacks it went around.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// The header that the front door adds, in lower case.
pub const ORIGIN_HEADER: &str = "x-origin-verify";

/// The shortest secret that is one: 32 characters from a generator cannot be guessed.
const SECRET_BYTES_MIN: usize = 32;

/// Which way requests may come.
#[derive(Debug)]
pub enum FrontDoor {
    /// Any way.
    Optional,
    /// Only with this secret.
    Required(OriginSecret),
}

/// What the front door proves itself with.
pub struct OriginSecret(String);

impl OriginSecret {
    /// A secret, unless it is too short to be one.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        (secret.len() >= SECRET_BYTES_MIN).then(|| Self(secret.to_owned()))
    }
}

impl fmt::Debug for OriginSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OriginSecret")
    }
}

impl FrontDoor {
    /// Whether a request with this value of [`ORIGIN_HEADER`] may come in. How long that takes says nothing about the
    /// secret.
    #[must_use]
    pub fn admits(&self, header: Option<&str>) -> bool {
        match self {
            Self::Optional => true,
            Self::Required(OriginSecret(secret)) => {
                header.is_some_and(|header| bool::from(header.as_bytes().ct_eq(secret.as_bytes())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn only_the_very_secret_opens() {
        let door = FrontDoor::Required(OriginSecret::new(SECRET).unwrap());
        assert!(door.admits(Some(SECRET)));
        let longer = format!("{SECRET}0");
        for other in
            [None, Some(""), Some(&SECRET[..31]), Some(longer.as_str()), Some(&SECRET.to_uppercase())]
        {
            assert!(!door.admits(other), "{other:?}");
            assert!(FrontDoor::Optional.admits(other));
        }
    }

    #[test]
    fn what_is_short_is_no_secret_and_none_is_printed() {
        assert!(OriginSecret::new(&SECRET[..31]).is_none());
        let door = FrontDoor::Required(OriginSecret::new(SECRET).unwrap());
        assert!(!format!("{door:?}").contains("0123"));
    }
}
