//! One run: some minutes of faults, then calm, then the question whether everything has come to its end.

use std::collections::BTreeMap;

use backbone::delivery::DeliverySettings;
use backbone::did::AgentDid;
use backbone::metrics::Metric;
use backbone::queue_message::QueueMessage;
use backbone::receipt::{Receipt, StoredReceipt};
use backbone::stores::SourceQueue;

use crate::checks::{Place, name};
use crate::connectors::{self, Habits};
use crate::event_source;
use crate::executor::{Executor, Sim};
use crate::faults::Profile;
use crate::ledger::{CountedEnd, Excuse, Invariant, Violation};
use crate::peers;
use crate::planted::Bug;
use crate::queue::Content;
use crate::recipients::{self, Mood};
use crate::registry_events;
use crate::rng::Rng;
use crate::sessions;
use crate::traffic::{self, Cast};
use crate::world::{BEGIN_MS, World};

/// When the operator looks after the dead letters once more, in milliseconds.
const REDRIVE_AFTER_MS: u64 = 10 * 60 * 1_000;
/// Everything that was begun in the faults has ended so long after them, in milliseconds: the longest waits are the
/// visibility timeout, the longest back-off and a quarantine's interval.
const SETTLED_AFTER_MS: u64 = 45 * 60 * 1_000;
/// So long after the faults every socket has been renewed once, in milliseconds.
const RENEWED_AFTER_MS: u64 = 150 * 60 * 1_000;

/// What a run has shown.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The invariants that did not hold, in the order of time.
    pub violations: Vec<Violation>,
    /// What happened, line by line, if it was asked for.
    pub trace: Vec<String>,
    /// Receipts answered 202.
    pub accepted: usize,
    /// System deliveries whose event was handled.
    pub announced: usize,
    /// What the functions have counted.
    pub counted: BTreeMap<Metric, u64>,
    /// What the checks have let pass, by why.
    pub excused: BTreeMap<Excuse, usize>,
    /// Operations that handlers waited for.
    pub operations: usize,
}

/// The stack's own retention, longer than any run.
const RETENTION_S: u64 = 604_800;

/// Runs one seed. With a `bug`, the handlers behave as if they had it.
#[must_use]
pub fn run_seed(seed: u64, bug: Option<Bug>, traced: bool) -> Report {
    let mut rng = Rng::new(seed);
    let faults_end_ms = BEGIN_MS + rng.between(60_000, 900_000);
    let profile = Profile::draw(&mut rng, BEGIN_MS, faults_end_ms);
    let retention_s = if rng.chance(50) { rng.between(30, 600) } else { RETENTION_S };
    let settings = DeliverySettings { retention_s, homes: peers::known_homes() };
    let pollers = rng.between(1, 4);
    let mut world = World::new(rng, profile.clone(), bug, traced);
    let cast = Cast::draw(&mut world, faults_end_ms);
    if world.rng.chance(100) {
        world.deliveries.tried_before = 22;
    }
    world.forgets = settings.retention_s < RETENTION_S;
    world.note(|| format!("{profile:?}"));
    world.note(|| format!("{cast:?}"));
    let sim = Sim::new(world);

    for _ in 0..pollers {
        sim.spawn(event_source::poll(sim.clone(), settings.clone(), SourceQueue::Receipts));
    }
    for sender in &cast.senders {
        start_connectors(&sim, sender, &profile, faults_end_ms);
    }
    if profile.peers {
        sim.spawn(event_source::poll(sim.clone(), settings, SourceQueue::Peers));
        sim.spawn(peers::send_at_random(sim.clone(), cast.clone()));
    }
    sim.spawn(recipients::answer_deliveries(sim.clone()));
    sim.spawn(recipients::announce_at_random(sim.clone(), cast.clone(), retention_s));
    sim.spawn(traffic::post_at_random(sim.clone(), cast));
    if profile.junk {
        sim.spawn(traffic::inject_junk(sim.clone(), faults_end_ms));
    }
    if profile.revocations || profile.session_ends {
        sim.spawn(registry_events::poll(sim.clone()));
        sim.spawn(registry_events::poll(sim.clone()));
    }
    if profile.revocations {
        sim.spawn(registry_events::reconcile(sim.clone()));
    }
    if profile.redrives {
        sim.spawn(traffic::redrive(sim.clone(), faults_end_ms));
    }
    settle(&sim, faults_end_ms)
}

