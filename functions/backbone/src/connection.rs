//! An agent's sockets: lease, supersede, the brake on reconnect wars, and the quarantine (design 4 and 5).

use crate::did::AgentDid;
use crate::limits::{
    CONNECTION_OPENING_MS, DRAIN_ANNOUNCEMENT_MS, QUARANTINE_PROBE_MS, QUICK_SUPERSEDE_MS,
    QUICK_SUPERSEDES_MAX, RECONNECT_BRAKE_MS, SHORT_LIFE_MS, SHORT_LIVES_MAX, SHORT_LIVES_WINDOW_MS,
};

/// One particular socket of one agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionRef {
    /// Whose socket it is.
    pub agent: AgentDid,
    /// API Gateway's id of it.
    pub connection_id: String,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub connected_at_ms: u64,
}

impl ConnectionRef {
    /// Whether API Gateway may still be opening this socket at `now_ms`, so that a 410 does not mean gone.
    #[must_use]
    pub const fn may_be_opening(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.connected_at_ms) < CONNECTION_OPENING_MS
    }
}

/// The socket that an agent's row names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// API Gateway's id of it.
    pub connection_id: String,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub connected_at_ms: u64,
    /// When API Gateway will have ended it at the latest, in milliseconds since the Unix epoch.
    pub lease_expires_at_ms: u64,
}

/// What an agent's row remembers of earlier sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionHistory {
    /// How often in a row a socket was displaced within
    /// [`QUICK_SUPERSEDE_MS`](crate::limits::QUICK_SUPERSEDE_MS) of its start.
    pub quick_supersedes: u32,
    /// How often a socket died shortly after a drain had begun, since `short_lives_since_ms`.
    pub short_lives: u32,
    /// When the first of them was noticed, in milliseconds since the Unix epoch.
    pub short_lives_since_ms: u64,
    /// When a drain was last tried on an earlier socket, in milliseconds since the Unix epoch; 0 if never.
    pub last_drain_ms: u64,
}

/// An agent's row in the connections table. It outlives its socket, for the sake of its history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionRow {
    /// The newest socket, until it is known to be gone.
    pub live: Option<Live>,
    /// When a drain of the newest socket began, in milliseconds since the Unix epoch.
    pub drain_started_at_ms: Option<u64>,
    /// When a drain of the newest socket was last announced for later, in milliseconds since the Unix epoch.
    pub drain_announced_at_ms: Option<u64>,
    /// What happened to the sockets before it.
    pub history: ConnectionHistory,
}

/// What a drain may do with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feeding {
    /// Push whatever waits.
    Freely,
    /// The agent's connectors have died of receipts: push one, and see whether this one lives.
    Probe,
    /// It was given one receipt and has lived on: the quarantine is over.
    Recovered,
    /// Nothing now; look again after so many milliseconds.
    After(u64),
}

impl ConnectionHistory {
    /// Whether the agent's receipts are to wait in the mailbox because its connectors die of them.
    #[must_use]
    pub const fn is_quarantined(&self) -> bool {
        self.short_lives >= SHORT_LIVES_MAX
    }
}

impl ConnectionRow {
    /// The socket to push to at `now_ms`: the newest, unless its lease is over.
    #[must_use]
    pub fn current(&self, now_ms: u64) -> Option<&Live> {
        self.live.as_ref().filter(|live| now_ms < live.lease_expires_at_ms)
    }

    /// Whether a drain of the newest socket is announced that will find whatever is in the mailbox at `now_ms`.
    #[must_use]
    pub fn has_drain_announced(&self, now_ms: u64) -> bool {
        let announced_ms = self.drain_announced_at_ms.map(|at_ms| now_ms.saturating_sub(at_ms));
        announced_ms.is_some_and(|passed_ms| passed_ms < DRAIN_ANNOUNCEMENT_MS)
    }

