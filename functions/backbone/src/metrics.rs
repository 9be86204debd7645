//! What is counted: one enum, so that no metric name is a stray string.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strum::VariantArray;

use crate::error_code::ErrorCode;
use crate::reason_code::ReasonCode;

/// A counted event. The name is the metric's name; the unit is a count unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum Metric {
    /// A receipt was answered 202.
    ReceiptAccepted,
    /// A receipt went to the peer at which its sender is at home.
    ReceiptForwarded,
    /// A receipt's sender is at home where this stack has no peer: a dead letter.
    UnknownOrigin,
    /// A request or a handshake was refused; also counted by its code if it has one.
    RequestRefused,
    /// It was refused with 401 or 403: whoever asked is not let in.
    AuthRefused,
    /// It was refused with 5xx: something that we depend on did not answer.
    DependencyFailed,
    /// API Gateway took a frame.
    Pushed,
    /// API Gateway answered 410 for a connection that may still be opening.
    PushNotOpenYet,
    /// API Gateway answered 410: the connection is gone.
    PushGone,
    /// API Gateway answered 413, 429, 5xx or nothing.
    PushFailed,
    /// API Gateway answered 403: a permission is missing.
    PushForbidden,
    /// A receipt was put into the mailbox.
    MailboxStored,
    /// A waiting receipt was pushed.
    MailboxDrained,
    /// A waiting receipt was dropped that its row shows as pushed or overtaken.
    MailboxSettled,
    /// A waiting receipt was put into the dead-letter queue: too large to push, or unreadable.
    MailboxBuried,
    /// A drain found a waiting receipt whose retention was over before its sender came back: a loss. What DynamoDB has
    /// deleted by then is lost uncounted.
    RetentionOver,
    /// A drain came to its end: nothing more is to be pushed to its connection.
    DrainFinished,
    /// A drain goes on by another message: it has done its share, its connector is in quarantine, or its own message has
    /// been tried often enough. That message has been sent.
    DrainContinued,
    /// A drain was interrupted by a failure, or by a panic, and its message is tried again.
    DrainInterrupted,
    /// A drain found that its connection is no longer the current one.
    DrainOutdated,
    /// A receipt repeated the stored state.
    ReceiptRepeated,
    /// A receipt was older than the stored state.
    ReceiptOvertaken,
    /// A receipt named another recipient than the stored one.
    ReceiptOtherRecipient,
    /// A receipt was held back because its sender is revoked.
    SenderRevoked,
    /// A receipt was held back because its sender's connectors die of receipts.
    Quarantined,
    /// A connector in quarantine was tried with one receipt.
    QuarantineProbed,
    /// A connector lived on after its probe: the quarantine is over.
    QuarantineEnded,
    /// A peer's message was not believed; the reason is the dead letter's.
    PeerRefused,
    /// A system delivery was pushed again, unacknowledged.
    DeliveryRepeated,
    /// A system delivery was held back because its recipient is revoked.
    DeliveryHeld,
    /// A connector acknowledged a system delivery.
    DeliveryAcknowledged,
    /// A connector did not take a system delivery: it is a dead letter now.
    DeliveryRefused,
    /// A system delivery's retention was over before its recipient came: it is a dead letter now.
    DeliveryExpired,
    /// A system delivery was pushed as often as it may be: it is a dead letter now.
    DeliveryUnacknowledged,
    /// API Gateway does not carry a system delivery: it is a dead letter now.
    DeliveryTooLarge,
    /// A system delivery that was a dead letter has been put back.
    DeliveryRestored,
    /// A record went back to the queue.
    RecordRetried,
    /// A record panicked.
    RecordPanicked,
    /// A message went to the dead-letter queue; also counted by its reason.
    DeadLettered,
    /// A socket was accepted.
    Connected,
    /// A socket was refused because its agent is revoked.
    ConnectRevoked,
    /// A socket was refused to stop two connectors from evicting each other.
    ConnectBraked,
    /// An older socket was displaced by a newer one.
    Superseded,
    /// A displaced socket could not be closed at once.
    CloseRetried,
    /// The rate counter's store failed; the instance counted on its own.
    RateCountFailed,
    /// The registry could not be reached, and what was known before was used.
    RegistryStale,
    /// An event of the registry has been handled.
    EventHandled,
    /// Events were posted, and SQS has them.
    EventAccepted,
    /// Events were posted with other credentials than those of the internal service, or with none.
    EventsUnauthorized,
    /// An agent's revocation was written that was not there before.
    Revoked,
    /// A token's revocation was written that was not there before.
    TokenRevoked,
    /// A session ended: its agent must authenticate with the registry again.
    SessionEnded,
    /// A socket was closed because its agent is revoked or its session has ended.
    SocketCut,
    /// A socket to be cut was not open yet; it is cut again.
    CutRetried,
    /// A reconciliation has taken over keys and list, and looked at every connection.
    Reconciled,
    /// A cut of the reconciliation found a revoked agent with a socket: its event was lost or is late.
    ReconcileCut,
    /// The reconciliation could not learn the registry's keys or its revocation list, or could not go through the
    /// connections.
    ReconcileFailed,
    /// The reconciliation ran out of time before it had looked at every connection.
    ReconcileCutShort,
}

