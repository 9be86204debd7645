//! Virtual time: what is to happen when, and who waits for something to change.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::Waker;

use crate::world::World;

pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Deed = Box<dyn FnOnce(&mut World) + Send>;

/// What a moment brings.
pub(crate) enum Event {
    /// Somebody has slept enough.
    Wake(Waker),
    /// Something happens by itself.
    Happen(Deed),
}

/// The clock and everything that hangs on it.
pub(crate) struct Schedule {
    now_ms: u64,
    /// By time and then by the order in which they were asked for, so that a tie is always broken the same way.
    events: BTreeMap<(u64, u64), Event>,
    asked: u64,
    watchers: Vec<Waker>,
    spawned: Vec<Task>,
}

impl Schedule {
    pub(crate) const fn starting_at(now_ms: u64) -> Self {
        Self { now_ms, events: BTreeMap::new(), asked: 0, watchers: Vec::new(), spawned: Vec::new() }
    }

    pub(crate) const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn at(&mut self, at_ms: u64, event: Event) {
        self.asked += 1;
        self.events.insert((at_ms.max(self.now_ms), self.asked), event);
    }

    pub(crate) fn happen_in(&mut self, after_ms: u64, deed: impl FnOnce(&mut World) + Send + 'static) {
        self.at(self.now_ms + after_ms, Event::Happen(Box::new(deed)));
    }

    pub(crate) fn watch(&mut self, watcher: &Waker) {
        if !self.watchers.iter().any(|known| known.will_wake(watcher)) {
            self.watchers.push(watcher.clone());
        }
    }

    /// Wakes everybody who waits for the world to change.
    pub(crate) fn changed(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }

    pub(crate) fn spawn(&mut self, task: Task) {
        self.spawned.push(task);
    }

    pub(crate) fn take_spawned(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.spawned)
    }

    /// Goes to the next event, if there is one up to `until_ms`, and otherwise to `until_ms`.
    pub(crate) fn advance(&mut self, until_ms: u64) -> Option<Event> {
        let due = self.events.first_entry().filter(|entry| entry.key().0 <= until_ms);
        let Some(entry) = due else {
            self.now_ms = until_ms;
            return None;
        };
        self.now_ms = entry.key().0;
        Some(entry.remove())
    }
}
