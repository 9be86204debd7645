//! What was sent against what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::connector::{Receipt, ReceivedReceipt};

/// The receipts that were sent and the frames that came, by the ids of their messages.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: BTreeSet<String>,
    /// For each message the ids of the frames that spoke of it, as often as they came.
    arrived: BTreeMap<String, Vec<String>>,
}

impl Ledger {
    /// Opens the ledger with what was sent.
    #[must_use]
    pub fn of_sent<'a>(receipts: impl IntoIterator<Item = &'a Receipt>) -> Self {
        let sent = receipts.into_iter().map(|receipt| receipt.request_id.clone()).collect();
        Self { sent, arrived: BTreeMap::new() }
    }

    /// Adds what a session has received.
    pub fn note(&mut self, received: &[ReceivedReceipt]) {
        for receipt in received {
            let frames = self.arrived.entry(receipt.frame.original_frame_id.clone()).or_default();
            frames.push(receipt.frame.id.clone());
        }
    }

    /// Messages whose receipt was sent.
    #[must_use]
    pub fn sent(&self) -> &BTreeSet<String> {
        &self.sent
    }

    /// Messages that a frame spoke of.
    #[must_use]
    pub fn arrived(&self) -> BTreeSet<String> {
        self.arrived.keys().cloned().collect()
    }

    /// Messages whose receipt was sent and has not arrived.
    #[must_use]
    pub fn missing(&self) -> BTreeSet<String> {
        self.sent.iter().filter(|id| !self.arrived.contains_key(*id)).cloned().collect()
    }

    /// Messages that a frame spoke of although no receipt was sent.
    #[must_use]
    pub fn invented(&self) -> BTreeSet<String> {
        self.arrived.keys().filter(|id| !self.sent.contains(*id)).cloned().collect()
    }

    /// Frames beyond the first of their message.
    #[must_use]
    pub fn repetitions(&self) -> usize {
        self.arrived.values().map(|frames| frames.len() - 1).sum()
    }

    /// Messages whose repeated frames did not all carry one id.
    #[must_use]
    pub fn inconsistent(&self) -> BTreeSet<String> {
        let differ = |frames: &Vec<String>| frames.iter().any(|id| *id != frames[0]);
        self.arrived.iter().filter(|(_, frames)| differ(frames)).map(|(id, _)| id.clone()).collect()
    }

    /// Panics unless exactly what was sent has arrived, each with one frame id.
    pub fn assert_complete(&self) {
        assert_eq!(self.missing(), BTreeSet::new(), "lost; {self}");
        assert_eq!(self.invented(), BTreeSet::new(), "never sent; {self}");
        assert_eq!(self.inconsistent(), BTreeSet::new(), "repeated under another frame id; {self}");
    }

    /// [`assert_complete`](Self::assert_complete), and nothing twice.
    pub fn assert_each_once(&self) {
        self.assert_complete();
        assert_eq!(self.repetitions(), 0, "{self}");
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} sent, {} arrived, {} missing, {} repeated frames",
            self.sent.len(),
            self.arrived.len(),
            self.missing().len(),
            self.repetitions()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(sent: &[&str], arrived: &[(&str, &str)]) -> Ledger {
        let mut ledger =
            Ledger { sent: sent.iter().map(|id| (*id).to_owned()).collect(), ..Ledger::default() };
        for (id, frame) in arrived {
            ledger.arrived.entry((*id).to_owned()).or_default().push((*frame).to_owned());
        }
        ledger
    }

    #[test]
    fn what_is_lost_invented_repeated_or_renamed_is_seen() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let ledger = ledger(&["a", "b", "c"], &[("a", "1"), ("a", "1"), ("b", "2"), ("b", "3"), ("x", "4")]);
        assert_eq!(ledger.missing(), ids(&["c"]));
        assert_eq!(ledger.invented(), ids(&["x"]));
        assert_eq!(ledger.repetitions(), 2);
        assert_eq!(ledger.inconsistent(), ids(&["b"]));
        assert_eq!(ledger.to_string(), "3 sent, 3 arrived, 1 missing, 2 repeated frames");
    }

    #[test]
    #[should_panic(expected = "lost; 1 sent")]
    fn a_lost_receipt_fails() {
        ledger(&["a"], &[]).assert_complete();
    }

    #[test]
    #[should_panic(expected = "1 repeated frames")]
    fn a_repetition_fails_where_none_may_be() {
        ledger(&["a"], &[("a", "1"), ("a", "1")]).assert_each_once();
    }
}