impl Metric {
    /// All metrics.
    pub const ALL: &[Self] = <Self as VariantArray>::VARIANTS;
}

/// A measured quantity. The name is the metric's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum Measure {
    /// From the 202 of a receipt to the moment API Gateway had its frame, in milliseconds. A receipt that waited for its
    /// sender is none of these.
    Latency,
    /// How long its message had been on the queue by then, in milliseconds. A redrive begins it anew.
    QueueAge,
    /// [`Latency`](Self::Latency) of a receipt that waited in its sender's mailbox.
    MailboxAge,
    /// From the moment the events queue had an event to the end of the socket that it cuts, in milliseconds. What opened
    /// only after the end of its session is none of these: that is looked for half a minute later.
    TimeToCut,
}

impl Measure {
    /// All measures.
    pub const ALL: &[Self] = <Self as VariantArray>::VARIANTS;
}

/// Counts and measurements of one invocation.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<Metric, u64>>,
    measured: Mutex<BTreeMap<Measure, Vec<u64>>>,
    refusals: Mutex<BTreeMap<ErrorCode, u64>>,
    burials: Mutex<BTreeMap<ReasonCode, u64>>,
}

impl Tally {
    /// Counts one `metric`.
    pub fn count(&self, metric: Metric) {
        *locked(&self.counts).entry(metric).or_default() += 1;
    }

    /// Adds one measurement, in milliseconds.
    pub fn measure(&self, measure: Measure, value_ms: u64) {
        locked(&self.measured).entry(measure).or_default().push(value_ms);
    }

    /// Counts a refusal, as such, by what kind it is, and by its code.
    pub fn refuse(&self, code: ErrorCode) {
        self.refuse_with(code.http_status());
        *locked(&self.refusals).entry(code).or_default() += 1;
    }

    /// Counts a refusal that has no code, as such and by what kind it is.
    pub fn refuse_with(&self, http_status: u16) {
        self.count(Metric::RequestRefused);
        match http_status {
            401 | 403 => self.count(Metric::AuthRefused),
            500.. => self.count(Metric::DependencyFailed),
            _ => {}
        }
    }

    /// Counts a dead letter, as such and by its reason.
    pub fn bury(&self, reason: ReasonCode) {
        self.count(Metric::DeadLettered);
        *locked(&self.burials).entry(reason).or_default() += 1;
    }

    /// How often `metric` was counted.
    #[must_use]
    pub fn of(&self, metric: Metric) -> u64 {
        locked(&self.counts).get(&metric).copied().unwrap_or_default()
    }

    /// All that was counted, by name, leaving nothing behind.
    #[must_use]
    pub fn take(&self) -> Vec<(Metric, u64)> {
        std::mem::take(&mut *locked(&self.counts)).into_iter().collect()
    }

    /// All that was measured, in milliseconds, by name, leaving nothing behind.
    #[must_use]
    pub fn take_measured(&self) -> Vec<(Measure, Vec<u64>)> {
        std::mem::take(&mut *locked(&self.measured)).into_iter().collect()
    }

    /// The refusals by code, leaving none behind.
    #[must_use]
    pub fn take_refusals(&self) -> Vec<(ErrorCode, u64)> {
        std::mem::take(&mut *locked(&self.refusals)).into_iter().collect()
    }

    /// The dead letters by reason, leaving none behind.
    #[must_use]
    pub fn take_burials(&self) -> Vec<(ReasonCode, u64)> {
        std::mem::take(&mut *locked(&self.burials)).into_iter().collect()
    }
}

fn locked<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while counting leaves the map whole: there is nothing to lose by going on.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_counted_by_kind_and_by_code() {
        let tally = Tally::default();
        for code in [ErrorCode::AuthReplay, ErrorCode::AuthReplay, ErrorCode::ReceiptQueueFailed] {
            tally.refuse(code);
        }
        tally.refuse(ErrorCode::RateLimitExceeded);
        let kinds = [Metric::RequestRefused, Metric::AuthRefused, Metric::DependencyFailed];
        assert_eq!(kinds.map(|metric| tally.of(metric)), [4, 2, 1]);
        let by_code = tally.take_refusals();
        assert!(by_code.contains(&(ErrorCode::AuthReplay, 2)) && by_code.len() == 3, "{by_code:?}");
        assert!(tally.take_refusals().is_empty());
    }
}
