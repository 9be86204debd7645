//! Looking at a queue without touching its messages.

use std::fmt;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;
use aws_sdk_sqs::types::QueueAttributeName::{
    ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
    ApproximateNumberOfMessagesNotVisible as InFlight,
};

use crate::eventually::{NotInTime, wait_for};

/// One queue.
pub struct Queue {
    client: Client,
    url: String,
}

/// How many messages a queue holds. Exact on the local AWS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be received.
    pub visible: u64,
    /// Received and not yet deleted.
    pub in_flight: u64,
    /// Not ready yet.
    pub delayed: u64,
}

impl Depth {
    /// Whether nothing is to be handled now. What was sent for later does not count: the next turn of an unacknowledged
    /// system delivery is up to 15 minutes away.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.visible == 0 && self.in_flight == 0
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visible, in_flight, delayed } = self;
        write!(formatter, "{visible} visible, {in_flight} in flight, {delayed} delayed")
    }
}

/// A text beside a message's body.
#[must_use]
pub fn text_attribute(value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value);
    attribute.build().expect("the type is set")
}

impl Queue {
    /// The queue at `url`.
    #[must_use]
    pub fn new(client: Client, url: &str) -> Self {
        Self { client, url: url.to_owned() }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts a message on it.
    ///
    /// # Errors
    ///
    /// Says why the local AWS did not take it.
    pub async fn send(&self, body: &str) -> Result<(), aws_sdk_sqs::Error> {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await?;
        Ok(())
    }

    /// How much it holds.
    ///
    /// # Errors
    ///
    /// Says why the local AWS did not tell.
    pub async fn depth(&self) -> Result<Depth, aws_sdk_sqs::Error> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(Visible)
            .attribute_names(InFlight)
            .attribute_names(Delayed)
            .send()
            .await?;
        let count =
            |name| answer.attributes().and_then(|all| all.get(&name)?.parse().ok()).unwrap_or_default();
        Ok(Depth { visible: count(Visible), in_flight: count(InFlight), delayed: count(Delayed) })
    }

    /// Waits until everything on it has been handled that was not sent for later.
    ///
    /// # Errors
    ///
    /// [`NotInTime`] with the depth seen last.
    pub async fn drained(&self) -> Result<(), NotInTime> {
        wait_for("an idle queue", async || match self.depth().await {
            Ok(depth) if depth.is_idle() => Ok(()),
            Ok(depth) => Err(depth.to_string()),
            Err(problem) => Err(problem.to_string()),
        })
        .await
    }
}
