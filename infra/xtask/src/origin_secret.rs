//! What the front door proves itself with to the functions of this run's stack.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;

use crate::failure::Failure;

/// 64 hexadecimal digits.
pub(crate) struct OriginSecret(String);

impl OriginSecret {
    /// A secret that nobody has had.
    pub(crate) fn generate() -> Result<Self, Failure> {
        let mut random = [0_u8; 32];
        File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut random))
            .map_err(|error| Failure::io("cannot read /dev/urandom", &error))?;
        let mut text = String::with_capacity(64);
        for byte in random {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_new() {
        let [one, other] = [(); 2].map(|()| OriginSecret::generate().expect("randomness").0);
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }
}
