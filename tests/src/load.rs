//! Many receipts at once, what became of them, and the violent end of the processes that handle them.

mod ledger;
mod workers;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde_json::{Value, json};

pub use self::ledger::Ledger;
pub use self::workers::Workers;

use crate::connector::{Receipt, Status};
use crate::stack::{Stack, text_attribute};
use crate::stamp;

/// How many messages SQS takes at once.
const BATCH: usize = 10;

/// Receipts about `count` new messages of `sender_did`, from the recipients in turn.
#[must_use]
pub fn receipts(count: usize, sender_did: &str, recipient_dids: &[&str]) -> Vec<Receipt> {
    let about = |recipient_did: &&str| Receipt {
        request_id: stamp::new_ulid(),
        sender_agent_did: sender_did.to_owned(),
        recipient_agent_did: (*recipient_did).to_owned(),
        status: Status::DeliveredToWebhook,
        reason: None,
    };
    recipient_dids.iter().cycle().take(count).map(about).collect()
}

/// A receipt as the receipts queue carries it (contract, section 2.1). A clone is a duplicate to the letter.
#[derive(Clone, Debug)]
pub struct QueuedReceipt {
    correlation_id: String,
    body: Value,
}

impl QueuedReceipt {
    /// What a POST of `receipt`, accepted now, puts on the queue.
    #[must_use]
    pub fn accepted_now(receipt: &Receipt) -> Self {
        Self::accepted_at(receipt, &stamp::now_iso())
    }

    /// What a POST of `receipt`, accepted at that time (ISO 8601), puts on the queue.
    #[must_use]
    pub fn accepted_at(receipt: &Receipt, processed_at: &str) -> Self {
        let mut body = json!({
            "type": "delivery_receipt",
            "requestId": receipt.request_id,
            "senderAgentDid": receipt.sender_agent_did,
            "recipientAgentDid": receipt.recipient_agent_did,
            "status": receipt.status,
            "processedAt": processed_at,
        });
        if let Some(reason) = &receipt.reason {
            body["reason"] = json!(reason);
        }
        Self { correlation_id: receipt.request_id.clone(), body }
    }

    /// The message's body.
    #[must_use]
    pub fn body(&self) -> String {
        self.body.to_string()
    }

    fn entry(&self, index: usize) -> SendMessageBatchRequestEntry {
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(self.body())
            .message_attributes("version", text_attribute("1"))
            .message_attributes("correlationId", text_attribute(&self.correlation_id))
            .build()
            .expect("id and body are set")
    }
}

/// Receipts were not taken by the queue.
#[derive(Debug, thiserror::Error)]
pub enum NotQueued {
    /// The call failed.
    #[error("the receipts queue does not answer as expected")]
    Failed(#[from] aws_sdk_sqs::Error),
    /// Some of a batch were refused.
    #[error("the receipts queue refused {0} of a batch")]
    Refused(usize),
}

/// Puts receipts on the receipts queue, past the POST.
///
/// # Errors
///
/// [`NotQueued`]; those before may be on the queue.
pub async fn enqueue(stack: &Stack, receipts: &[QueuedReceipt]) -> Result<(), NotQueued> {
    let client = stack.sqs();
    for batch in receipts.chunks(BATCH) {
        let entries = batch.iter().enumerate().map(|(index, receipt)| receipt.entry(index)).collect();
        let sending = client
            .send_message_batch()
            .queue_url(&stack.outputs.receipts_queue_url)
            .set_entries(Some(entries))
            .send();
        let answer = sending.await.map_err(aws_sdk_sqs::Error::from)?;
        if !answer.failed().is_empty() {
            return Err(NotQueued::Refused(answer.failed().len()));
        }
    }
    Ok(())
}
