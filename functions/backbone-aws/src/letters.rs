//! Dead-letter queues, as operators handle them. A queue cannot be looked at: its messages are received, which hides them
//! for a while from everybody else, and given back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use backbone::stores::StoreError;

use crate::clients::LONG_POLL;
use crate::dead_letters::{BURIAL_ATTRIBUTES, ORIGINAL_MESSAGE_ID_ATTRIBUTE};
use crate::outside::{Invocation, unavailable};
use crate::receipts_queue::{attribute, is_not_held, trace_attribute};

/// As many as one call takes.
pub const LETTERS_AT_ONCE: usize = 10;

/// How many messages a queue holds, as far as SQS knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Ready to be received.
    pub visible: u64,
    /// Received by somebody, and neither deleted nor given back.
    pub in_flight: u64,
    /// Sent with a delay that is not over.
    pub delayed: u64,
}

/// A message on a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The queue's id of it.
    pub message_id: String,
    /// The handle by which it is given back or deleted.
    pub receipt_handle: String,
    /// The text that was sent.
    pub body: String,
    /// Its attributes that are texts.
    pub attributes: BTreeMap<String, String>,
    /// When it was first sent, in milliseconds since the Unix epoch. SQS keeps this time when it moves a message itself.
    pub sent_at_ms: u64,
    /// How often it has been received, on this queue and, if SQS has moved it itself, on the one before.
    pub receive_count: u64,
    /// The trace that it belongs to.
    pub trace: Option<String>,
}

impl Letter {
    /// Whether it is one of the messages `ids` of the queue that it comes from: SQS has moved it and kept its id, or it
    /// was buried with a note of it.
    #[must_use]
    pub fn is_one_of(&self, ids: &BTreeSet<String>) -> bool {
        ids.contains(&self.message_id)
            || self.attributes.get(ORIGINAL_MESSAGE_ID_ATTRIBUTE).is_some_and(|id| ids.contains(id))
    }
}

