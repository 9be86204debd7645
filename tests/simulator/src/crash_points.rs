//! Scripted runs in which one operation, any one, goes wrong.
//!
//! Chance may never hit the one await at which a process must not die. Here every operation of every script fails,
//! hangs, lands late, panics and takes its process with it once, before its effect and after.

use backbone::delivery::DeliverySettings;
use backbone::id::Id;
use backbone::receipt::Status;
use backbone::stores::SourceQueue;

use crate::connectors::{self, Visit};
use crate::event_source;
use crate::executor::Sim;
use crate::faults::{Fate, Profile};
use crate::operation::{Operation, Service};
use crate::peers;
use crate::queue::Content;
use crate::recipients::{self, Mood};
use crate::registry_events;
use crate::rng::Rng;
use crate::run::{Report, settle};
use crate::sessions;
use crate::traffic::{self, Statement, agent};
use crate::world::{BEGIN_MS, Forced, World};

/// What can happen to the one operation.
pub const FATES: [Fate; 9] = [
    Fate::FailsBefore,
    Fate::FailsAfter,
    Fate::HangsBefore,
    Fate::HangsAfter,
    Fate::LandsLate,
    Fate::DiesBefore,
    Fate::DiesAfter,
    Fate::Freezes,
    Fate::Panics,
];

/// One sender's story. Times are seconds since the run began.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// What it is about.
    pub name: &'static str,
    visits: &'static [Visit],
    /// Those of a second connector.
    rival: &'static [Visit],
    /// When, about which message, what.
    posts: &'static [(u64, u64, Status)],
    /// The receipts come from a peer, with forged ones beside them.
    is_from_peer: bool,
    /// What fails, from when to when.
    outage_s: Option<(Service, u64, u64)>,
    /// When events happen that the sender is told of.
    events: &'static [u64],
    /// When the sender is revoked at the registry, and whether that is told.
    revoked: Option<(u64, bool)>,
    /// When the sender's session ends at the registry, and whether it waits for a handshake to do so.
    session_ends: Option<(u64, bool)>,
    mood: Mood,
    is_frail: bool,
    has_junk: bool,
    ends_s: u64,
}

const NONE: Script = Script {
    name: "",
    visits: &[],
    rival: &[],
    posts: &[],
    is_from_peer: false,
    outage_s: None,
    events: &[],
    revoked: None,
    session_ends: None,
    mood: Mood::Accepts,
    is_frail: false,
    has_junk: false,
    ends_s: 60,
};

const DELIVERED: Status = Status::DeliveredToWebhook;
const DEAD: Status = Status::DeadLettered;

