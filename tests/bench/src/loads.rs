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
    post: Box<dyn Fn(usize) -> String + 'a>,
    batch: Box<dyn Fn(usize) -> String + 'a>,
    handshake: Box<dyn Fn(usize) -> String + 'a>,
    connect: Box<dyn Fn(usize) -> String + 'a>,
    heartbeat: Box<dyn Fn(usize) -> String + 'a>,
    closing: Box<dyn Fn(usize) -> String + 'a>,
    look_up: Box<dyn Fn(usize) -> String + 'a>,
    opened: Box<dyn Fn(usize) -> String + 'a>,
    revocation: Box<dyn Fn(usize) -> String + 'a>,
}

impl<'a> Loads<'a> {
    pub(crate) fn new(cast: &'a Cast) -> Self {
        Self {
            post: Box::new(|_| cast.post(0)),
            batch: Box::new(|_| cast.batch(BATCH, 0, SENDERS)),
            handshake: Box::new(|_| cast.handshake(0)),
            connect: Box::new(|_| cast.socket("$connect")),
            heartbeat: Box::new(|_| cast.socket("heartbeat")),
            closing: Box::new(|_| cast.socket("$disconnect")),
            look_up: Box::new(|_| cast.look_up(0)),
            opened: Box::new(|_| cast.opened(0)),
            revocation: Box::new(|_| cast.revocation(0)),
        }
    }

    pub(crate) fn receipt(&self) -> Load<'_> {
        Load::new("receipt", &self.post, Expected::Status(202))
    }

    pub(crate) fn consumer(&self) -> Load<'_> {
        Load::new("consumer", &self.batch, Expected::Batch)
    }

    /// A batch for senders who are away, and for whom `held` receipts wait already.
    pub(crate) fn keeping(&self, held: usize) -> Load<'_> {
        self.consumer().in_scene(Scene { away: true, held })
    }

    /// The first look into a mailbox with [`DRAINED`] receipts, after its agent's connect.
    pub(crate) fn draining(&self) -> Load<'_> {
        Load::new("consumer", &self.opened, Expected::Batch).in_scene(Scene { away: false, held: DRAINED })
    }

    pub(crate) fn look_up(&self) -> Load<'_> {
        Load::new("receipt", &self.look_up, Expected::Status(404))
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
    let loads = Loads::new(&cast);
    let refused = |_| cast.post_with(Fault::NoToken);
    let load = match events {
        "receipt" => loads.receipt(),
        "refusal" => Load::new("receipt", &refused, Expected::Status(401)),
        "consumer" => loads.consumer(),
        "handshake" => loads.handshake(),
        "heartbeat" => loads.heartbeat(),
        other => return Err(format!("there are no events called {other}").into()),
    };
    let aws = Aws::start(load.scene, &cast.keys).await?;
    whole_process(workshop, &load, &aws, PROFILED_EVENTS).await?;
    Ok(workshop.scratch.join(PROFILE))
}
