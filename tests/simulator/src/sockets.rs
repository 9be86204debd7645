//! API Gateway's sockets.

use std::collections::BTreeMap;

use backbone::connection::ConnectionRef;
use backbone::did::AgentDid;
use backbone::stores::{Closed, Push};

/// How long API Gateway keeps a socket at most, in milliseconds.
pub(crate) const SOCKET_LIFE_MS: u64 = 2 * 60 * 60 * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketState {
    /// `$connect` has not returned: pushes and closes answer 410.
    Opening,
    Open,
    Closed,
}

#[derive(Debug)]
struct Socket {
    agent: AgentDid,
    /// The session on whose token it was dialled.
    session: u64,
    state: SocketState,
    /// What API Gateway says of when it was opened.
    connected_ms: u64,
}

/// Every socket there ever was, by its id.
#[derive(Debug, Default)]
pub(crate) struct Sockets(BTreeMap<String, Socket>);

impl Sockets {
    /// Begins a handshake with the token of a session.
    pub(crate) fn begin(&mut self, agent: &AgentDid, session: u64, now_ms: u64) -> ConnectionRef {
        let connection_id = format!("c{}", self.0.len() + 1);
        let socket =
            Socket { agent: agent.clone(), session, state: SocketState::Opening, connected_ms: now_ms };
        self.0.insert(connection_id.clone(), socket);
        ConnectionRef { agent: agent.clone(), connection_id, connected_at_ms: now_ms }
    }

    /// Has API Gateway say that a handshake began only now, when its authorizer has decided.
    pub(crate) fn begin_later(&mut self, connection: &mut ConnectionRef, now_ms: u64) {
        connection.connected_at_ms = now_ms;
        if let Some(socket) = self.0.get_mut(&connection.connection_id) {
            socket.connected_ms = now_ms;
        }
    }

    /// Changes a socket's state; a closed one stays closed.
    pub(crate) fn set(&mut self, connection_id: &str, state: SocketState) {
        if let Some(socket) = self.0.get_mut(connection_id)
            && socket.state != SocketState::Closed
        {
            socket.state = state;
        }
    }

    pub(crate) fn is(&self, connection_id: &str, state: SocketState) -> bool {
        self.0.get(connection_id).is_some_and(|socket| socket.state == state)
    }

    /// Whose socket it is.
    pub(crate) fn agent(&self, connection_id: &str) -> Option<&AgentDid> {
        self.0.get(connection_id).map(|socket| &socket.agent)
    }

    /// The session on whose token a socket was dialled, and when it was opened.
    pub(crate) fn origin(&self, connection_id: &str) -> Option<(u64, u64)> {
        self.0.get(connection_id).map(|socket| (socket.session, socket.connected_ms))
    }

    /// When an agent's newest socket was opened, in milliseconds since the Unix epoch; 0 if there was none.
    pub(crate) fn last_connected_ms(&self, agent: &AgentDid) -> u64 {
        let theirs = self.0.values().filter(|socket| socket.agent == *agent);
        theirs.map(|socket| socket.connected_ms).max().unwrap_or_default()
    }

    /// How often an agent's connectors have dialled.
    pub(crate) fn dialled_by(&self, agent: &AgentDid) -> u64 {
        let theirs = self.0.values().filter(|socket| socket.agent == *agent);
        u64::try_from(theirs.count()).expect("a count fits")
    }

    /// The answer to a frame, faults apart.
    pub(crate) fn push(&self, connection_id: &str) -> Push {
        if self.is(connection_id, SocketState::Open) { Push::Taken } else { Push::Gone }
    }

    /// Closes a socket from our side.
    pub(crate) fn close(&mut self, connection_id: &str) -> Closed {
        if !self.is(connection_id, SocketState::Open) {
            return Closed::Gone;
        }
        self.set(connection_id, SocketState::Closed);
        Closed::Closed
    }

    /// Whether a handshake of an agent is under way.
    pub(crate) fn is_opening(&self, agent: &AgentDid) -> bool {
        self.0.values().any(|socket| socket.agent == *agent && socket.state == SocketState::Opening)
    }

    /// The open sockets of an agent.
    pub(crate) fn open_of<'a>(&'a self, agent: &'a AgentDid) -> impl Iterator<Item = &'a str> {
        let is_open = move |socket: &Socket| socket.agent == *agent && socket.state == SocketState::Open;
        self.0.iter().filter(move |(_, socket)| is_open(socket)).map(|(id, _)| id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_takes_frames_only_while_it_is_open() {
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        let mut sockets = Sockets::default();
        let id = sockets.begin(&agent, 0, 7).connection_id;
        assert_eq!((sockets.push(&id), sockets.close(&id)), (Push::Gone, Closed::Gone));
        sockets.set(&id, SocketState::Open);
        assert_eq!(sockets.push(&id), Push::Taken);
        assert_eq!(sockets.open_of(&agent).count(), 1);
        assert_eq!(sockets.close(&id), Closed::Closed);
        sockets.set(&id, SocketState::Open);
        assert_eq!((sockets.push(&id), sockets.close(&id)), (Push::Gone, Closed::Gone));
    }
}
