//! Standard SQS queues, each with its dead-letter queue: at least once, in no order.

use std::collections::BTreeMap;

use backbone::delivery::QueuedMessage;
use backbone::queue_message::{MESSAGE_VERSION, QueueMessage};
use backbone::reason_code::ReasonCode;
use backbone::receipt::Receipt;
use backbone::stores::SourceQueue;

use crate::checks::name;
use crate::deliveries;
use crate::rng::Rng;

/// How long a received message stays hidden, in milliseconds.
pub(crate) const VISIBILITY_MS: u64 = 180_000;
/// After so many receives a message goes to the dead-letter queue instead.
pub(crate) const RECEIVES_MAX: u32 = 10;
/// Most messages in one batch of the event source.
pub(crate) const BATCH_MAX: u64 = 10;

/// What a message is, as the sender meant it.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// One of ours.
    Known(Box<QueueMessage>),
    /// Something that the consumer cannot understand.
    Junk { body: String, version: Option<&'static str> },
    /// An event of the registry, on the events queue.
    Event(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) content: Content,
    /// The proxy that it says it comes from.
    origin_proxy: Option<String>,
    correlation_id: String,
    visible_at_ms: u64,
    receive_count: u32,
    sent_ms: u64,
    first_seen_ms: u64,
    /// The latest receive; older handles no longer work.
    receive: u64,
}

/// A message in the dead-letter queue.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    pub(crate) content: Content,
    pub(crate) origin_proxy: Option<String>,
    /// Why, if it was put there on purpose.
    pub(crate) reason: Option<ReasonCode>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    source: SourceQueue,
    messages: BTreeMap<u64, Message>,
    pub(crate) dead: Vec<Dead>,
    sent: u64,
    receives: u64,
}

impl Queue {
    /// An empty one.
    pub(crate) const fn empty(source: SourceQueue) -> Self {
        Self { source, messages: BTreeMap::new(), dead: Vec::new(), sent: 0, receives: 0 }
    }

    /// Whether a handle, or a message's id, is one of this queue's.
    pub(crate) fn knows(&self, handle: &str) -> bool {
        handle.starts_with(initial(self.source))
    }

    /// Sends a message `copies` times under one id, at least once is what a standard queue promises: now, to be seen later.
    pub(crate) fn send(
        &mut self,
        content: &Content,
        origin_proxy: Option<&str>,
        correlation_id: &str,
        (now_ms, visible_at_ms): (u64, u64),
        copies: u64,
    ) {
        self.sent += 1;
        let id = format!("{}{}", initial(self.source), self.sent);
        for _ in 0..copies {
            self.receives += 1;
            let message = Message {
                id: id.clone(),
                content: content.clone(),
                origin_proxy: origin_proxy.map(str::to_owned),
                correlation_id: correlation_id.to_owned(),
                visible_at_ms,
                receive_count: 0,
                sent_ms: now_ms,
                first_seen_ms: 0,
                receive: self.receives,
            };
            self.messages.insert(self.receives, message);
        }
    }

    /// When the next message can be received.
    pub(crate) fn next_visible_ms(&self) -> Option<u64> {
        self.messages.values().map(|message| message.visible_at_ms).min()
    }

    /// Receives up to `limit` messages in any order. A message that has been received too often goes to the
    /// dead-letter queue. Of a thousand received ones, `redelivered` stay visible to somebody else.
    pub(crate) fn receive(
        &mut self,
        now_ms: u64,
        limit: u64,
        redelivered: u64,
        rng: &mut Rng,
    ) -> Vec<QueuedMessage> {
        let mut visible: Vec<u64> = self
            .messages
            .iter()
            .filter(|(_, message)| message.visible_at_ms <= now_ms)
            .map(|(&place, _)| place)
            .collect();
        let mut batch = Vec::new();
        for _ in 0..limit {
            if visible.is_empty() {
                break;
            }
            let place = visible.swap_remove(rng.index(visible.len()));
            if self.messages[&place].receive_count >= RECEIVES_MAX {
                let Message { content, origin_proxy, .. } =
                    self.messages.remove(&place).expect("it was visible");
                self.dead.push(Dead { content, origin_proxy, reason: None });
                continue;
            }
            self.receives += 1;
            let message = self.messages.get_mut(&place).expect("it was visible");
            message.receive_count += 1;
            message.receive = self.receives;
            if message.receive_count == 1 {
                message.first_seen_ms = now_ms;
            }
            let hidden_ms = if rng.chance(redelivered) { rng.between(0, 2_000) } else { VISIBILITY_MS };
            message.visible_at_ms = now_ms + hidden_ms;
            batch.push(message.as_received(self.source, place));
        }
        batch
    }

