//! What the door knows of the sockets behind which pushes end.
//!
//! API Gateway answers 410 for a socket whose client has gone. The emulator does not know of a client that the door
//! keeps from it, and for half a second after a close it still answers 200 and drops the frame. The door sees every
//! frame on its way, so it waits for the one that was pushed: a 200 that no living socket stands behind becomes 410.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How long a frame may be under way between the emulator's answer and the door. It comes at once or never; the SDK
/// waits for 1.5 s.
const FRAME_WITHIN: Duration = Duration::from_secs(1);

/// For how long after a socket has ended a frame that does not come is taken to have been for that one.
const CLOSED_LATELY: Duration = Duration::from_secs(3);

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was handed to a client, or at least nothing says otherwise.
    Delivered,
    /// It was for a client that has gone.
    Gone,
}

/// Shared by all doors of one process. Cloning shares the state.
#[derive(Clone, Default)]
pub(super) struct Sockets(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Frames that were pushed and have not been seen, by their text.
    awaited: HashMap<String, Vec<oneshot::Sender<Fate>>>,
    /// The paths of connections whose clients have gone.
    gone: HashSet<String>,
    /// How often the next pushes to a connection are to be refused with 429, by its id.
    throttled: HashMap<String, u32>,
    /// When a socket ended last.
    ended: Option<Instant>,
}

/// A frame that is about to be pushed.
pub(super) struct Awaited {
    sockets: Sockets,
    seen: oneshot::Receiver<Fate>,
}

impl Sockets {
    /// Notes that a frame is about to be pushed.
    pub(super) fn await_frame(&self, text: String) -> Awaited {
        let (sender, seen) = oneshot::channel();
        self.state().awaited.entry(text).or_default().push(sender);
        Awaited { sockets: self.clone(), seen }
    }

    /// Notes that a frame has come out of the API, and whether there was a client to hand it to.
    pub(super) fn frame_came(&self, text: &str, fate: Fate) {
        let mut state = self.state();
        let Some(waiting) = state.awaited.get_mut(text) else { return };
        // Whoever has given up waiting is told as well, and does not hear it.
        let taken = waiting.pop();
        if waiting.is_empty() {
            state.awaited.remove(text);
        }
        drop(state);
        let _ = taken.map(|sender| sender.send(fate));
    }

    /// Notes that a socket has ended, or is about to.
    pub(super) fn one_ended(&self) {
        self.state().ended = Some(Instant::now());
    }

    /// Notes that the client of the connection at this path has gone.
    pub(super) fn is_gone_from_now_on(&self, path: &str) {
        self.state().gone.insert(path.to_owned());
    }

    /// Whether the client of the connection at this path is known to have gone.
    pub(super) fn is_gone(&self, path: &str) -> bool {
        self.state().gone.contains(path)
    }

    /// Has the next pushes to a connection refused with 429.
    pub(super) fn throttle(&self, connection_id: &str, times: u32) {
        self.state().throttled.insert(connection_id.to_owned(), times);
    }

    /// Whether this push is one of those to refuse.
    pub(super) fn is_throttled(&self, path: &str) -> bool {
        let mut state = self.state();
        let id = path.rsplit('/').next().unwrap_or_default();
        state.throttled.get_mut(id).is_some_and(|left| {
            let refused = *left > 0;
            *left = left.saturating_sub(1);
            refused
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No update is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Awaited {
    /// What became of the frame, once the API has taken it.
    pub(super) async fn fate(self) -> Fate {
        if let Ok(Ok(fate)) = tokio::time::timeout(FRAME_WITHIN, self.seen).await {
            return fate;
        }
        // Without a socket that ended lately it is not for us to doubt the API's word: the socket may not be behind
        // this door.
        let ended = self.sockets.state().ended;
        if ended.is_some_and(|ended| ended.elapsed() < CLOSED_LATELY) { Fate::Gone } else { Fate::Delivered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_comes_decides() {
        let sockets = Sockets::default();
        for fate in [Fate::Delivered, Fate::Gone] {
            let awaited = sockets.await_frame("frame".to_owned());
            sockets.frame_came("another", Fate::Gone);
            sockets.frame_came("frame", fate);
            assert_eq!(awaited.fate().await, fate);
        }
        assert!(sockets.state().awaited.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_does_not_come_is_lost_only_where_a_socket_has_ended() {
        let sockets = Sockets::default();
        assert_eq!(sockets.await_frame("frame".to_owned()).fate().await, Fate::Delivered);
        sockets.one_ended();
        assert_eq!(sockets.await_frame("frame".to_owned()).fate().await, Fate::Gone);
    }

    #[test]
    fn a_connection_is_throttled_as_often_as_told() {
        let sockets = Sockets::default();
        sockets.throttle("abc=", 2);
        let refused = [1, 2, 3].map(|_| sockets.is_throttled("/api/stage/@connections/abc="));
        assert_eq!(refused, [true, true, false]);
        assert!(!sockets.is_throttled("/api/stage/@connections/other"));
    }
}
