//! The identity tokens that this instance has verified: an agent sends the same one with every request for weeks.
//!
//! Only the signature and the claims stay verified. The registry's key, the token's time and every revocation are
//! looked at again with each request, so a held token ends when any other would.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ed25519_dalek::VerifyingKey;

use super::ait::Ait;

/// Tokens of one generation, of which there are two. A token and what is known of it are about 1 KB.
const GENERATION: usize = 128;

/// The tokens used last, at least [`GENERATION`] of them.
#[derive(Debug, Default)]
pub(super) struct AitMemory(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<String, HeldAit>,
    /// Those that were young before. One that is used becomes young again.
    old: HashMap<String, HeldAit>,
}

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
        let mut generations = self.generations();
        if let Some(held) = generations.young.get(token) {
            return Some(held.clone());
        }
        let (token, held) = generations.old.remove_entry(token)?;
        generations.keep(token, held.clone());
        Some(held)
    }

    /// Keeps a token that was verified just now.
    pub(super) fn keep(&self, token: &str, held: HeldAit) {
        self.generations().keep(token.to_owned(), held);
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        // What a panic may have left out is verified again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn keep(&mut self, token: String, held: HeldAit) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> HeldAit {
        HeldAit { ait: Ait::any(), kid: "k".to_owned(), key: VerifyingKey::default() }
    }

    #[test]
    fn tokens_in_use_stay_and_the_others_go() {
        let memory = AitMemory::default();
        memory.keep("used", held());
        for number in 0..10 * GENERATION {
            assert!(memory.held("used").is_some(), "{number}");
            memory.keep(&number.to_string(), held());
        }
        assert!(memory.held("0").is_none());
        let generations = memory.generations();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
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
