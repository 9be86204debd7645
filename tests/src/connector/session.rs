//! One WebSocket of a connector, from the handshake to its end.

mod task;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::Habits;
use super::frame_rules::{ReceiptFrame, Verdict};
use crate::eventually::PATIENCE;
use crate::stamp;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An open socket and all that came through it. It is served in the background.
///
/// Dropping it drops the TCP connection without a close frame, as a connector does that crashes.
pub struct Session {
    outbox: mpsc::UnboundedSender<Message>,
    record: watch::Receiver<Record>,
    receipts_taken: usize,
}

/// What has happened on a socket so far.
#[derive(Debug, Default)]
struct Record {
    arrivals: Vec<Arrival>,
    heartbeats: Vec<Heartbeat>,
    end: Option<End>,
}

/// One message from the server.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When it came.
    pub at: Instant,
    /// Its text, of a binary message too.
    pub text: String,
    /// What the TypeScript connector would say.
    pub typescript: Verdict,
    /// What the Rust connector would say.
    pub rust: Verdict,
}

/// A receipt frame from the server.
#[derive(Clone, Debug)]
pub struct ReceivedReceipt {
    /// When it came.
    pub at: Instant,
    /// What it said.
    pub frame: ReceiptFrame,
}

/// One heartbeat of ours.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Its frame id.
    pub id: String,
    /// When it was sent.
    pub sent: Instant,
    /// When its acknowledgement came.
    pub acknowledged: Option<Instant>,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server sent a close frame; 1005 stands for one without a code.
    Closed {
        /// The close code.
        code: u16,
        /// The server's words.
        reason: String,
    },
    /// The server sent this, which a Rust connector cannot parse.
    Unparsable(String),
    /// A heartbeat was not acknowledged in time.
    HeartbeatUnanswered,
    /// The connection broke.
    Broken(String),
}

/// Something that was waited for did not come.
#[derive(Debug, thiserror::Error)]
#[error("no {what} within {} ms; received {received:?}, ended: {end:?}", waited.as_millis())]
pub struct Missing {
    what: &'static str,
    waited: Duration,
    received: Vec<String>,
    end: Option<End>,
}

impl Session {
    pub(super) fn start(socket: Socket, habits: Habits) -> Self {
        let (outbox, messages) = mpsc::unbounded_channel();
        let (record, reader) = watch::channel(Record::default());
        tokio::spawn(task::serve(socket, messages, record, habits));
        Self { outbox, record: reader, receipts_taken: 0 }
    }

    /// The next receipt that was not taken yet.
    ///
    /// # Errors
    ///
    /// [`Missing`] after `limit`, or once the session has ended without one.
    pub async fn next_receipt(&mut self, limit: Duration) -> Result<ReceivedReceipt, Missing> {
        let taken = self.receipts_taken;
        let find = |record: &Record| record.receipts().nth(taken);
        let receipt = self.wait(limit, "receipt", find).await?;
        self.receipts_taken += 1;
        Ok(receipt)
    }

    /// All receipts so far, taken or not.
    #[must_use]
    pub fn receipts(&self) -> Vec<ReceivedReceipt> {
        self.record.borrow().receipts().collect()
    }

    /// All receipts so far, once they are about `messages` different messages, however long that takes.
    ///
    /// # Errors
    ///
    /// [`Missing`] when none about another message has come for `stuck_after`, or once the session has ended too early.
    pub async fn receipts_about(
        &self,
        messages: usize,
        stuck_after: Duration,
    ) -> Result<Vec<ReceivedReceipt>, Missing> {
        let mut record = self.record.clone();
        let mut seen = BTreeSet::new();
        let mut looked_at = 0;
        while seen.len() < messages {
            let before = seen.len();
            let progress = record.wait_for(|record| {
                seen.extend(record.receipts_from(looked_at).map(|receipt| receipt.frame.original_frame_id));
                looked_at = record.arrivals.len();
                seen.len() > before || record.end.is_some()
            });
            // A time-out is not told apart here: what counts is whether there are more.
            let _ = tokio::time::timeout(stuck_after, progress).await;
            if seen.len() == before {
                return Err(self.missing("receipts about more messages", stuck_after));
            }
        }
        Ok(self.receipts())
    }

