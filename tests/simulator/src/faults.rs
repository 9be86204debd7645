//! What may go wrong in a run, and how often.

use crate::operation::{Operation, Service};
use crate::rng::Rng;

/// What happens to one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It works.
    Works,
    /// It fails and has no effect.
    FailsBefore,
    /// It has its effect, and the answer is an error.
    FailsAfter,
    /// It has no effect and never answers.
    HangsBefore,
    /// It has its effect and never answers.
    HangsAfter,
    /// It never answers, and has its effect when the caller has long given up.
    LandsLate,
    /// The process dies before the effect.
    DiesBefore,
    /// The process dies after the effect.
    DiesAfter,
    /// The process stops before the effect and is ended by its timeout.
    Freezes,
    /// The code panics.
    Panics,
}

/// A time in which a service answers nothing but errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outage {
    service: Service,
    from_ms: u64,
    until_ms: u64,
}

/// The faults of one run. Every rate is so many in a thousand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each turns one kind of trouble on")]
pub(crate) struct Profile {
    fails_before: u64,
    fails_after: u64,
    hangs: u64,
    lands_late: u64,
    dies: u64,
    freezes: u64,
    panics: u64,
    slow: u64,
    outages: Vec<Outage>,
    /// A yes is taken back when its caller has given up.
    taken_back_late: u64,
    /// A frame is taken and never read.
    pub(crate) push_lost: u64,
    pub(crate) push_forbidden: u64,
    pub(crate) push_too_large: u64,
    /// A message is on the queue twice.
    pub(crate) sent_twice: u64,
    /// A message is shown to two consumers.
    pub(crate) redelivered: u64,
    pub(crate) sent_late: u64,
    /// A handled message is not deleted.
    pub(crate) not_deleted: u64,
    /// A connector does not answer a delivery.
    pub(crate) unanswered: u64,
    /// A socket's end is not announced.
    pub(crate) silent_ends: u64,
    /// How far a function's clock may be off, either way, in milliseconds.
    pub(crate) skew_ms: u64,
    pub(crate) junk: bool,
    /// Receipts from peers, and forged ones. No fault: a stack has to live with that.
    pub(crate) peers: bool,
    pub(crate) redrives: bool,
    pub(crate) revocations: bool,
    /// Sessions end at the registry, and connectors need one to be let in.
    pub(crate) session_ends: bool,
    pub(crate) fights: bool,
    /// Connectors that die of receipt frames.
    pub(crate) frail: bool,
    /// Some receipts can never be pushed; nothing else is wrong (I6).
    pub(crate) cursed: bool,
}

impl Profile {
    /// A run without any fault.
    pub(crate) fn clean() -> Self {
        Self::default()
    }

    /// A run in which only one service fails, and only for some time.
    pub(crate) fn outage(service: Service, from_ms: u64, until_ms: u64) -> Self {
        Self { outages: vec![Outage { service, from_ms, until_ms }], ..Self::default() }
    }

    /// Whether nothing can go wrong.
    pub(crate) fn is_clean(&self) -> bool {
        *self == Self { peers: self.peers, ..Self::default() }
    }

    /// Draws a profile: some runs are clean, some have cursed receipts only, the others any mix of faults.
    pub(crate) fn draw(rng: &mut Rng, from_ms: u64, until_ms: u64) -> Self {
        let peers = rng.chance(300);
        match rng.below(10) {
            0 => return Self { peers, ..Self::clean() },
            1 => return Self { peers, cursed: true, junk: true, ..Self::default() },
            _ => {}
        }
        let mut rate = |per_mille: u64, most: u64| {
            if rng.chance(per_mille) { rng.between(1, most) } else { 0 }
        };
        let mut profile = Self {
            fails_before: rate(400, 150),
            fails_after: rate(400, 150),
            hangs: rate(250, 40),
            lands_late: rate(250, 40),
            dies: rate(400, 60),
            freezes: rate(150, 20),
            panics: rate(200, 60),
            slow: rate(300, 100),
            outages: Vec::new(),
            taken_back_late: rate(500, 500),
            push_lost: rate(300, 100),
            push_forbidden: rate(150, 200),
            push_too_large: rate(200, 100),
            sent_twice: rate(400, 300),
            redelivered: rate(400, 300),
            sent_late: rate(400, 300),
            not_deleted: rate(300, 200),
            unanswered: rate(300, 700),
            silent_ends: rate(400, 700),
            skew_ms: rate(400, 50),
            junk: rate(300, 1) > 0,
            peers,
            redrives: rate(300, 1) > 0,
            revocations: rate(250, 1) > 0,
            session_ends: rate(250, 1) > 0,
            fights: rate(200, 1) > 0,
            frail: rate(200, 1) > 0,
            cursed: false,
        };
        for (service, per_mille) in [
            (Service::Tables, 150),
            (Service::Queue, 150),
            (Service::Gateway, 150),
            (Service::Registry, 150),
            (Service::Queries, if profile.session_ends { 500 } else { 0 }),
        ] {
            if per_mille > 0 && rng.chance(per_mille) {
                let begin_ms = rng.between(from_ms, until_ms);
                let end_ms = rng.between(begin_ms, begin_ms + 600_000);
                profile.outages.push(Outage { service, from_ms: begin_ms, until_ms: end_ms });
            }
        }
        profile
    }

    /// Draws what happens to an operation at `now_ms`.
    pub(crate) fn fate(&self, operation: Operation, now_ms: u64, rng: &mut Rng) -> Fate {
        let out = |outage: &Outage| {
            outage.service == operation.service() && (outage.from_ms..outage.until_ms).contains(&now_ms)
        };
        if self.outages.iter().any(out) {
            return *rng.pick(&[Fate::FailsBefore, Fate::FailsBefore, Fate::FailsBefore, Fate::HangsBefore]);
        }
        for (per_mille, fate) in [
            (self.fails_before, Fate::FailsBefore),
            (self.fails_after, Fate::FailsAfter),
            (self.hangs, Fate::HangsBefore),
            (self.hangs, Fate::HangsAfter),
            (self.lands_late, Fate::LandsLate),
            (if operation == Operation::TakeBackAccess { self.taken_back_late } else { 0 }, Fate::LandsLate),
            (self.dies, Fate::DiesBefore),
            (self.dies, Fate::DiesAfter),
            (self.freezes, Fate::Freezes),
            (if operation.may_panic() { self.panics } else { 0 }, Fate::Panics),
        ] {
            if per_mille > 0 && rng.chance(per_mille) {
                return fate;
            }
        }
        Fate::Works
    }

    /// How long one way of an operation takes, in milliseconds.
    pub(crate) fn latency_ms(&self, rng: &mut Rng) -> u64 {
        if self.slow > 0 && rng.chance(self.slow) { rng.between(500, 5_000) } else { rng.between(1, 20) }
    }
}
