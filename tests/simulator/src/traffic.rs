//! Recipients that post, and what else happens to the system from outside.

use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::queue_message::QueueMessage;
use backbone::receipt::{Receipt, Status};
use backbone::stores::{Clock, ReceiptQueue};

use crate::executor::Sim;
use crate::invocation::{Function, Invocation};
use crate::planted::Planted;
use crate::queue::Content;
use crate::world::{BEGIN_MS, World};

/// What one recipient says about one message.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) request_id: Id,
    pub(crate) sender: AgentDid,
    pub(crate) recipient: AgentDid,
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
}

impl Statement {
    /// The receipt of this statement, accepted at `at_ms`.
    pub(crate) fn receipt(&self, at_ms: u64) -> Receipt {
        Receipt {
            request_id: self.request_id,
            sender: self.sender.clone(),
            recipient: self.recipient.clone(),
            status: self.status,
            reason: self.reason.clone(),
            processed_at_ms: at_ms,
        }
    }
}

/// Posts a statement, a few times if it is not answered 202.
pub(crate) async fn post(sim: Sim, statement: Statement) {
    for _ in 0..3 {
        let bug = sim.with(|world| world.bug);
        let invocation = Invocation::begin(&sim, Function::Receipt);
        let outside = Planted { inner: &invocation, bug };
        let receipt = statement.receipt(invocation.now_ms());
        sim.with(|world| world.ledger.posted.insert(receipt.frame_id(), receipt.clone()));
        let message = QueueMessage::DeliveryReceipt(receipt.clone());
        let tally = backbone::metrics::Tally::default();
        let sent = invocation.run(&tally, outside.send(&message, "post", 0)).await;
        if let Some(Ok(())) = sent {
            sim.with(|world| world.check_accepted(&receipt));
            return;
        }
        let pause_ms = sim.with(|world| world.rng.between(500, 10_000));
        sim.sleep(pause_ms).await;
    }
}

/// The agents of a run, and how much they do.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) senders: Vec<AgentDid>,
    pub(crate) recipients: Vec<AgentDid>,
    pub(crate) posts: u64,
    pub(crate) faults_end_ms: u64,
}

impl Cast {
    pub(crate) fn draw(world: &mut World, faults_end_ms: u64) -> Self {
        let rng = &mut world.rng;
        let senders = (0..rng.between(1, 3)).map(|number| agent("sender", number)).collect();
        let recipients = (0..rng.between(1, 2)).map(|number| agent("recipient", number)).collect();
        // Now and then a mailbox grows beyond a page of a drain.
        let posts = if rng.chance(30) { rng.between(40, 120) } else { rng.between(3, 25) };
        Self { senders, recipients, posts, faults_end_ms }
    }
}

/// An agent of a name.
pub(crate) fn agent(role: &str, number: u64) -> AgentDid {
    let ulid = Id::derive(BEGIN_MS, &[role, &number.to_string()]);
    AgentDid::parse(&format!("did:cdi:registry.test:agent:{ulid}")).expect("it is made to be one")
}

/// Posts at random moments, in bursts, with repetitions, changes of mind and colliding ids.
pub(crate) async fn post_at_random(sim: Sim, cast: Cast) {
    let mut said: Vec<Statement> = Vec::new();
    for number in 0..cast.posts {
        let pause_ms = sim.with(|world| {
            let left_ms = cast.faults_end_ms.saturating_sub(world.now_ms());
            if world.rng.chance(500) { 0 } else { world.rng.below(1 + 2 * left_ms / (cast.posts - number)) }
        });
        sim.sleep(pause_ms).await;
        let statement = sim.with(|world| draw_statement(world, &cast, &said, number));
        if let Some((before, after_ms)) = sim.with(|world| draw_return(world, &said, &statement)) {
            let again = sim.clone();
            sim.spawn(async move {
                again.sleep(after_ms).await;
                post(again, before).await;
            });
        }
        said.push(statement.clone());
        sim.spawn(post(sim.clone(), statement));
    }
}

/// Now and then a recipient that changes its mind changes it back while consumers are still at it: what it goes back to,
/// and when.
fn draw_return(world: &mut World, said: &[Statement], changed: &Statement) -> Option<(Statement, u64)> {
    let before = said.iter().rfind(|before| before.request_id == changed.request_id)?;
    let is_change = (before.status, &before.reason) != (changed.status, &changed.reason);
    (is_change && world.rng.chance(200)).then(|| (before.clone(), world.rng.below(100)))
}

fn draw_statement(world: &mut World, cast: &Cast, said: &[Statement], number: u64) -> Statement {
    let rng = &mut world.rng;
    let mut statement = if said.is_empty() || rng.chance(600) {
        let request_id = Id::derive(world.schedule.now_ms(), &["request", &number.to_string()]);
        if world.profile.cursed && rng.chance(200) {
            world.cursed.insert(request_id);
        }
        Statement {
            request_id,
            sender: rng.pick(&cast.senders).clone(),
            recipient: rng.pick(&cast.recipients).clone(),
            status: Status::DeliveredToWebhook,
            reason: None,
        }
    } else {
        rng.pick(said).clone()
    };
    if rng.chance(350) {
        statement.status = *rng.pick(&[Status::DeliveredToWebhook, Status::DeadLettered]);
        statement.reason = rng.pick(&[None, Some("x"), Some("y")]).map(str::to_owned);
    }
    if rng.chance(30) {
        statement.recipient = rng.pick(&cast.recipients).clone();
    }
    statement
}

/// Puts messages on the queue that no version of the consumer understands.
pub(crate) async fn inject_junk(sim: Sim, faults_end_ms: u64) {
    for number in 0_u64.. {
        let pause_ms = sim.with(|world| world.rng.between(1_000, 120_000));
        sim.sleep(pause_ms).await;
        let goes_on = sim.with(|world| {
            if world.now_ms() >= faults_end_ms {
                return false;
            }
            let junk =
                world.rng.pick(&["junk", "[]", r#"{"type":"notice"}"#, r#"{"type":"delivery_receipt"}"#]);
            let body = format!("{junk}{}", " ".repeat(usize::try_from(number).expect("a small number")));
            let version = *world.rng.pick(&[None, Some("1"), Some("2")]);
            world.note(|| format!("junk: {body}"));
            world.put(&Content::Junk { body, version }, "junk", 0);
            true
        });
        if !goes_on {
            return;
        }
    }
}

/// An operator who moves the dead letters back.
pub(crate) async fn redrive(sim: Sim, faults_end_ms: u64) {
    while sim.now_ms() < faults_end_ms {
        let pause_ms = sim.with(|world| world.rng.between(60_000, 400_000));
        sim.sleep(pause_ms).await;
        sim.with(redrive_now);
    }
}

/// Moves the dead letters back.
pub(crate) fn redrive_now(world: &mut World) {
    world.note(|| "redrive".to_owned());
    let now_ms = world.now_ms();
    world.queue.redrive(now_ms);
    world.events.redrive(now_ms);
    world.peer_queue.redrive(now_ms);
    world.schedule.changed();
}