impl Invocation<'_> {
    /// How much a queue holds.
    ///
    /// # Errors
    ///
    /// If SQS does not answer.
    pub async fn queue_depth(&self, queue_url: &str) -> Result<QueueDepth, StoreError> {
        const OPERATION: &str = "queue_depth";
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let asking = self
            .aws
            .clients
            .sqs()
            .get_queue_attributes()
            .queue_url(queue_url)
            .set_attribute_names(Some(vec![Visible, InFlight, Delayed]));
        let answer =
            self.in_time(OPERATION, async { asking.send().await.map_err(unavailable(OPERATION)) }).await?;
        let count =
            |name| answer.attributes().and_then(|all| all.get(&name)?.parse().ok()).unwrap_or_default();
        Ok(QueueDepth { visible: count(Visible), in_flight: count(InFlight), delayed: count(Delayed) })
    }

    /// Receives up to [`LETTERS_AT_ONCE`], and hides them from everybody else for `hidden_s` seconds. A long poll asks all
    /// of SQS's servers, and waits for a second if there are none.
    ///
    /// # Errors
    ///
    /// If SQS does not answer; some may be hidden then.
    pub async fn receive_letters(
        &self,
        queue_url: &str,
        hidden_s: u32,
        long_poll: bool,
    ) -> Result<Vec<Letter>, StoreError> {
        const OPERATION: &str = "receive_letters";
        let wait_s = if long_poll { LONG_POLL.as_secs() } else { 0 };
        let receiving = self
            .aws
            .clients
            .sqs()
            .receive_message()
            .queue_url(queue_url)
            .max_number_of_messages(i32::try_from(LETTERS_AT_ONCE).unwrap_or(i32::MAX))
            .visibility_timeout(i32::try_from(hidden_s).unwrap_or(i32::MAX))
            .wait_time_seconds(i32::try_from(wait_s).unwrap_or(i32::MAX))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let answer =
            self.in_time(OPERATION, async { receiving.send().await.map_err(unavailable(OPERATION)) }).await?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(letter).collect())
    }

    /// Shows letters to everybody again, up to [`LETTERS_AT_ONCE`]. Says for each that it is shown, or why it is not before
    /// its time is over. One whose time was over meanwhile is shown already.
    ///
    /// # Errors
    ///
    /// If SQS does not answer; they are shown when their time is over.
    pub async fn give_back(
        &self,
        queue_url: &str,
        letters: &[Letter],
    ) -> Result<Vec<Result<(), String>>, StoreError> {
        const OPERATION: &str = "give_back";
        let entries = letters.iter().enumerate().map(|(index, letter)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(&letter.receipt_handle)
                .visibility_timeout(0)
                .build()
                .map_err(unavailable(OPERATION))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let giving = self
            .aws
            .clients
            .sqs()
            .change_message_visibility_batch()
            .queue_url(queue_url)
            .set_entries(Some(entries));
        let answer =
            self.in_time(OPERATION, async { giving.send().await.map_err(unavailable(OPERATION)) }).await?;
        let mut given = unanswered(letters);
        for shown in answer.successful() {
            settle(&mut given, shown.id(), Ok(()));
        }
        for refused in answer.failed() {
            let is_shown = is_not_held(refused.code());
            settle(&mut given, refused.id(), if is_shown { Ok(()) } else { Err(refusal(refused)) });
        }
        Ok(given)
    }

    /// Sends letters to the queue at `queue_url` as they were before they were buried, up to [`LETTERS_AT_ONCE`]. Says
    /// for each under which id SQS has it, or why it has not taken it.
    ///
    /// # Errors
    ///
    /// If SQS does not answer; it may have them then.
    pub async fn send_again(
        &self,
        queue_url: &str,
        letters: &[Letter],
    ) -> Result<Vec<Result<String, String>>, StoreError> {
        const OPERATION: &str = "send_again";
        let entries = letters.iter().enumerate().map(|(index, letter)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&letter.body)
                .set_message_attributes(Some(own_attributes(letter)))
                .set_message_system_attributes(letter.trace.as_deref().map(trace_attribute))
                .build()
                .map_err(unavailable(OPERATION))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let sending =
            self.aws.clients.sqs().send_message_batch().queue_url(queue_url).set_entries(Some(entries));
        let answer =
            self.in_time(OPERATION, async { sending.send().await.map_err(unavailable(OPERATION)) }).await?;
        let mut sent = unanswered(letters);
        for taken in answer.successful() {
            settle(&mut sent, taken.id(), Ok(taken.message_id().to_owned()));
        }
        for refused in answer.failed() {
            settle(&mut sent, refused.id(), Err(refusal(refused)));
        }
        Ok(sent)
    }

    /// Deletes letters, up to [`LETTERS_AT_ONCE`]. Says for each that it is gone, or why it is not.
    ///
    /// # Errors
    ///
    /// If SQS does not answer; they may be gone then.
    pub async fn delete_letters(
        &self,
        queue_url: &str,
        letters: &[Letter],
    ) -> Result<Vec<Result<(), String>>, StoreError> {
        const OPERATION: &str = "delete_letters";
        let entries = letters.iter().enumerate().map(|(index, letter)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(&letter.receipt_handle)
                .build()
                .map_err(unavailable(OPERATION))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let deleting =
            self.aws.clients.sqs().delete_message_batch().queue_url(queue_url).set_entries(Some(entries));
        let answer =
            self.in_time(OPERATION, async { deleting.send().await.map_err(unavailable(OPERATION)) }).await?;
        let mut gone = unanswered(letters);
        for deleted in answer.successful() {
            settle(&mut gone, deleted.id(), Ok(()));
        }
        for refused in answer.failed() {
            settle(&mut gone, refused.id(), Err(refusal(refused)));
        }
        Ok(gone)
    }
}

/// What is known of each letter before the answer is read.
fn unanswered<T: Clone>(letters: &[Letter]) -> Vec<Result<T, String>> {
    vec![Err("SQS does not say what became of it".to_owned()); letters.len()]
}

fn settle<T>(outcomes: &mut [Result<T, String>], id: &str, outcome: Result<T, String>) {
    if let Some(known) = id.parse::<usize>().ok().and_then(|index| outcomes.get_mut(index)) {
        *known = outcome;
    }
}

/// Why SQS has not done its part for one letter.
fn refusal(entry: &BatchResultErrorEntry) -> String {
    match entry.message() {
        Some(message) => format!("{}: {message}", entry.code()),
        None => entry.code().to_owned(),
    }
}

fn own_attributes(letter: &Letter) -> HashMap<String, aws_sdk_sqs::types::MessageAttributeValue> {
    let own = letter.attributes.iter().filter(|(name, _)| !BURIAL_ATTRIBUTES.contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn letter(message: Message) -> Letter {
    let number = |name: MessageSystemAttributeName| {
        message.attributes.as_ref().and_then(|all| all.get(&name)?.parse().ok()).unwrap_or_default()
    };
    let texts = message.message_attributes.iter().flatten();
    Letter {
        sent_at_ms: number(MessageSystemAttributeName::SentTimestamp),
        receive_count: number(MessageSystemAttributeName::ApproximateReceiveCount),
        trace: message
            .attributes
            .as_ref()
            .and_then(|all| all.get(&MessageSystemAttributeName::AwsTraceHeader).cloned()),
        attributes: texts
            .filter_map(|(name, value)| Some((name.clone(), value.string_value.clone()?)))
            .collect(),
        message_id: message.message_id.unwrap_or_default(),
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stub::{Answer, Stub};

    fn message() -> serde_json::Value {
        let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
        json!({
            "MessageId": "m", "ReceiptHandle": "h", "Body": "b",
            "Attributes": { "SentTimestamp": "7", "ApproximateReceiveCount": "3", "AWSTraceHeader": "Root=1" },
            "MessageAttributes": {
                "version": text("1"), "correlationId": text("c"), "originProxy": text("https://p"),
                "reasonCode": text("not_json"), "reason": text("r"), "receiveCount": text("1"),
                "originalMessageId": text("o"), "firstSeenAt": text("5"),
            },
        })
    }

    #[tokio::test]
    async fn a_letter_goes_back_without_what_its_burial_added() {
        let page = json!({ "Messages": [message()] });
        let sent =
            json!({ "Successful": [{ "Id": "0", "MessageId": "n", "MD5OfMessageBody": "x" }], "Failed": [] });
        let stub = Stub::answering([Answer::ok(&page), Answer::ok(&sent)]).await;
        let letters = stub.invocation().receive_letters("https://q/1/dlq", 5, false).await.unwrap();
        assert_eq!((letters[0].sent_at_ms, letters[0].receive_count), (7, 3));
        assert_eq!(letters[0].attributes["reasonCode"], "not_json");
        assert_eq!(
            stub.invocation().send_again("https://q/1/source", &letters).await.unwrap(),
            [Ok("n".to_owned())]
        );
        let bodies = stub.bodies();
        assert_eq!(bodies[0]["VisibilityTimeout"], 5);
        let entry = &bodies[1]["Entries"][0];
        assert_eq!(entry["MessageBody"], "b");
        let names: Vec<_> = entry["MessageAttributes"].as_object().unwrap().keys().collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(entry["MessageAttributes"]["correlationId"]["StringValue"], "c");
        assert_eq!(entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"], "Root=1");
    }

    #[tokio::test]
    async fn what_sqs_did_not_take_is_told_apart() {
        let page = json!({ "Messages": [message(), message()] });
        let half = json!({
            "Successful": [{ "Id": "1" }],
            "Failed": [{ "Id": "0", "Code": "InternalError", "SenderFault": false, "Message": "busy" }],
        });
        let stub = Stub::answering([Answer::ok(&page), Answer::ok(&half)]).await;
        let letters = stub.invocation().receive_letters("https://q/1/dlq", 5, false).await.unwrap();
        assert_eq!(
            stub.invocation().delete_letters("https://q/1/dlq", &letters).await.unwrap(),
            [Err("InternalError: busy".to_owned()), Ok(())]
        );
    }

    #[tokio::test]
    async fn what_sqs_did_not_give_back_is_told_unless_nobody_holds_it() {
        let page = json!({ "Messages": [message(), message(), message(), message(), message()] });
        let failed = |id: &str, code: &str, by_sender: bool| json!({ "Id": id, "Code": code, "SenderFault": by_sender });
        let part = json!({
            "Successful": [{ "Id": "0" }],
            "Failed": [
                failed("1", "InternalError", false),
                failed("2", "AWS.SimpleQueueService.MessageNotInflight", true),
                failed("3", "ReceiptHandleIsInvalid", true),
            ],
        });
        let stub = Stub::answering([Answer::ok(&page), Answer::ok(&part)]).await;
        let letters = stub.invocation().receive_letters("https://q/1/dlq", 5, true).await.unwrap();
        let given = stub.invocation().give_back("https://q/1/dlq", &letters).await.unwrap();
        assert_eq!(given[..4], [Ok(()), Err("InternalError".to_owned()), Ok(()), Ok(())]);
        assert!(given[4].is_err(), "there is no word of it");
        assert_eq!(stub.bodies()[0]["WaitTimeSeconds"], 1);
    }

    #[test]
    fn a_letter_is_known_by_the_id_that_it_had() {
        let message =
            Message::builder().message_id("m").message_attributes("originalMessageId", attribute("o"));
        let letter = letter(message.build());
        let ids = |id: &str| BTreeSet::from([id.to_owned()]);
        assert!(letter.is_one_of(&ids("m")) && letter.is_one_of(&ids("o")) && !letter.is_one_of(&ids("x")));
    }
}
