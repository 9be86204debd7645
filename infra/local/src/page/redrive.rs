//! Sending a dead letter back to the queue that it came from.
//!
//! The message keeps its body, its version and its correlation id: it is the same receipt under the same frame id, so
//! nothing is delivered twice. Why it was buried stays behind. It is sent before it is deleted: whatever fails in
//! between leaves it in both queues, not in none.

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageAttributeValue};
use backbone_aws::{CORRELATION_ID_ATTRIBUTE, VERSION_ATTRIBUTE};
use serde::Serialize;

use super::problem::Problem;
use super::queues::Queues;

const QUEUES: &str = "the local SQS";

/// How long the dead letters that are looked through stay hidden from others, should this program die meanwhile.
const HIDDEN_S: i32 = 30;

/// How many are received at once: SQS gives no more.
const PAGE: i32 = 10;

/// How often is received for one letter at most: a letter that is gone must not be looked for without end, while the
/// ones that are there come back.
const PAGES_MAX: usize = 500;

/// A dead letter that is under way again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Redriven {
    /// The id of the message that it is now.
    message_id: String,
}

/// Moves one dead letter back.
pub(super) async fn redrive(queues: &Queues, queue: &str, message_id: &str) -> Result<Redriven, Problem> {
    let pair = queues.pairs.iter().find(|pair| pair.name == queue).ok_or(Problem::UnknownQueue)?;
    let letter = take(queues, &pair.dlq_url, message_id).await?;
    let sent = queues
        .client
        .send_message()
        .queue_url(&pair.url)
        .message_body(letter.body().unwrap_or_default())
        .set_message_attributes(Some(kept_attributes(&letter)))
        .send()
        .await;
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => {
            give_back(queues, &pair.dlq_url, &[letter]).await;
            return Err(Problem::unavailable(QUEUES)(error));
        }
    };
    let removed = queues
        .client
        .delete_message()
        .queue_url(&pair.dlq_url)
        .receipt_handle(letter.receipt_handle().unwrap_or_default())
        .send()
        .await;
    removed.map_err(|error| Problem::NotRemoved(error.into()))?;
    Ok(Redriven { message_id: sent.message_id.unwrap_or_default() })
}

/// What travels with a message wherever it goes.
fn kept_attributes(letter: &Message) -> std::collections::HashMap<String, MessageAttributeValue> {
    let attributes = letter.message_attributes.iter().flatten();
    attributes
        .filter(|(name, _)| [VERSION_ATTRIBUTE, CORRELATION_ID_ATTRIBUTE].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Receives until the letter comes, and gives back all the others.
async fn take(queues: &Queues, dlq_url: &str, message_id: &str) -> Result<Message, Problem> {
    let mut others = Vec::new();
    let mut taken = Err(Problem::LetterNotFound);
    for _ in 0..PAGES_MAX {
        let page = queues
            .client
            .receive_message()
            .queue_url(dlq_url)
            .max_number_of_messages(PAGE)
            .visibility_timeout(HIDDEN_S)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(Problem::unavailable(QUEUES));
        let mut page = match page {
            Ok(page) => page.messages.unwrap_or_default(),
            Err(problem) => {
                taken = Err(problem);
                break;
            }
        };
        let index = page.iter().position(|message| message.message_id() == Some(message_id));
        let is_last = page.is_empty() || index.is_some();
        if let Some(index) = index {
            taken = Ok(page.swap_remove(index));
        }
        others.extend(page);
        if is_last {
            break;
        }
    }
    give_back(queues, dlq_url, &others).await;
    taken
}

/// Shows dead letters again. If that fails they come back by themselves a little later.
async fn give_back(queues: &Queues, dlq_url: &str, letters: &[Message]) {
    for page in letters.chunks(usize::try_from(PAGE).unwrap_or(1)) {
        let entry = |(index, letter): (usize, &Message)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(letter.receipt_handle().unwrap_or_default())
                .visibility_timeout(0)
                .build()
                .expect("it has an id and a handle, which is all that is required")
        };
        let entries = page.iter().enumerate().map(entry).collect();
        let request = queues.client.change_message_visibility_batch().queue_url(dlq_url);
        drop(request.set_entries(Some(entries)).send().await);
    }
}