/// Together they reach every operation.
pub const SCRIPTS: [Script; 13] = [
    Script {
        name: "online: a receipt, the same again, another state, and junk beside them",
        visits: &[Visit { from_s: 1, until_s: 50, is_announced: true }],
        posts: &[
            (5, 1, DELIVERED),
            (10, 1, DELIVERED),
            (15, 1, DEAD),
            (15, 2, DELIVERED),
            (15, 3, DELIVERED),
        ],
        has_junk: true,
        ..NONE
    },
    Script {
        name: "offline: receipts wait, and a connect drains them",
        visits: &[Visit { from_s: 20, until_s: 50, is_announced: true }],
        posts: &[(2, 1, DELIVERED), (3, 2, DELIVERED), (4, 1, DEAD), (5, 1, DEAD), (20, 3, DELIVERED)],
        ..NONE
    },
    Script {
        name: "gone without a word: 410, the mailbox, the second look",
        visits: &[
            Visit { from_s: 1, until_s: 30, is_announced: false },
            Visit { from_s: 45, until_s: 50, is_announced: true },
        ],
        posts: &[(35, 1, DELIVERED), (35, 2, DELIVERED), (45, 3, DELIVERED)],
        ..NONE
    },
    Script {
        name: "superseded: two connectors, and receipts while they open",
        visits: &[Visit { from_s: 1, until_s: 50, is_announced: true }],
        rival: &[Visit { from_s: 10, until_s: 40, is_announced: true }],
        posts: &[(1, 1, DELIVERED), (10, 2, DELIVERED), (40, 3, DELIVERED)],
        ..NONE
    },
    Script {
        name: "outage: seven receives, the mailbox, a receipt that is said again, a drain",
        visits: &[Visit { from_s: 1, until_s: 1_100, is_announced: true }],
        posts: &[(5, 1, DELIVERED), (6, 2, DELIVERED), (901, 1, DELIVERED)],
        outage_s: Some((Service::Gateway, 4, 900)),
        ends_s: 1_200,
        ..NONE
    },
    Script {
        name: "quarantine: a connector that dies of receipts, and recovers",
        visits: &[
            Visit { from_s: 10, until_s: 50, is_announced: true },
            Visit { from_s: 20, until_s: 50, is_announced: true },
            Visit { from_s: 30, until_s: 50, is_announced: true },
            Visit { from_s: 40, until_s: 50, is_announced: true },
        ],
        posts: &[(5, 1, DELIVERED), (17, 2, DELIVERED), (27, 3, DELIVERED), (45, 4, DELIVERED)],
        is_frail: true,
        ..NONE
    },
    Script {
        name: "peer: receipts from elsewhere, and forged ones beside them",
        visits: &[Visit { from_s: 1, until_s: 20, is_announced: true }],
        posts: &[(1, 1, DELIVERED), (5, 2, DELIVERED), (5, 2, DEAD), (25, 3, DELIVERED)],
        is_from_peer: true,
        ..NONE
    },
    Script {
        name: "delivered: what an agent is told, online, offline and while it opens",
        visits: &[
            Visit { from_s: 10, until_s: 30, is_announced: false },
            Visit { from_s: 40, until_s: 50, is_announced: true },
        ],
        events: &[2, 10, 20, 35],
        ..NONE
    },
    Script {
        name: "refused: what a connector does not take, put back and refused again",
        visits: &[Visit { from_s: 10, until_s: 50, is_announced: true }],
        events: &[15],
        mood: Mood::Refuses,
        ..NONE
    },
    Script {
        name: "revoked: a socket that opens meanwhile, receipts beside it, and junk among the events",
        visits: &[
            Visit { from_s: 10, until_s: 50, is_announced: true },
            Visit { from_s: 52, until_s: 55, is_announced: true },
        ],
        rival: &[Visit { from_s: 11, until_s: 40, is_announced: true }],
        posts: &[(5, 1, DELIVERED), (10, 2, DELIVERED), (11, 3, DELIVERED), (20, 4, DELIVERED)],
        revoked: Some((11, true)),
        has_junk: true,
        ..NONE
    },
    Script {
        name: "revoked, and nobody told: the registry's list",
        visits: &[
            Visit { from_s: 10, until_s: 400, is_announced: true },
            Visit { from_s: 405, until_s: 410, is_announced: true },
        ],
        posts: &[(5, 1, DELIVERED), (20, 2, DELIVERED)],
        revoked: Some((15, false)),
        ends_s: 420,
        ..NONE
    },
    Script {
        name: "session ended: a socket that opens meanwhile, and one of the next session",
        visits: &[
            Visit { from_s: 1, until_s: 9, is_announced: true },
            Visit { from_s: 10, until_s: 40, is_announced: true },
            Visit { from_s: 42, until_s: 45, is_announced: true },
            Visit { from_s: 46, until_s: 100, is_announced: true },
        ],
        session_ends: Some((10, true)),
        ends_s: 120,
        ..NONE
    },
    Script {
        name: "session ended late: sockets that open on its yes, and one that opens when it is taken back",
        visits: &[
            Visit { from_s: 1, until_s: 20, is_announced: true },
            Visit { from_s: 30, until_s: 100, is_announced: true },
        ],
        rival: &[Visit { from_s: 45, until_s: 100, is_announced: true }],
        outage_s: Some((Service::Queries, 5, 45)),
        session_ends: Some((10, false)),
        ends_s: 120,
        ..NONE
    },
];