    /// Takes a handled message out and returns it. A handle that is not the latest does nothing.
    pub(crate) fn delete(&mut self, handle: &str) -> Option<Message> {
        let place = self.place_of(handle)?;
        self.messages.remove(&place)
    }

    /// Changes when a message is shown again. False if the handle is not the latest.
    pub(crate) fn show_at(&mut self, handle: &str, visible_at_ms: u64) -> bool {
        let message = self.place_of(handle).and_then(|place| self.messages.get_mut(&place));
        message.map(|message| message.visible_at_ms = visible_at_ms).is_some()
    }

    /// Moves what is in the dead-letter queue back, under new ids.
    pub(crate) fn redrive(&mut self, now_ms: u64) {
        for dead in std::mem::take(&mut self.dead) {
            self.send(&dead.content, dead.origin_proxy.as_deref(), "redrive", (now_ms, now_ms), 1);
        }
    }

    /// Short words for a message in flight.
    pub(crate) fn name_of(&self, handle: &str) -> String {
        let message = self.place_of(handle).and_then(|place| self.messages.get(&place));
        message.map(|message| message.content.name()).unwrap_or_default()
    }

    pub(crate) fn contents(&self) -> impl Iterator<Item = &Content> {
        self.messages.values().map(|message| &message.content)
    }

    fn place_of(&self, handle: &str) -> Option<u64> {
        let (place, receive) = handle.strip_prefix(initial(self.source))?.split_once('/')?;
        let place = place.parse().ok()?;
        let latest = self.messages.get(&place)?.receive;
        (receive.parse() == Ok(latest)).then_some(place)
    }
}

/// How the names of a queue's messages begin.
const fn initial(source: SourceQueue) -> char {
    match source {
        SourceQueue::Receipts => 'm',
        SourceQueue::Peers => 'p',
        SourceQueue::Events => 'e',
    }
}

impl Content {
    /// Short words for it.
    pub(crate) fn name(&self) -> String {
        let message = match self {
            Self::Known(message) => message,
            Self::Junk { .. } => return "junk".to_owned(),
            Self::Event(body) => return format!("event {}", body.get(..24).unwrap_or(body)),
        };
        match message.as_ref() {
            QueueMessage::DeliveryReceipt(receipt) => name(receipt),
            QueueMessage::Connected(connection) => format!("connected {}", connection.connection_id),
            QueueMessage::Drain(connection) => format!("drain {}", connection.connection_id),
            QueueMessage::Close(connection) => format!("close {}", connection.connection_id),
            QueueMessage::Deliver(turn) => format!("turn of {}", deliveries::name(&turn.key)),
            QueueMessage::DeliveryRefused(refusal) => format!("refused {}", deliveries::name(&refusal.key)),
            QueueMessage::RestoreDelivery(delivery) => {
                format!("restore {}", deliveries::name(&delivery.key()))
            }
        }
    }

    /// Whether this is the event with that body.
    pub(crate) fn is_event(&self, body: &str) -> bool {
        matches!(self, Self::Event(event) if event == body)
    }

    /// The receipt that this carries, if it carries one.
    pub(crate) fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Known(message) => match message.as_ref() {
                QueueMessage::DeliveryReceipt(receipt) => Some(receipt),
                QueueMessage::Connected(_)
                | QueueMessage::Drain(_)
                | QueueMessage::Close(_)
                | QueueMessage::Deliver(_)
                | QueueMessage::DeliveryRefused(_)
                | QueueMessage::RestoreDelivery(_) => None,
            },
            Self::Junk { .. } | Self::Event(_) => None,
        }
    }

    /// The message, if it is about a system delivery.
    pub(crate) fn about_delivery(&self) -> Option<&QueueMessage> {
        match self {
            Self::Known(message) => match message.as_ref() {
                QueueMessage::Deliver(_)
                | QueueMessage::DeliveryRefused(_)
                | QueueMessage::RestoreDelivery(_) => Some(message),
                QueueMessage::DeliveryReceipt(_)
                | QueueMessage::Connected(_)
                | QueueMessage::Drain(_)
                | QueueMessage::Close(_) => None,
            },
            Self::Junk { .. } | Self::Event(_) => None,
        }
    }
}

