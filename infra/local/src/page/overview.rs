//! Everything that the page shows but log lines, put together at one time.

use std::collections::HashSet;

use futures_util::future::{try_join, try_join_all, try_join3};
use serde::Serialize;

use super::Sources;
use super::agents::{self, Agent};
use super::dead_letters::DeadLetter;
use super::problem::Problem;
use super::queues::{Message, QueueDepth};
use super::receipts::{Receipt, Receipts, Stage};

/// How many of each are listed. What is not can be looked for.
const LISTED_MAX: usize = 200;

const TRUNCATED: &str = "A table holds more than is read at once, so this is not everything: look for one agent by its whole DID.";

/// The stack at one time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    at_ms: u64,
    stack_name: String,
    region: String,
    /// What a connector is given.
    proxy_url: String,
    queues: Vec<QueueDepth>,
    counts: Counts,
    agents: Listed<Agent>,
    receipts: Listed<Receipt>,
    dead_letters: Listed<DeadLetter>,
    /// What a person should know about what is shown.
    notes: Vec<String>,
}

/// What somebody looks for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// A part of a name, a DID, or an id.
    pub(super) find: String,
    /// How far the receipts have come that are listed; all if there is no such stage.
    pub(super) stage: String,
}

/// How many of the receipts that were read have come how far, whatever is looked for among them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    accepted: usize,
    queued: usize,
    pushed: usize,
    waiting: usize,
    /// Dead letters of every queue.
    dead: usize,
    /// Sockets that are open.
    sockets: usize,
}

/// The first of many.
#[derive(Debug, Serialize)]
struct Listed<T> {
    shown: Vec<T>,
    /// How many there are.
    total: usize,
}

impl<T> Listed<T> {
    fn first_of(all: Vec<T>, is_wanted: impl Fn(&T) -> bool) -> Self {
        let mut shown: Vec<T> = all.into_iter().filter(is_wanted).collect();
        let total = shown.len();
        shown.truncate(LISTED_MAX);
        Self { shown, total }
    }
}

impl Overview {
    /// Asks everybody.
    pub(super) async fn of(sources: &Sources, wanted: &Wanted, now_ms: u64) -> Result<Self, Problem> {
        let Sources { stack, tables, queues, registry, .. } = sources;
        let sender = wanted.find.starts_with("did:").then_some(wanted.find.as_str());
        let stored = try_join3(tables.receipts(sender), tables.connections(), tables.revocations());
        let depths = try_join_all(queues.pairs.iter().map(|pair| queues.depth(pair)));
        let dead = try_join_all(queues.pairs.iter().map(async |pair| {
            let messages = queues.messages(&pair.dlq_url).await?;
            Ok(messages.iter().map(|message| DeadLetter::read(&pair.name, message)).collect::<Vec<_>>())
        }));
        let queued = try_join_all(queues.pairs.iter().map(|pair| queues.messages(&pair.url)));
        // The queues before the tables: what moves on in between is seen twice, and not missed.
        let ((queued, dead), depths) = try_join(try_join(queued, dead), depths).await?;
        let (items, connections, revocations) = stored.await?;
        let mut notes = Vec::new();
        if items.truncated || connections.truncated || revocations.truncated {
            notes.push(TRUNCATED.to_owned());
        }
        // Without names the page still shows everything else.
        let registered = registry.all().await.unwrap_or_else(|problem| {
            notes.push(format!("Agents have no names: {problem}."));
            Vec::new()
        });

        let queued: Vec<Message> = queued.into_iter().flatten().collect();
        let mut dead_letters: Vec<DeadLetter> = dead.into_iter().flatten().collect();
        dead_letters.sort_by_key(|letter| std::cmp::Reverse(letter.sent_at_ms));
        let receipts = Receipts::gather(&items.items, &queued, &dead_letters).latest_first();
        let agents = agents::gather(registered, &connections.items, &revocations.items, &receipts, now_ms);
        let counts = Counts::of(&receipts, &dead_letters, &agents);
        let finder = Finder::new(&wanted.find, &agents);
        Ok(Self {
            at_ms: now_ms,
            stack_name: stack.stack_name.clone(),
            region: stack.region.clone(),
            proxy_url: stack.proxy_url.clone(),
            queues: depths,
            counts,
            receipts: Listed::first_of(receipts, |receipt| {
                (wanted.stage.is_empty() || receipt.stage.name() == wanted.stage) && finder.receipt(receipt)
            }),
            dead_letters: Listed::first_of(dead_letters, |letter| finder.dead_letter(letter)),
            agents: Listed::first_of(agents, |agent| finder.agent(&agent.did)),
            notes,
        })
    }
}

