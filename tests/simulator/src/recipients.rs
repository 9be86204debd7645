//! Events that are told to agents, and connectors that answer them.

use backbone::connection::ConnectionRef;
use backbone::frame::ClientFrame;
use backbone::id::Id;
use backbone::metrics::Tally;
use backbone::queue_message::{DeliveryTurn, QueueMessage};
use backbone::session::take_frame;
use backbone::stores::{Clock, DeliveryStore, ReceiptQueue, StoreError};
use backbone::system_delivery::{DeliveryKey, GroupMemberJoined, GroupRole, SystemDelivery};
use serde_json::json;

use crate::delivery_checks::deliver_frame_id;
use crate::executor::Sim;
use crate::invocation::{Function, Invocation};
use crate::planted::Planted;
use crate::sockets::SocketState;
use crate::traffic::{Cast, agent};
use crate::world::{BEGIN_MS, World};

/// What an agent's connectors do with a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Accepts,
    Refuses,
    /// They never answer.
    IsMute,
}

/// A delivery of a number, from nobody in particular, to the sender of a number.
pub(crate) fn delivery(number: u64, sender: u64) -> SystemDelivery {
    SystemDelivery::of_group_member_joined(&GroupMemberJoined {
        recipient: agent("sender", sender),
        joined: agent("joined", number),
        joined_name: format!("agent {number}"),
        group_id: format!("grp_{}", Id::derive(BEGIN_MS, &["group"])),
        group_name: "group".to_owned(),
        role: GroupRole::Member,
        joined_at_ms: BEGIN_MS,
        message: None,
    })
}

/// Lets events happen at random moments, some of them twice.
pub(crate) async fn announce_at_random(sim: Sim, cast: Cast, retention_s: u64) {
    // Now and then there are more than a page of a drain.
    let events = sim
        .with(|world| if world.rng.chance(30) { world.rng.between(20, 60) } else { world.rng.between(0, 4) });
    for number in 0..events {
        let (pause_ms, sender, is_repeated) = sim.with(|world| {
            let left_ms = cast.faults_end_ms.saturating_sub(world.now_ms());
            let rng = &mut world.rng;
            let pause_ms = if rng.chance(500) { 0 } else { rng.below(1 + 2 * left_ms / (events - number)) };
            let sender = rng.below(u64::try_from(cast.senders.len()).expect("a length fits"));
            (pause_ms, sender, rng.chance(200))
        });
        sim.sleep(pause_ms).await;
        sim.spawn(announce(sim.clone(), delivery(number, sender), retention_s));
        if is_repeated {
            sim.spawn(announce(sim.clone(), delivery(number, sender), retention_s));
        }
    }
}

/// Keeps a delivery and sends its first turn, until both have worked: the event stays on its queue for as long.
pub(crate) async fn announce(sim: Sim, delivery: SystemDelivery, retention_s: u64) {
    sim.with(|world| world.ledger.deliveries.insert(delivery.key(), delivery.clone()));
    loop {
        let bug = sim.with(|world| world.bug);
        let invocation = Invocation::begin(&sim, Function::RegistryEvents);
        let outside = Planted { inner: &invocation, bug };
        let announcing = async {
            let expires_at_s = outside.now_ms() / 1_000 + retention_s;
            let _ = outside.keep_delivery(&delivery, expires_at_s).await?;
            let first = QueueMessage::Deliver(DeliveryTurn::first(delivery.key()));
            outside.send(&first, "event", 0).await
        };
        let announced: Option<Result<(), StoreError>> = invocation.run(&Tally::default(), announcing).await;
        if let Some(Ok(())) = announced {
            sim.with(|world| world.ledger.announced.insert(delivery.key()));
            return;
        }
        let pause_ms = sim.with(|world| world.rng.between(500, 60_000));
        sim.sleep(pause_ms).await;
    }
}

/// Reads what arrives at the connectors and answers it, each in its time.
pub(crate) async fn answer_deliveries(sim: Sim) {
    loop {
        let arrived = sim.wait_until(u64::MAX, |world| world.inbox.pop()).await;
        let Some((connection_id, frame)) = arrived else { return };
        let Some(answer) = sim.with(|world| draw_answer(world, &connection_id, &frame)) else { continue };
        sim.spawn(answer_one(sim.clone(), answer));
    }
}

/// An answer that is on its way.
struct Answer {
    connection: ConnectionRef,
    text: String,
    after_ms: u64,
}

fn draw_answer(world: &mut World, connection_id: &str, frame: &str) -> Option<Answer> {
    let agent = world.sockets.agent(connection_id)?.clone();
    let id = deliver_frame_id(frame)?;
    let accepted = match world.moods.get(&agent).copied().unwrap_or_default() {
        Mood::Accepts => true,
        Mood::Refuses => false,
        Mood::IsMute => return None,
    };
    if world.chance(world.profile.unanswered) {
        return None;
    }
    let after_ms =
        if world.rng.chance(200) { world.rng.between(5_000, 60_000) } else { world.rng.between(5, 5_000) };
    let mut text =
        json!({ "v": 1, "type": "deliver_ack", "id": id, "ts": "now", "ackId": id, "accepted": accepted });
    if !accepted {
        text["reason"] = "not wanted".into();
    }
    let connection = ConnectionRef { agent, connection_id: connection_id.to_owned(), connected_at_ms: 0 };
    Some(Answer { connection, text: text.to_string(), after_ms })
}

async fn answer_one(sim: Sim, answer: Answer) {
    let Answer { connection, text, after_ms } = answer;
    sim.sleep(after_ms).await;
    let is_sent = sim.with(|world| {
        let is_open = world.sockets.is(&connection.connection_id, SocketState::Open);
        if is_open
            && let Some(ClientFrame::DeliverAck { ack_id, accepted: true, .. }) = ClientFrame::parse(&text)
        {
            let key = DeliveryKey { recipient: connection.agent.clone(), delivery_id: ack_id };
            world.ledger.acknowledged.insert(key);
        }
        is_open
    });
    if is_sent {
        let bug = sim.with(|world| world.bug);
        let invocation = Invocation::begin(&sim, Function::Connection);
        let outside = Planted { inner: &invocation, bug };
        let tally = Tally::default();
        let _ = invocation.run(&tally, take_frame(&outside, &connection, &text, "answer", &tally)).await;
    }
}