fn start_connectors(sim: &Sim, sender: &AgentDid, profile: &Profile, faults_end_ms: u64) {
    let (habits, is_fighting, revoked_after_ms, ends) = sim.with(|world| {
        let (life_ms, away_ms) = *world.rng.pick(&[
            (600_000, 5_000),
            (600_000, 300_000),
            (60_000, 60_000),
            (15_000, 2_000),
            (7_200_000, 1_000),
        ]);
        if profile.frail && world.rng.chance(500) {
            world.frail.insert(sender.clone());
        }
        let mood =
            *world.rng.pick(&[Mood::Accepts, Mood::Accepts, Mood::Accepts, Mood::Refuses, Mood::IsMute]);
        world.moods.insert(sender.clone(), mood);
        let is_fighting = profile.fights && world.rng.chance(500);
        let revoked_after_ms = (profile.revocations && world.rng.chance(500))
            .then(|| world.rng.below(faults_end_ms - world.now_ms()));
        let ends = if profile.session_ends { world.rng.between(1, 3) } else { 0 };
        let within_ms = faults_end_ms - world.now_ms();
        let ends: Vec<_> = (0..ends).map(|_| (world.rng.below(within_ms), world.rng.chance(500))).collect();
        (Habits { is_second: false, life_ms, away_ms }, is_fighting, revoked_after_ms, ends)
    });
    for (after_ms, in_handshake) in ends {
        sim.spawn(sessions::end(sim.clone(), sender.clone(), after_ms, in_handshake));
    }
    sim.spawn(connectors::live(sim.clone(), sender.clone(), habits));
    if is_fighting {
        let second = Habits { is_second: true, away_ms: 1_000, ..habits };
        sim.spawn(connectors::live(sim.clone(), sender.clone(), second));
    }
    if let Some(after_ms) = revoked_after_ms {
        let is_told = sim.with(|world| world.rng.chance(800));
        sim.spawn(registry_events::revoke(sim.clone(), sender.clone(), after_ms, is_told));
    }
}

/// Runs a world through its faults and the calm after them, and checks what is left.
pub(crate) fn settle(sim: &Sim, faults_end_ms: u64) -> Report {
    let mut executor = Executor::new(sim.clone());
    executor.run_until(faults_end_ms);
    sim.with(|world| {
        world.note(|| "the faults stop".to_owned());
        world.calm = true;
        world.schedule.changed();
        traffic::redrive_now(world);
        // What was in flight then may have been received once too often.
        world.schedule.happen_in(REDRIVE_AFTER_MS, traffic::redrive_now);
    });
    executor.run_until(faults_end_ms + SETTLED_AFTER_MS);
    sim.with(|world| {
        check_settled(world);
        world.check_ended_sessions();
    });
    executor.run_until(faults_end_ms + RENEWED_AFTER_MS);
    sim.with(|world| {
        check_settled(world);
        check_everybody_was_told(world);
        check_ends(world);
        check_last_words(world);
        registry_events::check_revoked(world);
        world.check_deliveries_settled();
        let mut excused = BTreeMap::new();
        for (why, _, _) in &world.ledger.excused {
            *excused.entry(*why).or_default() += 1;
        }
        Report {
            excused,
            violations: std::mem::take(&mut world.ledger.violations),
            trace: world.take_trace(),
            accepted: world.ledger.accepted.len(),
            announced: world.ledger.announced.len(),
            counted: std::mem::take(&mut world.tally),
            operations: world.operations.len(),
        }
    })
}

/// The queue holds no receipt, and nothing waits for an agent whose row names an open socket (I9).
fn check_settled(world: &mut World) {
    let queued = world.queued().filter(|content| is_unsettled(content)).count();
    if queued > 0 {
        world.violated(Invariant::Settles, format!("{queued} messages are still queued"));
    }
    let mut stuck = Vec::new();
    for (agent, row) in &world.tables.connections {
        let Some(live) = &row.live else { continue };
        let takes_frames = world.sockets.is(&live.connection_id, crate::sockets::SocketState::Open);
        if takes_frames && !world.tables.revoked.contains_key(agent) {
            let waiting = world.tables.mailbox_of(agent).filter(|waiting| is_untold(world, &waiting.receipt));
            stuck.extend(waiting.map(|waiting| format!("{} waits", name(&waiting.receipt))));
        }
    }
    for what in stuck {
        world.violated(Invariant::Settles, what);
    }
}

/// Whether a waiting receipt has yet to be pushed. A write that landed late may have put one back that was pushed or
/// overtaken; the next drain takes it out.
fn is_untold(world: &World, receipt: &Receipt) -> bool {
    let row = world.tables.receipts.get(&receipt.key());
    let is_overtaken = row.is_some_and(|row| receipt.order() < row.receipt.order());
    !is_overtaken && !world.ledger.taken.contains_key(&receipt.frame_id())
}