impl Counts {
    fn of(receipts: &[Receipt], dead_letters: &[DeadLetter], agents: &[Agent]) -> Self {
        let at = |stage| receipts.iter().filter(|receipt| receipt.stage == stage).count();
        Self {
            accepted: receipts.len(),
            queued: at(Stage::Queued),
            pushed: at(Stage::Pushed),
            waiting: at(Stage::Waiting),
            dead: dead_letters.len(),
            sockets: agents.iter().filter(|agent| agent.socket.is_some()).count(),
        }
    }
}

/// Decides what somebody is looking for.
struct Finder {
    /// In lower case.
    text: String,
    /// Agents whose DID or name it is in.
    agents: HashSet<String>,
}

impl Finder {
    fn new(text: &str, agents: &[Agent]) -> Self {
        let mut finder = Self { text: text.to_lowercase(), agents: HashSet::new() };
        let meant = agents.iter().filter(|agent| {
            finder.is_in(&agent.did) || agent.name.as_deref().is_some_and(|name| finder.is_in(name))
        });
        finder.agents = meant.map(|agent| agent.did.clone()).collect();
        finder
    }

    fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.text)
    }

    fn agent(&self, did: &str) -> bool {
        self.agents.contains(did)
    }

    fn receipt(&self, receipt: &Receipt) -> bool {
        let Receipt { request_id, sender, recipient, correlation_id, .. } = receipt;
        self.is_in(request_id)
            || self.agent(sender)
            || self.agent(recipient)
            || correlation_id.as_deref().is_some_and(|id| self.is_in(id))
    }

    fn dead_letter(&self, letter: &DeadLetter) -> bool {
        let DeadLetter { message_id, request_id, sender, reason_code, correlation_id, .. } = letter;
        let texts = [Some(message_id), request_id.as_ref(), reason_code.as_ref(), correlation_id.as_ref()];
        texts.into_iter().flatten().any(|text| self.is_in(text))
            || sender.as_deref().is_some_and(|did| self.agent(did))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(request_id: usize, stage: Stage) -> Receipt {
        Receipt { request_id: format!("R{request_id}"), stage, ..Receipt::default() }
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let receipts: Vec<_> = (0..=LISTED_MAX).map(|id| receipt(id, Stage::Pushed)).collect();
        assert_eq!(Counts::of(&receipts, &[], &[]).pushed, LISTED_MAX + 1);
        let all = Listed::first_of(receipts, |_| true);
        assert_eq!((all.shown.len(), all.total), (LISTED_MAX, LISTED_MAX + 1));
    }

    #[test]
    fn a_receipt_is_found_by_its_ids_and_by_its_agents() {
        let agent = Agent { did: "did:x".to_owned(), name: Some("Alice".to_owned()), ..Agent::default() };
        let receipt = Receipt { sender: "did:x".to_owned(), ..receipt(7, Stage::Dead) };
        let letter = DeadLetter { reason_code: Some("not_json".to_owned()), ..DeadLetter::default() };
        for (text, is_receipt, is_letter) in [
            ("", true, true),
            ("alic", true, false),
            ("r7", true, false),
            ("json", false, true),
            ("?", false, false),
        ] {
            let finder = Finder::new(text, std::slice::from_ref(&agent));
            assert_eq!(
                (finder.receipt(&receipt), finder.dead_letter(&letter)),
                (is_receipt, is_letter),
                "{text}"
            );
        }
    }

    #[test]
    fn receipts_are_counted_by_how_far_they_have_come() {
        let receipts =
            [Stage::Queued, Stage::Waiting, Stage::Waiting, Stage::Recorded].map(|s| receipt(0, s));
        let counts = Counts::of(&receipts, &[DeadLetter::default()], &[]);
        let expected = Counts { accepted: 4, queued: 1, waiting: 2, dead: 1, ..Counts::default() };
        assert_eq!(counts, expected);
    }
}
