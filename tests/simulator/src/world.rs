//! Everything outside the handlers, in one place.

use std::collections::{BTreeMap, BTreeSet};

use backbone::connection::ConnectionRow;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::metrics::{Metric, Tally};
use backbone::stores::SourceQueue;

use crate::deliveries::Deliveries;
use crate::faults::{Fate, Profile};
use crate::ledger::Ledger;
use crate::operation::Operation;
use crate::planted::Bug;
use crate::queue::{Content, Dead, Queue};
use crate::recipients::Mood;
use crate::registry::RegistryModel;
use crate::rng::Rng;
use crate::schedule::Schedule;
use crate::sockets::{SocketState, Sockets};
use crate::tables::Tables;

/// When every run begins, in milliseconds since the Unix epoch.
pub(crate) const BEGIN_MS: u64 = 1_775_000_000_000;

/// A fate that one operation is to have, by its number in the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forced {
    pub(crate) number: u64,
    pub(crate) fate: Fate,
}

/// See the module.
pub(crate) struct World {
    pub(crate) schedule: Schedule,
    pub(crate) rng: Rng,
    pub(crate) profile: Profile,
    /// The faults have stopped, everybody comes online and stays.
    pub(crate) calm: bool,
    /// The receipts queue.
    pub(crate) queue: Queue,
    /// What peers send, and what others put there.
    pub(crate) peer_queue: Queue,
    /// What the registry tells.
    pub(crate) events: Queue,
    pub(crate) registry: RegistryModel,
    /// The connection that was last made an agent's own.
    pub(crate) newest: BTreeMap<AgentDid, String>,
    /// What the row of an agent was before its revocation, where a planted bug looks then.
    pub(crate) seen_before: BTreeMap<AgentDid, ConnectionRow>,
    pub(crate) tables: Tables,
    pub(crate) deliveries: Deliveries,
    pub(crate) sockets: Sockets,
    /// Deliveries that have reached their connector and that it has not looked at, with their connection.
    pub(crate) inbox: Vec<(String, String)>,
    /// What connectors do with deliveries, where it is not to accept them.
    pub(crate) moods: BTreeMap<AgentDid, Mood>,
    pub(crate) ledger: Ledger,
    pub(crate) tally: BTreeMap<Metric, u64>,
    pub(crate) bug: Option<Bug>,
    pub(crate) forced: Option<Forced>,
    /// The operations begun so far, in their order.
    pub(crate) operations: Vec<Operation>,
    /// Messages whose receipts can never be pushed while the faults last.
    pub(crate) cursed: BTreeSet<Id>,
    /// Whether API Gateway finds a frame too large, by the frame's id: it does so each time or never.
    pub(crate) too_large: BTreeMap<Id, bool>,
    /// Agents whose connectors die of receipt frames.
    pub(crate) frail: BTreeSet<AgentDid>,
    /// The retention may be over within the run, after which a repetition is news again.
    pub(crate) forgets: bool,
    pub(crate) invocations: u64,
    trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(rng: Rng, profile: Profile, bug: Option<Bug>, traced: bool) -> Self {
        Self {
            schedule: Schedule::starting_at(BEGIN_MS),
            rng,
            profile,
            calm: false,
            queue: Queue::empty(SourceQueue::Receipts),
            peer_queue: Queue::empty(SourceQueue::Peers),
            events: Queue::empty(SourceQueue::Events),
            registry: RegistryModel::new(),
            newest: BTreeMap::new(),
            seen_before: BTreeMap::new(),
            tables: Tables::new(bug),
            deliveries: Deliveries::default(),
            sockets: Sockets::default(),
            inbox: Vec::new(),
            moods: BTreeMap::new(),
            ledger: Ledger::default(),
            tally: BTreeMap::new(),
            bug,
            forced: None,
            operations: Vec::new(),
            cursed: BTreeSet::new(),
            too_large: BTreeMap::new(),
            frail: BTreeSet::new(),
            forgets: false,
            invocations: 0,
            trace: traced.then(Vec::new),
        }
    }