    /// All messages so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Arrival> {
        self.record.borrow().arrivals.clone()
    }

    /// The first message that `matches`, already here or still to come.
    ///
    /// # Errors
    ///
    /// [`Missing`] after `limit`, or once the session has ended without one.
    pub async fn frame(
        &self,
        limit: Duration,
        matches: impl Fn(&Arrival) -> bool,
    ) -> Result<Arrival, Missing> {
        let find = |record: &Record| record.arrivals.iter().find(|arrival| matches(arrival)).cloned();
        self.wait(limit, "such frame", find).await
    }

    /// The message with this index, counted from 0, already here or still to come.
    ///
    /// # Errors
    ///
    /// [`Missing`] after `limit`, or once the session has ended without one.
    pub async fn frame_at(&self, index: usize, limit: Duration) -> Result<Arrival, Missing> {
        self.wait(limit, "further frame", |record| record.arrivals.get(index).cloned()).await
    }

    /// Our heartbeats so far.
    #[must_use]
    pub fn heartbeats(&self) -> Vec<Heartbeat> {
        self.record.borrow().heartbeats.clone()
    }

    /// The first heartbeat once it is acknowledged: from then on the server is known to read and to answer.
    ///
    /// # Errors
    ///
    /// [`Missing`] after `limit`, or once the session has ended without one.
    pub async fn acknowledged_heartbeat(&self, limit: Duration) -> Result<Heartbeat, Missing> {
        self.wait_for_heartbeat(limit, |_| true).await
    }

    /// The first acknowledged heartbeat of those that were sent at `begin` or later.
    ///
    /// # Errors
    ///
    /// [`Missing`] after `limit`, or once the session has ended without one.
    pub async fn acknowledged_heartbeat_since(
        &self,
        begin: Instant,
        limit: Duration,
    ) -> Result<Heartbeat, Missing> {
        self.wait_for_heartbeat(limit, |heartbeat| heartbeat.sent >= begin).await
    }

    async fn wait_for_heartbeat(
        &self,
        limit: Duration,
        fits: impl Fn(&Heartbeat) -> bool,
    ) -> Result<Heartbeat, Missing> {
        let find = |record: &Record| {
            let mut heartbeats = record.heartbeats.iter();
            heartbeats.find(|heartbeat| heartbeat.acknowledged.is_some() && fits(heartbeat)).cloned()
        };
        self.wait(limit, "acknowledged heartbeat", find).await
    }

    /// Sends a heartbeat of its own and waits for its acknowledgement: the socket is open now.
    ///
    /// # Errors
    ///
    /// [`Missing`] after `limit`, or once the session has ended without one.
    pub async fn answers(&self, limit: Duration) -> Result<Arrival, Missing> {
        let id = stamp::new_ulid();
        let beat = json!({ "v": 1, "type": "heartbeat", "id": id, "ts": stamp::now_iso() });
        self.send_text(beat.to_string());
        self.frame(limit, |arrival| arrival.text.contains(&id)).await
    }

    /// How the session ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.record.borrow().end.clone()
    }

    /// Waits for the end of the session.
    ///
    /// # Errors
    ///
    /// [`Missing`] after `limit`.
    pub async fn ended(&self, limit: Duration) -> Result<End, Missing> {
        self.wait(limit, "end", |record| record.end.clone()).await
    }

    /// Sends any text. After the end of the session it goes nowhere.
    pub fn send_text(&self, text: impl Into<String>) {
        self.send(Message::text(text.into()));
    }

    /// Sends any bytes as a binary message. After the end of the session they go nowhere.
    pub fn send_binary(&self, bytes: impl Into<Vec<u8>>) {
        self.send(Message::binary(bytes.into()));
    }

    /// Closes the socket properly and waits until the server has agreed.
    ///
    /// # Errors
    ///
    /// [`Missing`] if it does not.
    pub async fn close(self) -> Result<End, Missing> {
        self.send(Message::Close(None));
        self.ended(PATIENCE).await
    }

    fn send(&self, message: Message) {
        // The task is gone when the session has ended, and the record says how.
        let _ = self.outbox.send(message);
    }

    async fn wait<T>(
        &self,
        limit: Duration,
        what: &'static str,
        find: impl Fn(&Record) -> Option<T>,
    ) -> Result<T, Missing> {
        let mut record = self.record.clone();
        let done = record.wait_for(|record| record.end.is_some() || find(record).is_some());
        // A time-out is not told apart here: what counts is whether it is there now.
        let _ = tokio::time::timeout(limit, done).await;
        let found = find(&self.record.borrow());
        found.ok_or_else(|| self.missing(what, limit))
    }

    fn missing(&self, what: &'static str, waited: Duration) -> Missing {
        let record = self.record.borrow();
        Missing {
            what,
            waited,
            received: record.arrivals.iter().map(|arrival| arrival.text.clone()).collect(),
            end: record.end.clone(),
        }
    }
}

impl Record {
    fn receipts(&self) -> impl Iterator<Item = ReceivedReceipt> {
        self.receipts_from(0)
    }

    /// Those among the arrivals from this one on.
    fn receipts_from(&self, arrival: usize) -> impl Iterator<Item = ReceivedReceipt> {
        self.arrivals[arrival..].iter().filter_map(|arrival| {
            let frame = arrival.rust.as_ref().ok()?.as_receipt()?;
            Some(ReceivedReceipt { at: arrival.at, frame })
        })
    }
}
