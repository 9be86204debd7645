//! An SQS batch in, the messages to show again out; what lies between is [`backbone::delivery`].

use backbone::delivery::{DeliveryOutside, DeliverySettings, QueuedMessage, deliver_batch};
use backbone::metrics::Tally;
use backbone::stores::SourceQueue;
use backbone_aws::peers::known_homes;
use backbone_aws::settings::{RECEIPT_RETENTION_SECONDS, RECEIPTS_QUEUE_ARN, Settings, SettingsError};
use backbone_aws::sqs_event::{BatchResponse, SqsEvent, SqsMessage, respond};

/// What this function was told by its environment.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// How to deliver.
    pub delivery: DeliverySettings,
    /// The receipts queue, as an event names it.
    pub receipts_queue_arn: String,
}

impl ConsumerSettings {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let retention_s = settings.number(RECEIPT_RETENTION_SECONDS)?;
        Ok(Self {
            delivery: DeliverySettings { retention_s, homes: known_homes(settings)? },
            receipts_queue_arn: settings.text(RECEIPTS_QUEUE_ARN)?.to_owned(),
        })
    }

    /// The queue that an event names. Whatever is not surely this stack's own may have been written by anybody, and is
    /// checked.
    fn queue(&self, arn: Option<&str>) -> SourceQueue {
        if arn == Some(self.receipts_queue_arn.as_str()) { SourceQueue::Receipts } else { SourceQueue::Peers }
    }
}

/// Handles one batch and names the messages that SQS is to show again.
///
/// It never fails as a whole: an error would have SQS show the delivered messages again too.
pub async fn handle<O: DeliveryOutside>(
    outside: &O,
    settings: &ConsumerSettings,
    event: SqsEvent,
    tally: &Tally,
) -> BatchResponse {
    let queued = |message: SqsMessage| {
        let queue = settings.queue(message.source_arn());
        message.of(queue)
    };
    let batch: Vec<QueuedMessage> = event.records.into_iter().map(queued).collect();
    let verdicts = deliver_batch(outside, &settings.delivery, &batch, tally).await;
    respond(&batch, &verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use backbone::home::KnownHomes;

    #[test]
    fn only_the_receipts_queue_itself_is_trusted() {
        let delivery = DeliverySettings { retention_s: 1, homes: KnownHomes::alone() };
        let settings = ConsumerSettings { delivery, receipts_queue_arn: "arn:of-receipts".to_owned() };
        assert_eq!(settings.queue(Some("arn:of-receipts")), SourceQueue::Receipts);
        for arn in [None, Some(""), Some("arn:of-receipts-2"), Some("arn:of-peer-receipts")] {
            assert_eq!(settings.queue(arn), SourceQueue::Peers, "{arn:?}");
        }
    }
}
