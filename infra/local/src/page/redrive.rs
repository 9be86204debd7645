//! Sending a dead letter back to the queue that it came from.
//!
//! The message is as it was before it was buried: its body, its attributes, its trace. It is the same receipt under the
//! same frame id. Why it was buried stays behind. It is sent before it is deleted: whatever fails in between leaves it in
//! both queues, not in none.

use backbone_aws::{Invocation, LETTERS_AT_ONCE, Letter};
use serde::Serialize;

use super::problem::Problem;
use super::queues::Queues;

const QUEUES: &str = "the local SQS";

/// How long the dead letters that are looked through stay hidden from others, should this program die meanwhile.
const HIDDEN_S: u32 = 30;

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
    let sqs = queues.sqs();
    let letter = take(&sqs, &pair.dlq_url, message_id).await?;
    let letters = std::slice::from_ref(&letter);
    let sent = match sqs.send_again(&pair.url, letters).await {
        Ok(outcomes) => only(outcomes).map_err(Problem::unavailable(QUEUES)),
        Err(error) => Err(Problem::unavailable(QUEUES)(error)),
    };
    let message_id = match sent {
        Ok(message_id) => message_id,
        Err(problem) => {
            give_back(&sqs, &pair.dlq_url, letters).await;
            return Err(problem);
        }
    };
    match sqs.delete_letters(&pair.dlq_url, letters).await.map(only) {
        Ok(Ok(())) => Ok(Redriven { message_id }),
        Ok(Err(refusal)) => Err(Problem::NotRemoved(refusal.into())),
        Err(error) => Err(Problem::NotRemoved(error.into())),
    }
}

/// What became of the only letter of a batch.
fn only<T>(outcomes: Vec<Result<T, String>>) -> Result<T, String> {
    outcomes.into_iter().next().unwrap_or_else(|| Err("there is no answer for it".to_owned()))
}

/// Receives until the letter comes, and gives back all the others.
async fn take(sqs: &Invocation<'_>, dlq_url: &str, message_id: &str) -> Result<Letter, Problem> {
    let mut others = Vec::new();
    let mut taken = Err(Problem::LetterNotFound);
    for _ in 0..PAGES_MAX {
        let mut page = match sqs.receive_letters(dlq_url, HIDDEN_S, false).await {
            Ok(page) => page,
            Err(error) => {
                taken = Err(Problem::unavailable(QUEUES)(error));
                break;
            }
        };
        let index = page.iter().position(|letter| letter.message_id == message_id);
        let is_last = page.is_empty() || index.is_some();
        if let Some(index) = index {
            taken = Ok(page.swap_remove(index));
        }
        others.extend(page);
        if is_last {
            break;
        }
    }
    give_back(sqs, dlq_url, &others).await;
    taken
}

/// Shows dead letters again. If that fails they come back by themselves a little later.
async fn give_back(sqs: &Invocation<'_>, dlq_url: &str, letters: &[Letter]) {
    for letters in letters.chunks(LETTERS_AT_ONCE) {
        drop(sqs.give_back(dlq_url, letters).await);
    }
}
