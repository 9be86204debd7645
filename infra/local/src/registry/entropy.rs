//! Where keys, identifiers and tokens get their randomness.

use std::io;

use sha2::{Digest, Sha256};
use ulid::Ulid;

/// A stream of random blocks, repeatable when it comes from a seed.
pub struct Entropy {
    seed: [u8; 32],
    drawn: u64,
}

impl Entropy {
    /// The same text gives the same keys and tokens, request for request. Only what contains the time differs.
    #[must_use]
    pub fn from_seed(text: &str) -> Self {
        Self { seed: Sha256::digest(text).into(), drawn: 0 }
    }

    /// Different at every start.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub fn from_system() -> io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self { seed, drawn: 0 })
    }

    /// The next block: SHA-256 of the seed and a counter.
    pub(super) fn block(&mut self) -> [u8; 32] {
        self.drawn += 1;
        Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize().into()
    }

    /// A ULID of this millisecond.
    pub(super) fn ulid(&mut self, now_ms: u64) -> String {
        let random = *self.block().first_chunk().expect("a block is longer than 16 bytes");
        Ulid::from_parts(now_ms, u128::from_be_bytes(random)).to_string()
    }
}
