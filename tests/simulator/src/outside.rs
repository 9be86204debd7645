//! The library's traits over the simulated world.

use backbone::connection::{ConnectionHistory, ConnectionRef, ConnectionRow};
use backbone::did::AgentDid;
use backbone::queue_message::QueueMessage;
use backbone::receipt::{Receipt, ReceiptKey, StoredReceipt};
use backbone::stores::{
    Claimed, Clock, Closed, ConnectionStore, DeadLetter, DeadLetters, DeliveryState, Gateway, MailboxItem,
    Push, ReceiptQueue, ReceiptStore, Recorded, SourceQueue, StoreError, TrustStore, Waiting,
};
use backbone::trust::{Pair, RegistryRows, TrustAnswer, TrustQuestion};

use crate::checks::{name, read_frame};
use crate::delivery_checks::deliver_frame_id;
use crate::faults::Fate;
use crate::invocation::Invocation;
use crate::ledger::Invariant;
use crate::operation::Operation;
use crate::planted::Bug;
use crate::queue::{Content, Dead};
use crate::world::World;

impl ReceiptStore for Invocation {
    async fn read_for_delivery(
        &self,
        receipts: &[ReceiptKey],
        agents: &[AgentDid],
        pairs: &[Pair],
    ) -> Result<DeliveryState, StoreError> {
        let (receipts, agents, pairs) = (receipts.to_vec(), agents.to_vec(), pairs.to_vec());
        self.call(Operation::ReadForDelivery, move |world| {
            Ok(world.tables.read_for_delivery(&receipts, &agents, &pairs))
        })
        .await
    }

    async fn record(&self, row: &StoredReceipt) -> Result<Recorded, StoreError> {
        let (row, who) = (row.clone(), self.name());
        self.call(Operation::Record, move |world| {
            let before = world.tables.receipts.get(&row.receipt.key()).cloned();
            let recorded = world.tables.record(&row);
            world.note(|| {
                let pushed = if row.pushed_at_ms.is_some() { "pushed" } else { "waiting" };
                format!("{who}: record {} {pushed}: {recorded:?}", name(&row.receipt))
            });
            if recorded == Recorded::Stored {
                world.check_recorded(before.as_ref(), &row);
            }
            Ok(recorded)
        })
        .await
    }

    async fn replace(&self, seen: &StoredReceipt, row: &StoredReceipt) -> Result<Recorded, StoreError> {
        let (seen, row, who) = (seen.clone(), row.clone(), self.name());
        self.call(Operation::Replace, move |world| {
            let before = world.tables.receipts.get(&row.receipt.key()).cloned();
            let replaced = world.tables.replace(&seen, &row);
            world.note(|| {
                let what = if row.pushed_at_ms.is_some() { "said again" } else { "to be pushed again" };
                format!("{who}: {} is {what}: {replaced:?}", name(&row.receipt))
            });
            if replaced == Recorded::Stored {
                world.ledger.said_again.insert((row.receipt.frame_id(), row.receipt.processed_at_ms));
                world.check_recorded(before.as_ref(), &row);
            }
            Ok(replaced)
        })
        .await
    }

    async fn keep_waiting(&self, waiting: &Waiting) -> Result<(), StoreError> {
        let (waiting, who) = (waiting.clone(), self.name());
        self.call(Operation::KeepWaiting, move |world| {
            world.note(|| format!("{who}: keep waiting {}", name(&waiting.receipt)));
            if let Some(replaced) = world.tables.keep_waiting(&waiting)
                && replaced.receipt.order() > waiting.receipt.order()
            {
                let decided_ms = world.now_ms();
                world.check_kept(&replaced.receipt, decided_ms, "was overwritten in its mailbox");
            }
            Ok(())
        })
        .await
    }

    async fn stop_waiting(&self, receipt: &Receipt) -> Result<(), StoreError> {
        let (receipt, who, decided_ms) = (receipt.clone(), self.name(), self.begun_ms);
        self.call(Operation::StopWaiting, move |world| {
            world.note(|| format!("{who}: stop waiting {}", name(&receipt)));
            world.take_out_of_mailbox(&receipt, decided_ms);
            Ok(())
        })
        .await
    }

    async fn waiting(&self, agent: &AgentDid, limit: usize) -> Result<Vec<MailboxItem>, StoreError> {
        let agent = agent.clone();
        let page =
            self.call(Operation::Waiting, move |world| Ok(world.tables.waiting(&agent, limit))).await?;
        Ok(page.into_iter().map(MailboxItem::Readable).collect())
    }

    async fn remove_unreadable(&self, _agent: &AgentDid, item: &str) -> Result<(), StoreError> {
        unreachable!("every simulated item can be read: {item}")
    }

    async fn find(&self, key: &ReceiptKey) -> Result<Option<StoredReceipt>, StoreError> {
        let key = key.clone();
        self.call(Operation::ReadForDelivery, move |world| Ok(world.tables.receipts.get(&key).cloned())).await
    }
}