/// Messages about connections may remain: a quarantine is looked at again and again. So is a delivery.
fn is_unsettled(content: &Content) -> bool {
    let is_turn = matches!(content.about_delivery(), Some(QueueMessage::Deliver(_)));
    let is_delivery = content.about_delivery().is_some() && !is_turn;
    content.receipt().is_some() || is_delivery || matches!(content, Content::Junk { .. })
}

/// Every sender who may hear has an empty mailbox, wherever their receipts were (I9), and every accepted receipt has
/// its end (I1).
fn check_everybody_was_told(world: &mut World) {
    let accepted = world.ledger.accepted.clone();
    for receipt in &accepted {
        let is_waiting = world.tables.mailbox_of(&receipt.sender).any(|waiting| waiting.receipt == *receipt);
        if is_waiting && is_untold(world, receipt) && !world.tables.revoked.contains_key(&receipt.sender) {
            world.violated(Invariant::Settles, format!("{} still waits", name(receipt)));
        }
        match world.place_of(receipt) {
            Place::Nowhere => {
                world.violated(Invariant::NothingIsLost, format!("{} is nowhere at the end", name(receipt)));
            }
            Place::Excused(why) => world.ledger.excuse(why, receipt),
            Place::Kept | Place::Ended(_) => {}
        }
    }
    let rows: Vec<_> = world.tables.receipts.values().cloned().collect();
    let now_s = world.now_ms() / 1_000;
    for row in rows.iter().filter(|row| !row.is_expired(now_s)) {
        if world.is_last_word_kept(row) {
            continue;
        }
        if world.ledger.is_anothers_told(&row.receipt) {
            world.ledger.excuse(Excuse::ClaimedByTwo, &row.receipt);
        } else {
            let what = format!("{} is not the last that was told", name(&row.receipt));
            world.violated(Invariant::NothingIsLost, what);
        }
    }
}

/// The ends that are to be counted have been (I1). An invocation that died takes its counts with it.
fn check_ends(world: &mut World) {
    if world.ledger.deaths > 0 {
        return;
    }
    let ended = |world: &World, end| {
        let ends = world.ledger.ends.iter().filter(|(ended, _, _)| *ended == end).count();
        u64::try_from(ends).expect("a length fits")
    };
    // Of two consumers, the slower one only learns that it was too late, not whether the other had another recipient.
    let superseded = ended(world, CountedEnd::Overtaken) + ended(world, CountedEnd::OtherRecipient);
    let counted = [Metric::ReceiptOvertaken, Metric::ReceiptOtherRecipient, Metric::MailboxSettled]
        .map(|metric| world.counted(metric))
        .iter()
        .sum::<u64>();
    let (expired, counted_expired) =
        (ended(world, CountedEnd::RetentionOver), world.counted(Metric::RetentionOver));
    // What was overtaken and is past retention may be counted as either.
    let (all, counted_all) = (superseded + expired, counted + counted_expired);
    for (what, ended, counted) in
        [("past retention", expired, counted_expired), ("overtaken or past retention", all, counted_all)]
    {
        if ended > counted {
            world.violated(Invariant::NothingIsLost, format!("{ended} ended {what}, {counted} were counted"));
        }
    }
}

/// What is stored of a receipt is what its recipient said last (I10), unless that is in the dead-letter queue.
fn check_last_words(world: &mut World) {
    let mut last = BTreeMap::new();
    for receipt in &world.ledger.queued {
        // What somebody else than the stored recipient says is not taken, whenever it is said.
        let order = last.entry((receipt.key(), receipt.recipient.clone())).or_insert_with(|| receipt.order());
        *order = receipt.order().max(*order);
    }
    let dead: Vec<_> = world.dead().filter_map(|dead| dead.content.receipt()).collect();
    let is_stale = |row: &&StoredReceipt| {
        let receipt = &row.receipt;
        let said_last = last.get(&(receipt.key(), receipt.recipient.clone()));
        said_last.is_some_and(|(_, frame_id)| *frame_id != receipt.frame_id())
            && !dead.iter().any(|dead| dead.key() == receipt.key())
    };
    let stale: Vec<_> =
        world.tables.receipts.values().filter(is_stale).map(|row| name(&row.receipt)).collect();
    for receipt in stale {
        world.violated(Invariant::NeverRegresses, format!("{receipt} is stored, and is not the last word"));
    }
}