    /// What a drain may do with the newest socket at `now_ms`.
    #[must_use]
    pub fn feeding(&self, now_ms: u64) -> Feeding {
        if !self.history.is_quarantined() {
            return Feeding::Freely;
        }
        let (since_ms, wait_ms) = match self.drain_started_at_ms {
            Some(probed_ms) => (probed_ms, SHORT_LIFE_MS),
            None => (self.history.last_drain_ms, QUARANTINE_PROBE_MS),
        };
        let passed_ms = now_ms.saturating_sub(since_ms);
        match self.drain_started_at_ms {
            _ if passed_ms < wait_ms => Feeding::After(wait_ms - passed_ms),
            Some(_) => Feeding::Recovered,
            None => Feeding::Probe,
        }
    }

    /// The history that a socket opened at `now_ms` starts with.
    fn history_at(&self, now_ms: u64) -> ConnectionHistory {
        let mut history = self.history;
        if let Some(drained_ms) = self.drain_started_at_ms {
            history.last_drain_ms = drained_ms;
            let survived = now_ms.saturating_sub(drained_ms) > SHORT_LIFE_MS;
            let window_over = now_ms.saturating_sub(history.short_lives_since_ms) > SHORT_LIVES_WINDOW_MS;
            if survived {
                history.short_lives = 0;
            } else if window_over && !history.is_quarantined() {
                history.short_lives = 1;
                history.short_lives_since_ms = now_ms;
            } else {
                history.short_lives = history.short_lives.saturating_add(1);
            }
        }
        history
    }
}

impl Live {
    /// This socket, as one of `agent`.
    #[must_use]
    pub fn of(&self, agent: &AgentDid) -> ConnectionRef {
        ConnectionRef {
            agent: agent.clone(),
            connection_id: self.connection_id.clone(),
            connected_at_ms: self.connected_at_ms,
        }
    }
}

/// What `$connect` is to do with a newcomer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a newcomer may have to be refused"]
pub enum Admission {
    /// The newcomer becomes the current connection; the one it displaces, if any, is to be closed.
    Admit {
        /// The row's history from now on.
        history: ConnectionHistory,
        /// The socket to close once the row names the newcomer.
        displaced: Option<ConnectionRef>,
    },
    /// The row names a socket that opened later: this one has lost the race already.
    Outrun,
    /// Two connectors of one agent keep evicting each other: the older stays, the newcomer is refused.
    Brake {
        /// How much longer newcomers are refused, in milliseconds.
        left_ms: u64,
    },
}

