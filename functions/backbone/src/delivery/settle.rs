//! How a message ends: off its queue, back on it, or buried.

use tracing::Instrument;

use super::{QueuedMessage, Verdict, wait_s};
use crate::error_chain::ErrorChain;
use crate::metrics::{Metric, Tally};
use crate::reason_code::ReasonCode;
use crate::stores::{DeadLetter, DeadLetters, ReceiptQueue, StoreError};
use crate::trail;

/// What became of one message.
pub(crate) enum Outcome {
    Done,
    /// To be shown again after so many seconds.
    Retry(u32),
    Bury {
        reason_code: ReasonCode,
        reason: String,
    },
}

/// Carries an outcome out.
pub(crate) async fn settle<O: ReceiptQueue + DeadLetters>(
    outside: &O,
    message: &QueuedMessage,
    outcome: Outcome,
    tally: &Tally,
) -> Verdict {
    // Nearly all of them, which are not worth a span.
    if matches!(outcome, Outcome::Done) {
        return Verdict::Done;
    }
    carry_out(outside, message, outcome, tally).instrument(message.span()).await
}

async fn carry_out<O: ReceiptQueue + DeadLetters>(
    outside: &O,
    message: &QueuedMessage,
    outcome: Outcome,
    tally: &Tally,
) -> Verdict {
    let after_s = match outcome {
        Outcome::Done => return Verdict::Done,
        Outcome::Retry(after_s) => after_s,
        Outcome::Bury { reason_code, reason } => {
            let letter = message.dead_letter(message.body.clone(), reason_code, reason);
            match bury(outside, &letter, tally).await {
                Ok(()) => return Verdict::Done,
                Err(error) => {
                    tracing::error!("a dead letter was not kept: {}", ErrorChain(&error));
                    wait_s(message)
                }
            }
        }
    };
    tally.count(Metric::RecordRetried);
    tracing::debug!(step = trail::SHOWN_AGAIN, after_s, "a message goes back to the queue");
    if let Err(error) = outside.show_again(message.queue, &message.receipt_handle, after_s).await {
        // The queue's own visibility timeout applies instead.
        tracing::warn!("a message's back-off was not set: {}", ErrorChain(&error));
    }
    Verdict::Retry
}

/// Puts a dead letter away for good.
///
/// # Errors
///
/// If it is not known to be kept.
pub(crate) async fn bury<O: DeadLetters>(
    outside: &O,
    letter: &DeadLetter,
    tally: &Tally,
) -> Result<(), StoreError> {
    outside.bury(letter).await?;
    tally.bury(letter.reason_code);
    tracing::warn!(
        reason.code = letter.reason_code.as_str(),
        correlation.id = letter.correlation_id,
        "a message went to the dead-letter queue"
    );
    Ok(())
}

/// Notes that our code has panicked over the message whose span this is in. Standard error has the place in the code.
pub(crate) fn note_panic(tally: &Tally) {
    tally.count(Metric::RecordPanicked);
    tracing::error!("our code panicked over a message");
}
