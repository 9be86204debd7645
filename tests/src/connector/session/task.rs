//! Serving a socket: what the Rust connector does with it.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::super::frame_rules::{self, Frame};
use super::super::{Habits, OnDelivery};
use super::{Arrival, End, Heartbeat, Record, Socket};
use crate::stamp;

/// How long a heartbeat may go unanswered. It is looked at when something happens, so in practice it is the next
/// heartbeat's time that notices.
const ACK_WITHIN: Duration = Duration::from_secs(15);

/// What an empty close frame stands for.
const NO_CLOSE_CODE: u16 = 1005;

/// Serves the socket until it ends, or nobody holds the session any more.
pub(super) async fn serve(
    mut socket: Socket,
    mut outbox: mpsc::UnboundedReceiver<Message>,
    record: watch::Sender<Record>,
    habits: Habits,
) {
    let mut heartbeat = interval(habits.heartbeat_every);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = loop {
        let step = tokio::select! {
            _ = heartbeat.tick() => beat(&mut socket, &record).await,
            message = outbox.recv() => match message {
                Some(message) => send(&mut socket, message).await,
                None => return,
            },
            message = socket.next() => receive(&mut socket, &record, message, &habits).await,
        };
        if let Err(end) = step {
            break end;
        }
        if is_overdue(&record) {
            break End::HeartbeatUnanswered;
        }
    };
    record.send_modify(|record| record.end = Some(end));
}

/// Sends a heartbeat unless one is still unanswered.
async fn beat(socket: &mut Socket, record: &watch::Sender<Record>) -> Result<(), End> {
    if outstanding(&record.borrow()).is_some() {
        return Ok(());
    }
    let id = stamp::new_ulid();
    let frame = json!({"v": 1, "type": "heartbeat", "id": id, "ts": stamp::now_iso()});
    record.send_modify(|record| {
        record.heartbeats.push(Heartbeat { id, sent: Instant::now(), acknowledged: None });
    });
    send(socket, Message::text(frame.to_string())).await
}

fn outstanding(record: &Record) -> Option<&Heartbeat> {
    record.heartbeats.last().filter(|heartbeat| heartbeat.acknowledged.is_none())
}

fn is_overdue(record: &watch::Sender<Record>) -> bool {
    outstanding(&record.borrow()).is_some_and(|heartbeat| heartbeat.sent.elapsed() >= ACK_WITHIN)
}

async fn receive(
    socket: &mut Socket,
    record: &watch::Sender<Record>,
    message: Option<Result<Message, Error>>,
    habits: &Habits,
) -> Result<(), End> {
    let text = match message {
        None => return Err(End::Broken("end of stream".to_owned())),
        Some(Err(problem)) => return Err(End::Broken(problem.to_string())),
        Some(Ok(Message::Close(frame))) => {
            // Sends the close frame that answers it; a server that has hung up already does not wait for one.
            let _ = socket.flush().await;
            return Err(closed(frame));
        }
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
        Some(Ok(Message::Text(text))) => text.to_string(),
        Some(Ok(Message::Binary(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let arrival = Arrival {
        at: Instant::now(),
        typescript: frame_rules::typescript(&text),
        rust: frame_rules::rust(&text),
        text,
    };
    let frame = arrival.rust.clone();
    record.send_modify(|record| {
        note_acknowledgement(record, &arrival);
        record.arrivals.push(arrival.clone());
    });
    match frame {
        Ok(frame) => {
            if let (Some(notices), Some(receipt)) = (&habits.notices, frame.as_receipt()) {
                // Whoever passes them on is there as long as the connector.
                let _ = notices.send(receipt);
            }
            answer(socket, &frame, habits.on_delivery).await
        }
        Err(_) => Err(End::Unparsable(arrival.text)),
    }
}

fn note_acknowledgement(record: &mut Record, arrival: &Arrival) {
    let Ok(frame) = &arrival.rust else { return };
    if frame.kind == "heartbeat_ack"
        && let Some(id) = frame.text("ackId")
        && let Some(heartbeat) = record.heartbeats.iter_mut().find(|heartbeat| heartbeat.id == id)
    {
        heartbeat.acknowledged = Some(arrival.at);
    }
}

/// A heartbeat is acknowledged, a delivery answered as the connector was told; nothing else is answered.
async fn answer(socket: &mut Socket, frame: &Frame, on_delivery: OnDelivery) -> Result<(), End> {
    let mut reply = match (frame.kind.as_str(), on_delivery) {
        ("heartbeat", _) => json!({"type": "heartbeat_ack"}),
        ("deliver", OnDelivery::Accept) => json!({"type": "deliver_ack", "accepted": true}),
        ("deliver", OnDelivery::Refuse(reason)) => {
            json!({"type": "deliver_ack", "accepted": false, "reason": reason})
        }
        _ => return Ok(()),
    };
    reply["v"] = json!(1);
    reply["id"] = json!(stamp::new_ulid());
    reply["ts"] = json!(stamp::now_iso());
    reply["ackId"] = json!(frame.id);
    send(socket, Message::text(reply.to_string())).await
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), End> {
    socket.send(message).await.map_err(|problem| End::Broken(problem.to_string()))
}

fn closed(frame: Option<CloseFrame>) -> End {
    match frame {
        Some(frame) => End::Closed { code: frame.code.into(), reason: frame.reason.to_string() },
        None => End::Closed { code: NO_CLOSE_CODE, reason: String::new() },
    }
}