/// Decides about a newcomer, given the row as it is.
///
/// The newest connection wins. Connectors do not read close codes and come back half a second after a close, so two
/// of one agent would evict each other for ever; they do back off when the handshake is refused, which is what the
/// brake makes use of.
pub fn admit(newcomer: &ConnectionRef, row: &ConnectionRow) -> Admission {
    let now_ms = newcomer.connected_at_ms;
    let history = row.history_at(now_ms);
    let Some(live) = row.current(now_ms) else {
        return Admission::Admit {
            history: ConnectionHistory { quick_supersedes: 0, ..history },
            displaced: None,
        };
    };
    if live.connected_at_ms > now_ms {
        return Admission::Outrun;
    }
    let age_ms = now_ms - live.connected_at_ms;
    if row.history.quick_supersedes >= QUICK_SUPERSEDES_MAX && age_ms < RECONNECT_BRAKE_MS {
        return Admission::Brake { left_ms: RECONNECT_BRAKE_MS - age_ms };
    }
    let quick_supersedes =
        if age_ms < QUICK_SUPERSEDE_MS { history.quick_supersedes.saturating_add(1) } else { 0 };
    let history = ConnectionHistory { quick_supersedes, ..history };
    Admission::Admit { history, displaced: Some(live.of(&newcomer.agent)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newcomer(connected_at_ms: u64) -> ConnectionRef {
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        ConnectionRef { agent, connection_id: format!("c{connected_at_ms}"), connected_at_ms }
    }

    fn row(connected_at_ms: u64, quick_supersedes: u32) -> ConnectionRow {
        let live = Live {
            connection_id: format!("c{connected_at_ms}"),
            connected_at_ms,
            lease_expires_at_ms: connected_at_ms + 7_500_000,
        };
        let history = ConnectionHistory { quick_supersedes, ..ConnectionHistory::default() };
        ConnectionRow { live: Some(live), history, ..ConnectionRow::default() }
    }

    #[test]
    fn the_newest_wins_and_the_displaced_one_is_named() {
        let Admission::Admit { history, displaced } = admit(&newcomer(20_000), &row(1_000, 2)) else {
            panic!("refused")
        };
        assert_eq!(history.quick_supersedes, 0, "a socket that lived long ends the series");
        assert_eq!(displaced.unwrap().connection_id, "c1000");
    }

    #[test]
    fn an_older_socket_does_not_displace_a_newer_one() {
        assert_eq!(admit(&newcomer(1_000), &row(1_001, 0)), Admission::Outrun);
    }

    #[test]
    fn an_expired_lease_is_no_connection() {
        let old = row(0, 3);
        assert!(old.current(7_500_000).is_none());
        assert_eq!(
            admit(&newcomer(7_500_000), &old),
            Admission::Admit { history: ConnectionHistory::default(), displaced: None }
        );
    }

    #[test]
    fn two_connectors_of_one_agent_are_braked_after_three_quick_supersedes() {
        let mut current = row(0, 0);
        let mut outcomes = Vec::new();
        for at_ms in (500..=70_000).step_by(500) {
            match admit(&newcomer(at_ms), &current) {
                Admission::Admit { history, .. } => {
                    current = row(at_ms, history.quick_supersedes);
                    outcomes.push(at_ms);
                }
                Admission::Brake { left_ms } => {
                    let last_ms = outcomes.last().copied().unwrap();
                    assert_eq!(left_ms, 60_000 - (at_ms - last_ms));
                }
                Admission::Outrun => panic!("time goes forward"),
            }
        }
        assert_eq!(outcomes[..4], [500, 1_000, 1_500, 61_500], "three evictions, then a minute of peace");
    }

    /// The row that a connector leaves which opened, was drained a second later, and died.
    fn after_drain(seen: &ConnectionRow, opened_ms: u64) -> ConnectionRow {
        let Admission::Admit { history, .. } = admit(&newcomer(opened_ms), seen) else { panic!("refused") };
        ConnectionRow { drain_started_at_ms: Some(opened_ms + 1_000), history, ..ConnectionRow::default() }
    }

    #[test]
    fn three_short_lives_are_a_quarantine_that_a_probe_can_end() {
        let mut seen = ConnectionRow::default();
        for opened_ms in [100_000, 103_000, 106_000] {
            assert!(!seen.history.is_quarantined());
            seen = after_drain(&seen, opened_ms);
        }
        let Admission::Admit { history, .. } = admit(&newcomer(109_000), &seen) else { panic!("refused") };
        assert!(history.is_quarantined());
        let held = ConnectionRow { history, ..ConnectionRow::default() };
        assert_eq!(held.feeding(109_000), Feeding::After(107_000 + 900_000 - 109_000));
        assert_eq!(held.feeding(107_000 + 900_000), Feeding::Probe);
        let probed = ConnectionRow { drain_started_at_ms: Some(2_000_000), ..held.clone() };
        assert_eq!(probed.feeding(2_010_000), Feeding::After(20_000));
        assert_eq!(probed.feeding(2_030_000), Feeding::Recovered);
        let Admission::Admit { history, .. } = admit(&newcomer(2_010_000), &probed) else {
            panic!("refused")
        };
        assert!(history.is_quarantined(), "a probe that kills keeps the quarantine");
        let Admission::Admit { history, .. } = admit(&newcomer(2_040_000), &probed) else {
            panic!("refused")
        };
        assert!(!history.is_quarantined(), "a probe that is survived ends it");
    }

    #[test]
    fn short_lives_far_apart_are_no_quarantine() {
        let mut seen = ConnectionRow::default();
        for opened_ms in [100_000, 500_000, 900_000, 1_300_000] {
            seen = after_drain(&seen, opened_ms);
            // It dies at once and comes back a second later, then lives on until the next drain.
            let Admission::Admit { history, .. } = admit(&newcomer(opened_ms + 2_000), &seen) else {
                panic!("refused")
            };
            assert!(!history.is_quarantined());
            seen = ConnectionRow { history, ..ConnectionRow::default() };
        }
    }
}
