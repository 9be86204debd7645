//! The identity tokens that this instance has verified: an agent sends the same one with every request for weeks.
//!
//! Only the signature and the claims stay verified. The registry's key, the token's time and every revocation are
//! looked at again with each request, so a held token ends when any other would.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ed25519_dalek::VerifyingKey;

use super::ait::Ait;
use super::last_used::LastUsed;

/// Tokens of one generation, of which there are two. A token and what is known of it are about 1 KB.
const GENERATION: usize = 128;

/// The tokens used last, at least [`GENERATION`] of them.
#[derive(Debug, Default)]
pub(super) struct AitMemory(Mutex<Tokens>);

type Tokens = LastUsed<String, HeldAit, GENERATION>;

/// A token that was verified once.
#[derive(Clone, Debug)]
pub(super) struct HeldAit {
    /// What it said.
    pub(super) ait: Ait,
    /// The name of the key that it was verified with.
    pub(super) kid: String,
    /// That key.
    pub(super) key: VerifyingKey,
}

impl AitMemory {
    /// What is known of `token`, compared to its last character.
    pub(super) fn held(&self, token: &str) -> Option<HeldAit> {
        self.tokens().find(token, |held| held.clone())
    }

    /// Keeps a token that was verified just now.
    pub(super) fn keep(&self, token: &str, held: HeldAit) {
        self.tokens().keep(token.to_owned(), held);
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        // What a panic may have left out is verified again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> HeldAit {
        HeldAit { ait: Ait::any(), kid: "k".to_owned(), key: VerifyingKey::default() }
    }

    #[test]
    fn another_token_is_not_known() {
        let memory = AitMemory::default();
        memory.keep("a.b.c", held());
        assert!(memory.held("a.b.c").is_some());
        assert!(memory.held("a.b.d").is_none());
        assert!(memory.held("a.b.").is_none());
    }
}
