//! What the door knows of the sockets behind which pushes end.
//!
//! API Gateway answers 410 for a socket whose client has gone. The emulator does not know of a client that the door
//! keeps from it, and for half a second after a close it still answers 200 and drops the frame. The door sees every
//! frame on its way, so it waits for the one that was pushed: a 200 that no living socket stands behind becomes 410.
//! From the first frame on the door knows which socket a connection id belongs to.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How long a frame may be under way between the emulator's answer and the door. It comes at once or never; the SDK
/// waits for 1.5 s.
const FRAME_WITHIN: Duration = Duration::from_secs(1);

/// For how long after a socket of unknown connection has ended a frame that does not come is taken to have been for it.
const ENDED_LATELY: Duration = Duration::from_secs(3);

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
    awaited: HashMap<String, Vec<oneshot::Sender<(u64, Fate)>>>,
    /// How many sockets there have been; the last one's number.
    opened: u64,
    /// The numbers of those that have a client.
    open: HashSet<u64>,
    /// The socket behind the path of a connection, once a frame has shown it.
    shown: HashMap<String, u64>,
    /// When a socket ended last that no frame had shown.
    ended: Option<Instant>,
    /// How often the next pushes to a connection are to be refused with 429, by its id.
    throttled: HashMap<String, u32>,
}

/// One socket of a door. It has a client until it is dropped.
pub(super) struct Socket {
    sockets: Sockets,
    number: u64,
}

/// A frame that is about to be pushed.
pub(super) struct Awaited {
    sockets: Sockets,
    path: String,
    seen: oneshot::Receiver<(u64, Fate)>,
}

impl Sockets {
    /// Notes a new socket.
    pub(super) fn open(&self) -> Socket {
        let mut state = self.state();
        state.opened += 1;
        let number = state.opened;
        state.open.insert(number);
        drop(state);
        Socket { sockets: self.clone(), number }
    }

    /// Notes that a frame is about to be pushed to the connection at `path`.
    pub(super) fn await_frame(&self, path: &str, text: String) -> Awaited {
        let (sender, seen) = oneshot::channel();
        self.state().awaited.entry(text).or_default().push(sender);
        Awaited { sockets: self.clone(), path: path.to_owned(), seen }
    }

    /// Whether the client of the connection at this path is known to have gone.
    pub(super) fn is_gone(&self, path: &str) -> bool {
        let state = self.state();
        state.shown.get(path).is_some_and(|number| !state.open.contains(number))
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

impl Socket {
    /// Notes that a frame has come out of the API, and whether there was a client to hand it to.
    pub(super) fn frame_came(&self, text: &str, fate: Fate) {
        let mut state = self.sockets.state();
        let Some(waiting) = state.awaited.get_mut(text) else { return };
        // One frame is one push. Those who have given up waiting are passed over.
        while let Some(sender) = waiting.pop() {
            if sender.send((self.number, fate)).is_ok() {
                break;
            }
        }
        if waiting.is_empty() {
            state.awaited.remove(text);
        }
    }

    /// Notes that the client has gone, or is about to be cut.
    pub(super) fn has_ended(&self) {
        let mut state = self.sockets.state();
        let was_open = state.open.remove(&self.number);
        if was_open && !state.shown.values().any(|number| *number == self.number) {
            state.ended = Some(Instant::now());
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.has_ended();
    }
}

impl Awaited {
    /// What became of the frame, once the API has taken it.
    pub(super) async fn fate(self) -> Fate {
        if let Ok(Ok((number, fate))) = tokio::time::timeout(FRAME_WITHIN, self.seen).await {
            self.sockets.state().shown.insert(self.path, number);
            return fate;
        }
        let state = self.sockets.state();
        let gone = match state.shown.get(&self.path) {
            Some(number) => !state.open.contains(number),
            // Without a socket that ended lately it is not for us to doubt the API's word: the socket may not be behind
            // this door.
            None => state.ended.is_some_and(|ended| ended.elapsed() < ENDED_LATELY),
        };
        if gone { Fate::Gone } else { Fate::Delivered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_comes_decides() {
        let sockets = Sockets::default();
        let socket = sockets.open();
        for fate in [Fate::Delivered, Fate::Gone] {
            let awaited = sockets.await_frame("a", "frame".to_owned());
            socket.frame_came("another", Fate::Gone);
            socket.frame_came("frame", fate);
            assert_eq!(awaited.fate().await, fate);
        }
        assert!(sockets.state().awaited.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_a_frame_has_shown_is_gone_when_its_socket_is() {
        let sockets = Sockets::default();
        let (socket, bystander) = (sockets.open(), sockets.open());
        let shown = sockets.await_frame("a", "frame".to_owned());
        socket.frame_came("frame", Fate::Delivered);
        assert_eq!(shown.fate().await, Fate::Delivered);
        bystander.has_ended();
        assert_eq!(sockets.await_frame("a", "late".to_owned()).fate().await, Fate::Delivered);
        assert!(!sockets.is_gone("a"));
        let under_way = sockets.await_frame("a", "lost".to_owned());
        drop(socket);
        assert!(sockets.is_gone("a") && !sockets.is_gone("b"));
        assert_eq!(under_way.fate().await, Fate::Gone);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_for_an_unknown_socket_is_lost_only_where_one_has_ended() {
        let sockets = Sockets::default();
        assert_eq!(sockets.await_frame("a", "frame".to_owned()).fate().await, Fate::Delivered);
        drop(sockets.open());
        assert_eq!(sockets.await_frame("a", "frame".to_owned()).fate().await, Fate::Gone);
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