impl Message {
    fn as_received(&self, source: SourceQueue, place: u64) -> QueuedMessage {
        let (body, version) = match &self.content {
            Content::Known(message) => (message.to_body(), Some(MESSAGE_VERSION)),
            Content::Junk { body, version } => (body.clone(), *version),
            Content::Event(body) => (body.clone(), None),
        };
        QueuedMessage {
            queue: source,
            message_id: self.id.clone(),
            receipt_handle: format!("{}{place}/{}", initial(source), self.receive),
            body,
            version: version.map(str::to_owned),
            origin_proxy: self.origin_proxy.clone(),
            correlation_id: Some(self.correlation_id.clone()),
            receive_count: self.receive_count,
            sent_ms: self.sent_ms,
            first_seen_ms: self.first_seen_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_of(messages: usize) -> Queue {
        let mut queue = Queue::empty(SourceQueue::Receipts);
        for number in 0..messages {
            let junk = Content::Junk { body: number.to_string(), version: None };
            queue.send(&junk, None, "c", (0, 0), 1);
        }
        queue
    }

    #[test]
    fn what_is_received_is_hidden_until_its_time_is_over() {
        let (mut queue, mut rng) = (queue_of(1), Rng::new(1));
        let first = queue.receive(5, 10, 0, &mut rng);
        assert_eq!((first.len(), first[0].receive_count, first[0].first_seen_ms), (1, 1, 5));
        assert!(queue.receive(VISIBILITY_MS + 4, 10, 0, &mut rng).is_empty());
        let second = queue.receive(VISIBILITY_MS + 5, 10, 0, &mut rng);
        assert_eq!((second[0].receive_count, second[0].first_seen_ms), (2, 5));
        assert!(queue.delete(&first[0].receipt_handle).is_none(), "an old handle does nothing");
        assert!(queue.delete(&second[0].receipt_handle).is_some());
        assert_eq!(queue.next_visible_ms(), None);
    }

    #[test]
    fn a_delay_and_a_changed_visibility_are_kept() {
        let (mut queue, mut rng) = (Queue::empty(SourceQueue::Receipts), Rng::new(1));
        queue.send(&Content::Junk { body: String::new(), version: None }, None, "c", (0, 1_000), 1);
        assert!(queue.receive(999, 10, 0, &mut rng).is_empty());
        let received = queue.receive(1_000, 10, 0, &mut rng);
        assert!(queue.show_at(&received[0].receipt_handle, 3_000));
        assert_eq!(queue.next_visible_ms(), Some(3_000));
        assert_eq!(queue.receive(3_000, 10, 0, &mut rng).len(), 1);
        assert!(!queue.show_at(&received[0].receipt_handle, 9_000));
    }

    #[test]
    fn the_eleventh_receive_is_a_dead_letter_and_a_redrive_gives_a_new_id() {
        let (mut queue, mut rng) = (queue_of(1), Rng::new(1));
        let mut ids = Vec::new();
        for receive in 0..11 {
            let batch = queue.receive(receive * VISIBILITY_MS, 10, 0, &mut rng);
            ids.extend(batch.into_iter().map(|message| message.message_id));
        }
        assert_eq!((ids.len(), queue.dead.len()), (10, 1));
        queue.redrive(0);
        let again = queue.receive(0, 10, 0, &mut rng);
        assert_ne!(again[0].message_id, ids[0]);
        assert_eq!(again[0].receive_count, 1);
    }

    #[test]
    fn copies_share_an_id_and_are_deleted_one_by_one() {
        let (mut queue, mut rng) = (Queue::empty(SourceQueue::Receipts), Rng::new(1));
        queue.send(&Content::Junk { body: String::new(), version: None }, None, "c", (0, 0), 2);
        let batch = queue.receive(0, 10, 0, &mut rng);
        assert_eq!(batch[0].message_id, batch[1].message_id);
        queue.delete(&batch[0].receipt_handle);
        assert_eq!(queue.contents().count(), 1);
    }

    #[test]
    fn the_order_depends_on_chance_only() {
        let order = |seed| {
            let batch = queue_of(10).receive(0, 10, 0, &mut Rng::new(seed));
            batch.into_iter().map(|message| message.body).collect::<Vec<_>>()
        };
        assert_eq!(order(3), order(3));
        assert_ne!(order(3), order(4));
    }
}
