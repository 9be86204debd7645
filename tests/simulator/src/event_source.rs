//! Lambda's pollers of the queues: batches in, verdicts carried out.

use backbone::delivery::{DeliverySettings, QueuedMessage, Verdict, deliver_batch};
use backbone::limits::CONNECTION_OPENING_MS;
use backbone::metrics::Tally;
use backbone::queue_message::QueueMessage;
use backbone::stores::SourceQueue;

use crate::executor::Sim;
use crate::invocation::{Function, Invocation};
use crate::ledger::Invariant;
use crate::planted::{self, Bug, Planted};
use crate::queue::BATCH_MAX;
use crate::world::World;

/// Polls for ever; each poller runs one invocation at a time.
pub(crate) async fn poll(sim: Sim, settings: DeliverySettings, source: SourceQueue) {
    loop {
        wait_for_a_message(&sim, source).await;
        let window_ms = sim.with(|world| world.rng.between(0, 40));
        sim.sleep(window_ms).await;
        let batch = sim.with(|world| receive(world, source));
        if !batch.is_empty() {
            consume(&sim, &settings, source, &batch).await;
        }
    }
}

pub(crate) async fn wait_for_a_message(sim: &Sim, source: SourceQueue) {
    loop {
        let next_ms = sim.with(|world| world.source(source).next_visible_ms()).unwrap_or(u64::MAX);
        if next_ms <= sim.now_ms() {
            return;
        }
        // Until then, or until there is one that can be seen earlier.
        let is_earlier =
            |world: &mut World| world.source(source).next_visible_ms().is_some_and(|at_ms| at_ms < next_ms);
        sim.wait_until(next_ms, |world| is_earlier(world).then_some(())).await;
    }
}

pub(crate) fn receive(world: &mut World, source: SourceQueue) -> Vec<QueuedMessage> {
    let limit = world.rng.between(1, BATCH_MAX);
    let redelivered = if world.calm { 0 } else { world.profile.redelivered };
    let now_ms = world.now_ms();
    let World { queue, peer_queue, events, rng, .. } = world;
    let queue = match source {
        SourceQueue::Receipts => queue,
        SourceQueue::Peers => peer_queue,
        SourceQueue::Events => events,
    };
    let batch = queue.receive(now_ms, limit, redelivered, rng);
    world.schedule.changed();
    batch
}

/// One invocation of the consumer. If it dies, its messages come back when their visibility timeout is over.
async fn consume(sim: &Sim, settings: &DeliverySettings, source: SourceQueue, batch: &[QueuedMessage]) {
    let (bug, was_calm) = sim.with(|world| (world.bug, world.calm));
    let invocation = Invocation::begin(sim, Function::Consumer);
    sim.with(|world| note_batch(world, &invocation.name(), source, batch));
    let batch: Vec<_> = batch.iter().map(|message| planted::as_told(bug, message)).collect();
    let tally = Tally::default();
    let outside = Planted { inner: &invocation, bug };
    let Some(mut verdicts) = invocation.run(&tally, deliver_batch(&outside, settings, &batch, &tally)).await
    else {
        return;
    };
    match bug {
        Some(Bug::RetryIsForgotten) => verdicts.fill(Verdict::Done),
        Some(Bug::NeighboursFailToo) if verdicts.contains(&Verdict::Retry) => verdicts.fill(Verdict::Retry),
        Some(_) | None => {}
    }
    sim.with(|world| {
        world.check_counts(&batch, &tally, invocation.begun_ms);
        for (message, verdict) in batch.iter().zip(verdicts) {
            match verdict {
                Verdict::Done => delete(world, source, message, invocation.begun_ms),
                Verdict::Retry if !was_calm => check_alone(world, message),
                Verdict::Retry => {}
            }
        }
        world.schedule.changed();
    });
}

fn note_batch(world: &mut World, invocation: &str, source: SourceQueue, batch: &[QueuedMessage]) {
    let queue = world.source(source);
    let names: Vec<_> = batch.iter().map(|message| queue.name_of(&message.receipt_handle)).collect();
    for (message, name) in batch.iter().zip(names) {
        world.note(|| {
            format!("{invocation}: {}, received {}×: {name}", message.message_id, message.receive_count)
        });
    }
}

fn delete(world: &mut World, source: SourceQueue, message: &QueuedMessage, decided_ms: u64) {
    if world.chance(world.profile.not_deleted) {
        return;
    }
    if let Some(deleted) = world.source(source).delete(&message.receipt_handle) {
        world.check_deleted(&deleted, decided_ms);
    }
}

/// In a run in which nothing is wrong but some receipts, only those may come back (I6).
fn check_alone(world: &mut World, message: &QueuedMessage) {
    if !world.profile.cursed {
        return;
    }
    let Ok(QueueMessage::DeliveryReceipt(receipt)) =
        QueueMessage::parse(&message.body, message.version.as_deref())
    else {
        return;
    };
    let opened_ms = world.sockets.last_connected_ms(&receipt.sender);
    // An invocation may have looked half a minute ago.
    let may_be_opening = world.now_ms().saturating_sub(opened_ms) < CONNECTION_OPENING_MS + 30_000;
    if !world.cursed.contains(&receipt.request_id) && !may_be_opening {
        world.violated(Invariant::FailsAlone, format!("{} was to be shown again", message.message_id));
    }
}