    pub(crate) const fn now_ms(&self) -> u64 {
        self.schedule.now_ms()
    }

    /// Writes a line of the trace, if there is one.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let at_ms = self.schedule.now_ms() - BEGIN_MS;
            trace.push(format!("{:>7}.{:03} s  {}", at_ms / 1_000, at_ms % 1_000, line()));
        }
    }

    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    /// Decides what happens to the next operation.
    pub(crate) fn next_fate(&mut self, operation: Operation) -> Fate {
        self.operations.push(operation);
        let number = u64::try_from(self.operations.len()).expect("a length fits");
        if let Some(forced) = self.forced
            && forced.number == number
        {
            return forced.fate;
        }
        if self.calm {
            return Fate::Works;
        }
        let now_ms = self.now_ms();
        self.profile.fate(operation, now_ms, &mut self.rng)
    }

    /// How long one way of an operation takes, in milliseconds.
    pub(crate) fn latency_ms(&mut self) -> u64 {
        if self.calm { self.rng.between(1, 20) } else { self.profile.latency_ms(&mut self.rng) }
    }

    /// A fault that is not an operation's: true so many times in a thousand, and never in the calm.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        !self.calm && per_mille > 0 && self.rng.chance(per_mille)
    }

    /// One of the queues.
    pub(crate) const fn source(&mut self, source: SourceQueue) -> &mut Queue {
        match source {
            SourceQueue::Receipts => &mut self.queue,
            SourceQueue::Peers => &mut self.peer_queue,
            SourceQueue::Events => &mut self.events,
        }
    }

    /// What is on any queue.
    pub(crate) fn queued(&self) -> impl Iterator<Item = &Content> {
        self.queue.contents().chain(self.peer_queue.contents())
    }

    /// What is in any dead-letter queue.
    pub(crate) fn dead(&self) -> impl Iterator<Item = &Dead> {
        self.queue.dead.iter().chain(&self.peer_queue.dead)
    }

    /// Puts something on the receipts queue, perhaps twice, perhaps late.
    pub(crate) fn put(&mut self, content: &Content, correlation_id: &str, delay_s: u32) {
        self.put_on(SourceQueue::Receipts, content, None, correlation_id, delay_s);
    }

    /// Puts something on the peer queue in the name of `origin_proxy`, perhaps twice, perhaps late.
    pub(crate) fn put_as_peer(&mut self, content: &Content, origin_proxy: Option<&str>) {
        self.put_on(SourceQueue::Peers, content, origin_proxy, "peer", 0);
    }

    fn put_on(
        &mut self,
        source: SourceQueue,
        content: &Content,
        origin_proxy: Option<&str>,
        correlation_id: &str,
        delay_s: u32,
    ) {
        let copies = if self.chance(self.profile.sent_twice) { 2 } else { 1 };
        let late_ms = if self.chance(self.profile.sent_late) { self.rng.between(0, 60_000) } else { 0 };
        let now_ms = self.now_ms();
        let times_ms = (now_ms, now_ms + u64::from(delay_s) * 1_000 + late_ms);
        self.source(source).send(content, origin_proxy, correlation_id, times_ms, copies);
        self.schedule.changed();
    }

    /// Puts an event on its queue, perhaps twice, perhaps late.
    pub(crate) fn put_event(&mut self, body: String) {
        self.put_on(SourceQueue::Events, &Content::Event(body), None, "event", 0);
    }

    /// Ends a socket, whoever ends it.
    pub(crate) fn end_socket(&mut self, connection_id: &str) {
        self.sockets.set(connection_id, SocketState::Closed);
        self.schedule.changed();
    }

    /// Adds up what an invocation has counted.
    pub(crate) fn add_up(&mut self, tally: &Tally) {
        for &metric in Metric::ALL {
            let count = tally.of(metric);
            if count > 0 {
                *self.tally.entry(metric).or_default() += count;
            }
        }
    }

    pub(crate) fn counted(&self, metric: Metric) -> u64 {
        self.tally.get(&metric).copied().unwrap_or_default()
    }
}
