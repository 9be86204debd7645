//! Peers that send receipts, and everything that somebody with a peer's account could put on the peer queue.

use backbone::connection::ConnectionRef;
use backbone::did::AgentDid;
use backbone::home::{KnownHomes, ProxyOrigin};
use backbone::id::Id;
use backbone::queue_message::QueueMessage;
use backbone::receipt::{Receipt, Status};
use backbone::trust::{Pair, PairHomes, PairSide};

use crate::executor::Sim;
use crate::queue::Content;
use crate::traffic::{Cast, Statement, agent};
use crate::world::World;

const OWN: &str = "https://own.test";
const PEER: &str = "https://peer.test";
const OTHER_PEER: &str = "https://other-peer.test";
const STRANGER: &str = "https://stranger.test";

/// A forged receipt is this far in the future, in milliseconds.
const FUTURE_MS: u64 = 60 * 60 * 1_000;

/// Most messages that peers send in one run. What waits for an agent in quarantine is looked at one by one, every half
/// minute, and is to have settled in time.
const MESSAGES_MAX: u64 = 20;

/// What the simulated stack knows: itself and two peers.
pub(crate) fn known_homes() -> KnownHomes {
    let peers = [PEER, OTHER_PEER].map(origin);
    KnownHomes::new(Some(origin(OWN)), peers).expect("they are three")
}

fn origin(text: &str) -> ProxyOrigin {
    ProxyOrigin::parse(text).expect("it is made to be one")
}

/// What a peer, or somebody who passes for one, can send.
#[derive(Clone, Copy, Debug)]
enum Message {
    /// From the recipient's home.
    Genuine,
    /// In the name of nobody, of a stranger, or of this stack itself.
    FromNoPeer(Option<&'static str>),
    /// Of a recipient with whom the sender has no pair.
    NotPaired,
    /// Of a recipient who is at home at another peer, here, or who knows where.
    ForeignHome(Option<&'static str>),
    /// For a sender who is, for this pair, at home elsewhere.
    Loop(&'static str),
    /// Genuine but for its time.
    FromTheFuture,
    /// The end of a socket that is open.
    Close,
    /// What nobody understands.
    Junk,
}

const FORGERIES: [Message; 12] = [
    Message::FromNoPeer(None),
    Message::FromNoPeer(Some(STRANGER)),
    Message::FromNoPeer(Some(OWN)),
    Message::NotPaired,
    Message::ForeignHome(Some(OTHER_PEER)),
    Message::ForeignHome(Some(OWN)),
    Message::ForeignHome(None),
    Message::Loop(OTHER_PEER),
    Message::Loop(STRANGER),
    Message::FromTheFuture,
    Message::Close,
    Message::Junk,
];

/// Sends at random moments, as often genuinely as not.
pub(crate) async fn send_at_random(sim: Sim, cast: Cast) {
    let mut said: Vec<Statement> = Vec::new();
    let messages = cast.posts.min(MESSAGES_MAX);
    for number in 0..messages {
        let pause_ms = sim.with(|world| {
            let left_ms = cast.faults_end_ms.saturating_sub(world.now_ms());
            world.rng.below(1 + 2 * left_ms / (messages - number))
        });
        sim.sleep(pause_ms).await;
        sim.with(|world| {
            let is_genuine = world.rng.chance(500);
            let message = if is_genuine { Message::Genuine } else { *world.rng.pick(&FORGERIES) };
            let is_repeated = is_genuine && !said.is_empty() && world.rng.chance(400);
            let mut statement = if is_repeated {
                world.rng.pick(&said).clone()
            } else {
                let sender = world.rng.pick(&cast.senders).clone();
                new_statement(sender, world.now_ms(), &format!("{number}"))
            };
            if is_repeated && world.rng.chance(500) {
                statement.status = *world.rng.pick(&[Status::DeliveredToWebhook, Status::DeadLettered]);
            }
            send(world, message, &statement);
            if is_genuine {
                said.push(statement);
            }
        });
    }
}

fn new_statement(sender: AgentDid, now_ms: u64, name: &str) -> Statement {
    Statement {
        request_id: Id::derive(now_ms, &["peer", name]),
        sender,
        recipient: agent("foreign", 0),
        status: Status::DeliveredToWebhook,
        reason: None,
    }
}

/// Sends a statement from the recipient's home, and every forgery after it.
pub(crate) fn send_with_forgeries(world: &mut World, statement: &Statement) {
    let statement = Statement { recipient: agent("foreign", 0), ..statement.clone() };
    send(world, Message::Genuine, &statement);
    for (number, forgery) in FORGERIES.into_iter().enumerate() {
        let forged = new_statement(statement.sender.clone(), world.now_ms(), &format!("forged {number}"));
        send(world, forgery, &forged);
    }
}

fn send(world: &mut World, message: Message, statement: &Statement) {
    world.note(|| format!("a peer sends {message:?}"));
    let now_ms = world.now_ms();
    let of = |role| Statement { recipient: agent(role, 0), ..statement.clone() }.receipt(now_ms);
    match message {
        Message::Genuine => {
            let receipt = of("foreign");
            pair(world, &receipt, Some(OWN), Some(PEER));
            world.ledger.posted.insert(receipt.frame_id(), receipt.clone());
            world.check_queued(&receipt);
            put(world, receipt.clone(), Some(PEER));
            world.check_accepted(&receipt);
        }
        Message::FromNoPeer(name) => {
            let receipt = of("foreign");
            pair(world, &receipt, Some(OWN), Some(PEER));
            put(world, receipt, name);
        }
        Message::NotPaired => put(world, of("unpaired"), Some(PEER)),
        Message::ForeignHome(home) => {
            let receipt = of(home.map_or("homeless", |home| if home == OWN { "neighbour" } else { "third" }));
            pair(world, &receipt, Some(OWN), home);
            put(world, receipt, Some(PEER));
        }
        Message::Loop(home) => {
            let receipt = of(if home == STRANGER { "far" } else { "farther" });
            pair(world, &receipt, Some(home), Some(PEER));
            put(world, receipt, Some(PEER));
        }
        Message::FromTheFuture => {
            let receipt = of("foreign");
            pair(world, &receipt, Some(OWN), Some(PEER));
            put(world, Receipt { processed_at_ms: now_ms + FUTURE_MS, ..receipt }, Some(PEER));
        }
        Message::Close => {
            let row = world.tables.row(&statement.sender);
            let socket: Option<ConnectionRef> = row.live.map(|live| live.of(&statement.sender));
            if let Some(socket) = socket {
                junk(world, QueueMessage::Close(socket).to_body());
            }
        }
        Message::Junk => junk(world, format!("junk about {}", statement.request_id)),
    }
}

fn pair(world: &mut World, receipt: &Receipt, sender_home: Option<&str>, recipient_home: Option<&str>) {
    let side =
        |agent: &AgentDid, home: Option<&str>| PairSide { agent: agent.clone(), home: home.map(origin) };
    let sides = (side(&receipt.sender, sender_home), side(&receipt.recipient, recipient_home));
    let pair = Pair::of(&receipt.sender, &receipt.recipient);
    world.tables.pairs.insert(pair, PairHomes::of(&sides.0, &sides.1));
}

fn put(world: &mut World, receipt: Receipt, origin_proxy: Option<&str>) {
    let content = Content::Known(Box::new(QueueMessage::DeliveryReceipt(receipt)));
    world.put_as_peer(&content, origin_proxy);
}

/// Puts on the peer queue what can only become a dead letter.
fn junk(world: &mut World, body: String) {
    world.put_as_peer(&Content::Junk { body, version: Some("1") }, Some(PEER));
}