impl Script {
    /// The operations of an undisturbed run, in their order.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        let sim = self.prepare(None, false);
        let report = self.play(&sim);
        assert!(report.violations.is_empty(), "{}: {:?}", self.name, report.violations);
        sim.with(|world| std::mem::take(&mut world.operations))
    }

    /// Runs the script with a fate for its operation of this number, counted from 1.
    #[must_use]
    pub fn run(&self, number: u64, fate: Fate, traced: bool) -> Report {
        self.play(&self.prepare(Some(Forced { number, fate }), traced))
    }

    fn prepare(&self, forced: Option<Forced>, traced: bool) -> Sim {
        let mut profile = match self.outage_s {
            Some((service, from_s, until_s)) => {
                Profile::outage(service, BEGIN_MS + from_s * 1_000, BEGIN_MS + until_s * 1_000)
            }
            None => Profile::clean(),
        };
        profile.session_ends = self.session_ends.is_some();
        let mut world = World::new(Rng::new(1), profile, None, traced);
        world.forced = forced;
        world.moods.insert(agent("sender", 0), self.mood);
        if self.is_frail {
            world.frail.insert(agent("sender", 0));
        }
        Sim::new(world)
    }

    fn play(&self, sim: &Sim) -> Report {
        let settings = DeliverySettings { retention_s: 604_800, homes: peers::known_homes() };
        for _ in 0..2 {
            sim.spawn(event_source::poll(sim.clone(), settings.clone(), SourceQueue::Receipts));
        }
        if self.is_from_peer {
            sim.spawn(event_source::poll(sim.clone(), settings.clone(), SourceQueue::Peers));
        }
        sim.spawn(recipients::answer_deliveries(sim.clone()));
        for (number, &at_s) in (0..).zip(self.events) {
            let (sim_of_event, retention_s) = (sim.clone(), settings.retention_s);
            sim.spawn(async move {
                sim_of_event.sleep(at_s * 1_000).await;
                recipients::announce(sim_of_event, recipients::delivery(number, 0), retention_s).await;
            });
        }
        if self.revoked.is_none() {
            sim.spawn(connectors::visit_and_return(sim.clone(), agent("sender", 0), self.visits));
        } else {
            // Whoever is refused for ever would dial for ever, and every attempt would be tried with every fate.
            sim.spawn(connectors::visit(sim.clone(), agent("sender", 0), self.visits));
        }
        if !self.rival.is_empty() {
            sim.spawn(connectors::visit(sim.clone(), agent("sender", 0), self.rival));
        }
        for &(at_s, request, status) in self.posts {
            let statement = Statement {
                request_id: Id::derive(BEGIN_MS, &["request", &request.to_string()]),
                sender: agent("sender", 0),
                recipient: agent("recipient", 0),
                status,
                reason: None,
            };
            let is_from_peer = self.is_from_peer;
            let task = {
                let sim = sim.clone();
                async move {
                    sim.sleep(at_s * 1_000).await;
                    if is_from_peer {
                        sim.with(|world| peers::send_with_forgeries(world, &statement));
                    } else {
                        traffic::post(sim, statement).await;
                    }
                }
            };
            sim.spawn(task);
        }
        if let Some((at_s, is_told)) = self.revoked {
            sim.spawn(registry_events::poll(sim.clone()));
            sim.spawn(registry_events::reconcile(sim.clone()));
            sim.spawn(registry_events::revoke(sim.clone(), agent("sender", 0), at_s * 1_000, is_told));
        }
        if let Some((at_s, in_handshake)) = self.session_ends {
            sim.spawn(registry_events::poll(sim.clone()));
            sim.spawn(sessions::end(sim.clone(), agent("sender", 0), at_s * 1_000, in_handshake));
        }
        if self.has_junk {
            sim.with(|world| {
                world.put_event("junk".to_owned());
                world.schedule.happen_in(15_000, |world| {
                    world.put(&Content::Junk { body: "junk".to_owned(), version: None }, "junk", 0);
                });
            });
        }
        settle(sim, BEGIN_MS + self.ends_s * 1_000)
    }
}
