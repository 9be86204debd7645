//! What the functions are given, by the dozen.

use std::path::PathBuf;

use crate::Result;
use crate::aws::{Aws, Scene};
use crate::events::{Cast, Fault};
use crate::function::{PROFILE, Workshop};
use crate::measure::{Expected, Load, whole_process};

/// Messages of one batch (SQS's largest).
pub(crate) const BATCH: usize = 10;
/// Senders whom the receipts of a batch are for: all different, which is what costs most.
pub(crate) const SENDERS: usize = BATCH;
/// Receipts of a mailbox that is drained: fewer than a page, which is then the last.
pub(crate) const DRAINED: usize = 10;
/// Events of a profile: enough to let what happens once disappear.
const PROFILED_EVENTS: usize = 200;

/// The ordinary events of each function.
pub(crate) struct Loads<'a> {
    post: Event<'a>,
    batch: Event<'a>,
    one_by_one: Event<'a>,
    handshake: Event<'a>,
    connect: Event<'a>,
    heartbeat: Event<'a>,
    closing: Event<'a>,
    look_up: Event<'a>,
    opened: Event<'a>,
    revocation: Event<'a>,
}

type Event<'a> = Box<dyn Fn(usize) -> String + 'a>;

impl<'a> Loads<'a> {
    /// Events of so many agents in turn.
    pub(crate) fn new(cast: &'a Cast, agents: usize) -> Self {
        Self {
            post: Box::new(move |number| cast.post(number % agents)),
            batch: Box::new(move |number| cast.batch(BATCH, number * BATCH % agents, SENDERS)),
            one_by_one: Box::new(move |number| cast.batch(1, number % agents, 1)),
            handshake: Box::new(move |number| cast.handshake(number % agents)),
            connect: Box::new(move |number| cast.socket(number % agents, "$connect")),
            heartbeat: Box::new(move |number| cast.socket(number % agents, "heartbeat")),
            closing: Box::new(move |number| cast.socket(number % agents, "$disconnect")),
            look_up: Box::new(move |number| cast.look_up(number % agents)),
            opened: Box::new(move |number| cast.opened(number % agents)),
            revocation: Box::new(move |number| cast.revocation(number % agents)),
        }
    }

    pub(crate) fn receipt(&self) -> Load<'_> {
        Load::new("receipt", &self.post, Expected::Status(202))
    }

    pub(crate) fn consumer(&self) -> Load<'_> {
        Load::new("consumer", &self.batch, Expected::Batch)
    }

    /// A batch of one message, which is what a stack with little to do has.
    pub(crate) fn lone_message(&self) -> Load<'_> {
        Load::new("consumer", &self.one_by_one, Expected::Batch)
    }

    /// A batch for senders who are away, and for whom `held` receipts wait already.
    pub(crate) fn keeping(&self, held: usize) -> Load<'_> {
        self.consumer().in_scene(Scene { away: true, held, ..Scene::default() })
    }

    /// The first look into a mailbox with [`DRAINED`] receipts, after its agent's connect.
    pub(crate) fn draining(&self) -> Load<'_> {
        let load = Load::new("consumer", &self.opened, Expected::Batch);
        load.in_scene(Scene { held: DRAINED, ..Scene::default() })
    }

    pub(crate) fn look_up(&self) -> Load<'_> {
        Load::new("receipt", &self.look_up, Expected::NotFound)
    }

    /// The event by which an agent is revoked that has a socket.
    pub(crate) fn revocation(&self) -> Load<'_> {
        Load::new("registry-events", &self.revocation, Expected::Batch)
    }

    pub(crate) fn handshake(&self) -> Load<'_> {
        Load::new("authorizer", &self.handshake, Expected::Allow)
    }

    pub(crate) fn connect(&self) -> Load<'_> {
        Load::new("connection", &self.connect, Expected::Status(200))
    }

    pub(crate) fn heartbeat(&self) -> Load<'_> {
        Load::new("connection", &self.heartbeat, Expected::Acknowledgement)
    }

    pub(crate) fn closing(&self) -> Load<'_> {
        Load::new("connection", &self.closing, Expected::Status(200))
    }
}

/// Leaves the profile of a process that handles events of one kind.
pub(crate) async fn profile(workshop: &Workshop, events: &str) -> Result<PathBuf> {
    let cast = Cast::of(SENDERS + 1)?;
    let loads = Loads::new(&cast, 1);
    let refused = |_| cast.post_with(Fault::NoToken);
    let load = match events {
        "receipt" => loads.receipt(),
        "refusal" => Load::new("receipt", &refused, Expected::Refused(Fault::NoToken.error_code())),
        "consumer" => loads.consumer(),
        "handshake" => loads.handshake(),
        "heartbeat" => loads.heartbeat(),
        other => return Err(format!("there are no events called {other}").into()),
    };
    let aws = Aws::start(load.scene, &cast.keys, &workshop.scratch).await?;
    whole_process(workshop, &load, &aws, PROFILED_EVENTS).await?;
    Ok(workshop.scratch.join(PROFILE))
}