impl World {
    fn take_out_of_mailbox(&mut self, receipt: &Receipt, decided_ms: u64) {
        if let Some(removed) = self.tables.stop_waiting(receipt) {
            self.check_kept(&removed.receipt, decided_ms, "left its mailbox");
        }
    }

    /// One frame arrives at API Gateway.
    fn take_frame(&mut self, connection_id: &str, frame: &str, decided_ms: u64) -> Push {
        let push = self.sockets.push(connection_id);
        if push != Push::Taken {
            return push;
        }
        let agent = self.sockets.agent(connection_id).cloned();
        let read = agent.as_ref().and_then(|agent| read_frame(frame, agent));
        let is_cursed = read.as_ref().is_some_and(|(_, receipt)| self.cursed.contains(&receipt.request_id));
        let delivery_frame_id = deliver_frame_id(frame);
        if self.chance(self.profile.push_forbidden) {
            return Push::Forbidden;
        }
        let is_too_large = self.chance(self.profile.push_too_large) || (is_cursed && self.chance(300));
        let frame_id = read.map(|(id, _)| id).or(delivery_frame_id);
        if frame_id.map_or(is_too_large, |id| *self.too_large.entry(id).or_insert(is_too_large)) {
            return Push::TooLarge;
        }
        let is_delivery = delivery_frame_id.is_some();
        let is_lost = self.chance(self.profile.push_lost);
        if is_lost {
            // Taken all the same, for a socket that nobody reads any more.
            let connection_id = connection_id.to_owned();
            self.schedule.happen_in(10, move |world| world.end_socket(&connection_id));
        }
        self.check_frame(connection_id, frame, decided_ms);
        if is_delivery && !is_lost {
            self.inbox.push((connection_id.to_owned(), frame.to_owned()));
            self.schedule.changed();
        }
        if !is_delivery && !self.calm && agent.is_some_and(|agent| self.frail.contains(&agent)) {
            let connection_id = connection_id.to_owned();
            self.schedule.happen_in(50, move |world| world.end_socket(&connection_id));
        }
        push
    }
}

impl Gateway for Invocation {
    async fn push(&self, connection_id: &str, frame: &str) -> Result<Push, StoreError> {
        let fate = self.sim.with(|world| {
            let fate = world.next_fate(Operation::Push);
            let is_cursed = world.cursed.iter().any(|request| frame.contains(&request.to_string()));
            if is_cursed && !world.calm {
                *world.rng.pick(&[Fate::FailsBefore, Fate::HangsBefore, Fate::Panics, Fate::Works])
            } else {
                fate
            }
        });
        let (target, text, who, decided_ms) =
            (connection_id.to_owned(), frame.to_owned(), self.name(), self.begun_ms);
        let push = self
            .call_with(Operation::Push, fate, move |world| {
                let push = world.take_frame(&target, &text, decided_ms);
                world.note(|| format!("{who}: push to {target}: {push:?}"));
                Ok(push)
            })
            .await?;
        if push == Push::Taken {
            self.sim.with(|world| world.check_taken(frame, connection_id));
        }
        Ok(push)
    }

    async fn close(&self, connection_id: &str) -> Result<Closed, StoreError> {
        let (connection_id, who, function) = (connection_id.to_owned(), self.name(), self.function);
        self.call(Operation::Close, move |world| {
            world.check_closing(function, &connection_id);
            let closed = world.sockets.close(&connection_id);
            world.note(|| format!("{who}: close {connection_id}: {closed:?}"));
            world.schedule.changed();
            Ok(closed)
        })
        .await
    }
}

impl ReceiptQueue for Invocation {
    async fn send(
        &self,
        message: &QueueMessage,
        correlation_id: &str,
        delay_s: u32,
    ) -> Result<(), StoreError> {
        let content = Content::Known(Box::new(message.clone()));
        let (correlation_id, who) = (correlation_id.to_owned(), self.name());
        self.call(Operation::Send, move |world| {
            world.note(|| format!("{who}: send {} after {delay_s} s", content.name()));
            if let Content::Known(message) = &content
                && let QueueMessage::DeliveryReceipt(receipt) = message.as_ref()
            {
                world.check_queued(receipt);
            }
            world.put(&content, &correlation_id, delay_s);
            Ok(())
        })
        .await
    }

    async fn show_again(
        &self,
        queue: SourceQueue,
        receipt_handle: &str,
        after_s: u32,
    ) -> Result<(), StoreError> {
        let handle = receipt_handle.to_owned();
        self.call(Operation::ShowAgain, move |world| {
            let visible_at_ms = world.now_ms() + u64::from(after_s) * 1_000;
            if !world.source(queue).knows(&handle) {
                world.violated(Invariant::FailsAlone, format!("{handle} has no back-off on {queue:?}"));
            }
            let shown = world.source(queue).show_at(&handle, visible_at_ms);
            world.schedule.changed();
            if shown { Ok(()) } else { Err("the handle is not the latest") }
        })
        .await
    }
}

