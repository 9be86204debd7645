//! A memory that forgets what has not been used for long.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// What was used last: at least `GENERATION` entries, at most twice as many.
#[derive(Debug)]
pub(super) struct LastUsed<K, V, const GENERATION: usize> {
    young: HashMap<K, V>,
    /// Those that were young before. One that is used becomes young again.
    old: HashMap<K, V>,
}

impl<K, V, const GENERATION: usize> Default for LastUsed<K, V, GENERATION> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash, V, const GENERATION: usize> LastUsed<K, V, GENERATION> {
    /// What `look` makes of the entry, if it is remembered.
    pub(super) fn find<Q, R>(&mut self, key: &Q, look: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(value) = self.young.get_mut(key) {
            return Some(look(value));
        }
        let (key, mut value) = self.old.remove_entry(key)?;
        let found = look(&mut value);
        self.keep(key, value);
        Some(found)
    }

    /// Remembers an entry.
    pub(super) fn keep(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_others_go() {
        const GENERATION: usize = 8;
        let mut memory = LastUsed::<usize, &str, GENERATION>::default();
        memory.keep(0, "used");
        for number in 1..10 * GENERATION {
            assert_eq!(memory.find(&0, |value| *value), Some("used"), "{number}");
            memory.keep(number, "once");
            assert!(memory.young.len() + memory.old.len() <= 2 * GENERATION, "{number}");
        }
        assert!(memory.find(&1, |_| ()).is_none());
        assert!(memory.find(&(9 * GENERATION), |_| ()).is_some());
    }
}