impl DeadLetters for Invocation {
    async fn bury(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        let (letter, who) = (letter.clone(), self.name());
        self.call(Operation::Bury, move |world| {
            world.note(|| format!("{who}: bury {} as {}", letter.original_message_id, letter.reason_code));
            let content = match QueueMessage::parse(&letter.body, None) {
                _ if letter.queue == SourceQueue::Events => Content::Event(letter.body),
                // What peers may not send is junk, whatever it says.
                Ok(QueueMessage::DeliveryReceipt(receipt)) => {
                    Content::Known(Box::new(QueueMessage::DeliveryReceipt(receipt)))
                }
                Ok(message) if letter.queue == SourceQueue::Receipts => Content::Known(Box::new(message)),
                Ok(_) | Err(_) => Content::Junk { body: letter.body, version: None },
            };
            let dead = Dead { content, origin_proxy: letter.origin_proxy, reason: Some(letter.reason_code) };
            world.source(letter.queue).dead.push(dead);
            Ok(())
        })
        .await
    }
}

impl ConnectionStore for Invocation {
    async fn connection(&self, agent: &AgentDid) -> Result<ConnectionRow, StoreError> {
        let agent = agent.clone();
        self.call(Operation::Connection, move |world| Ok(world.tables.row(&agent))).await
    }

    async fn claim_connection(
        &self,
        newcomer: &ConnectionRef,
        lease_expires_at_ms: u64,
        history: &ConnectionHistory,
        seen: &ConnectionRow,
    ) -> Result<Claimed, StoreError> {
        let (newcomer, history, who) = (newcomer.clone(), *history, self.name());
        let seen = seen.live.as_ref().map(|live| live.connection_id.clone());
        self.call(Operation::Claim, move |world| {
            let claimed = world.tables.claim(&newcomer, lease_expires_at_ms, history, seen.as_deref());
            if claimed == Claimed::Claimed {
                world.newest.insert(newcomer.agent.clone(), newcomer.connection_id.clone());
            }
            world.note(|| format!("{who}: claim {}: {claimed:?}", newcomer.connection_id));
            Ok(claimed)
        })
        .await
    }

    async fn clear_connection(&self, agent: &AgentDid, connection_id: &str) -> Result<(), StoreError> {
        let (agent, connection_id, who) = (agent.clone(), connection_id.to_owned(), self.name());
        self.call(Operation::Clear, move |world| {
            let checked = world.bug != Some(Bug::ClearIsUnconditional);
            let cleared = world.tables.clear(&agent, &connection_id, checked);
            world.note(|| format!("{who}: clear {connection_id}: {cleared:?}"));
            if let Some(cleared) = cleared {
                world.check_cleared(&connection_id, &cleared);
            }
            Ok(())
        })
        .await
    }

    async fn note_drain(&self, connection: &ConnectionRef, at_ms: u64) -> Result<(), StoreError> {
        let connection = connection.clone();
        self.call(Operation::Note, move |world| {
            if let Some(row) = world.tables.row_of(&connection) {
                row.drain_started_at_ms.get_or_insert(at_ms);
            }
            Ok(())
        })
        .await
    }

    async fn note_drain_announced(&self, connection: &ConnectionRef, at_ms: u64) -> Result<(), StoreError> {
        let connection = connection.clone();
        self.call(Operation::Note, move |world| {
            if let Some(row) = world.tables.row_of(&connection) {
                row.drain_announced_at_ms = Some(at_ms);
            }
            Ok(())
        })
        .await
    }

    async fn end_quarantine(&self, connection: &ConnectionRef) -> Result<(), StoreError> {
        let connection = connection.clone();
        self.call(Operation::Note, move |world| {
            if let Some(row) = world.tables.row_of(&connection) {
                row.history.short_lives = 0;
            }
            Ok(())
        })
        .await
    }
}

impl TrustStore for Invocation {
    /// Only the yes to the access token: nothing else is asked here.
    async fn trust(&self, question: &TrustQuestion) -> Result<TrustAnswer, StoreError> {
        let (question, now_ms) = (question.clone(), self.now_ms());
        self.call(Operation::Trust, move |world| {
            let yes =
                question.access_hash.and_then(|hash| world.tables.access.get(&question.agent)?.get(&hash));
            let stands = yes.filter(|yes| !yes.is_taken_back && now_ms < yes.until_ms);
            let access_accepted_at_ms = stands.map(|yes| yes.accepted_at_ms);
            Ok(TrustAnswer { access_accepted_at_ms, ..TrustAnswer::default() })
        })
        .await
    }

    async fn agent_revoked(&self, agent: &AgentDid) -> Result<bool, StoreError> {
        let agent = agent.clone();
        self.call(Operation::AgentRevoked, move |world| Ok(world.tables.revoked.contains_key(&agent))).await
    }

    async fn registry_rows(&self) -> Result<RegistryRows, StoreError> {
        self.call(Operation::RegistryRows, move |world| Ok(world.tables.registry.clone())).await
    }
}
