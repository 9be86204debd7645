//! What many tests need: agents and their rows, dead letters, lines of logs, the end of all work on a queue, and a way to
//! give back what was taken.

mod handled;
mod mailbox_rows;
mod told;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, resume_unwind};

use acceptance::admin_api::{AdminApi, AdminError};
use acceptance::connector::{Connector, Identity, Receipt, ReceivedReceipt, Session, SignedRequest, Status};
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::registry_client::RegistryClient;
use acceptance::stack::Stack;
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::Message;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

pub(crate) use self::handled::{events_handled, receipts_handled};
pub(crate) use self::mailbox_rows::MailboxRows;
pub(crate) use self::told::Told;

/// Two agents, each at its proxy's front door: one that sends messages and hears of them, one that
/// receives messages and posts receipts.
pub(crate) struct Duo {
    /// The sender's.
    pub(crate) stack: Stack,
    pub(crate) sender: Connector,
    pub(crate) recipient: Connector,
}

impl Duo {
    /// Two new agents on the running stack, paired.
    pub(crate) async fn paired() -> Self {
        let duo = Self::strangers().await;
        duo.stack.pair(duo.sender.did(), duo.recipient.did()).await.unwrap();
        duo
    }

    /// Two new agents on the running stack that have never met.
    pub(crate) async fn strangers() -> Self {
        let stack = Stack::running();
        Self::apart(&stack, &stack).await
    }

    /// Two new agents of which the sender is at home at `sender_home` and the recipient at `recipient_home`. Nobody has
    /// paired them.
    pub(crate) async fn apart(sender_home: &Stack, recipient_home: &Stack) -> Self {
        let registry = RegistryClient::new(&sender_home.registry_url);
        let sender = registry.register("sender").await.unwrap();
        let recipient = registry.register("recipient").await.unwrap();
        Self {
            sender: Connector::new(sender, &sender_home.proxy_url).unwrap(),
            recipient: Connector::new(recipient, &recipient_home.proxy_url).unwrap(),
            stack: sender_home.clone(),
        }
    }

    /// A receipt about a new message from the sender to the recipient.
    pub(crate) fn receipt(&self, status: Status, reason: Option<&str>) -> Receipt {
        Receipt {
            request_id: stamp::new_ulid(),
            sender_agent_did: self.sender.did().to_owned(),
            recipient_agent_did: self.recipient.did().to_owned(),
            status,
            reason: reason.map(str::to_owned),
        }
    }
}

/// Takes the next receipt of a session, which has to be this one.
pub(crate) async fn arrives(session: &mut Session, receipt: &Receipt) -> ReceivedReceipt {
    let received = session.next_receipt(PATIENCE).await.unwrap();
    assert_eq!(received.frame.original_frame_id, receipt.request_id);
    assert_eq!(received.frame.to_agent_did, receipt.recipient_agent_did);
    assert_eq!(received.frame.status, receipt.status);
    assert_eq!(received.frame.reason, receipt.reason);
    received
}

/// Waits for the dead letter with this body. It stays where it is.
pub(crate) async fn dead_letter(stack: &Stack, queue_url: &str, body: &str) -> Message {
    find_dead_letter(stack, queue_url, |found| found == body).await
}

/// Waits for a dead letter in whose body this occurs. It stays where it is.
pub(crate) async fn dead_letter_about(stack: &Stack, queue_url: &str, part: &str) -> Message {
    find_dead_letter(stack, queue_url, |found| found.contains(part)).await
}

async fn find_dead_letter(stack: &Stack, queue_url: &str, fits: impl Fn(&str) -> bool) -> Message {
    let sqs = stack.sqs();
    eventually("the dead letter", async || {
        let receiving = sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
        let page = receiving.visibility_timeout(1).message_attribute_names("All").send().await;
        let letters = page.map_err(|problem| format!("{problem:?}"))?.messages.unwrap_or_default();
        let seen = letters.len();
        let found = letters.into_iter().find(|letter| letter.body().is_some_and(&fits));
        found.ok_or_else(|| format!("{seen} other dead letters"))
    })
    .await
}

/// An attribute of a dead letter.
pub(crate) fn text(letter: &Message, name: &str) -> String {
    letter.message_attributes().unwrap()[name].string_value().unwrap().to_owned()
}

/// The `Authorization` header of a token with the header and the claims of a real one, signed by somebody else: its agent.
pub(crate) fn forged(identity: &Identity) -> String {
    let (signed, _) = identity.ait.rsplit_once('.').unwrap();
    format!("Claw {signed}.{}", identity.prove(signed))
}

/// A request as API Gateway hands it to a function.
pub(crate) fn http_event(request: &SignedRequest) -> Value {
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
    json!({
        "rawPath": path, "rawQueryString": query, "headers": header_object(request),
        "body": String::from_utf8(request.body.clone()).unwrap(),
        "requestContext": { "http": { "method": request.method.as_str() } },
    })
}

/// The headers as API Gateway hands them over.
pub(crate) fn header_object(request: &SignedRequest) -> Value {
    request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect()
}

/// A function's own lines since `since_ms`, which are objects.
pub(crate) async fn log_of(stack: &Stack, function: &str, since_ms: u64) -> Result<Vec<Value>, AdminError> {
    let lines = AdminApi::of(stack).log_lines(function, since_ms).await?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect())
}

/// Waits for a line of a function's log since `since_ms` that `fits`.
pub(crate) async fn logged(
    stack: &Stack,
    function: &str,
    since_ms: u64,
    what: &str,
    fits: impl Fn(&Value) -> bool,
) -> Value {
    logged_times(1, stack, function, since_ms, what, fits).await.remove(0)
}

/// Waits until at least so many lines are there that `fits`, and returns those.
pub(crate) async fn logged_times(
    times: usize,
    stack: &Stack,
    function: &str,
    since_ms: u64,
    what: &str,
    fits: impl Fn(&Value) -> bool,
) -> Vec<Value> {
    eventually(what, async || {
        let lines = log_of(stack, function, since_ms).await.map_err(|problem| problem.to_string())?;
        let all = lines.len();
        let fitting: Vec<_> = lines.into_iter().filter(&fits).collect();
        if fitting.len() >= times {
            Ok(fitting)
        } else {
            Err(format!("{} of {times}, and {} other lines", fitting.len(), all - fitting.len()))
        }
    })
    .await
}

/// Whether what a line of a log says contains these words.
pub(crate) fn says(line: &Value, words: &str) -> bool {
    line["message"].as_str().is_some_and(|message| message.contains(words))
}

/// Does `work`, and `undo` after it whatever `work` has come to: what all tests share is given back. If both panic, it is
/// `work` that says why.
pub(crate) fn and_give_back<T>(
    work: impl Future<Output = T>,
    undo: impl Future<Output = ()>,
) -> impl Future<Output = T> {
    // Boxed, as it is large.
    let work = Box::pin(AssertUnwindSafe(work).catch_unwind());
    async {
        let (done, undone) = (work.await, AssertUnwindSafe(undo).catch_unwind().await);
        let value = done.unwrap_or_else(|panic| resume_unwind(panic));
        undone.unwrap_or_else(|panic| resume_unwind(panic));
        value
    }
}

#[tokio::test]
#[should_panic(expected = "the work has failed")]
async fn of_two_failures_the_first_is_told() {
    and_give_back(async { panic!("the work has failed") }, async { panic!("and so has the undoing") }).await;
}

#[tokio::test]
#[should_panic(expected = "the undoing has failed")]
async fn what_cannot_be_given_back_fails_too() {
    and_give_back(async {}, async { panic!("the undoing has failed") }).await;
}

/// The socket that the agent's row names.
pub(crate) async fn connection_id(stack: &Stack, agent_did: &str) -> Option<String> {
    Some(connection_row(stack, agent_did).await?.get("connectionId")?.as_s().ok()?.clone())
}

/// The agent's row of the connections table.
pub(crate) async fn connection_row(
    stack: &Stack,
    agent_did: &str,
) -> Option<HashMap<String, AttributeValue>> {
    let row = stack
        .dynamodb()
        .get_item()
        .table_name(&stack.outputs.connections_table)
        .key("agentDid", AttributeValue::S(agent_did.to_owned()))
        .consistent_read(true)
        .send()
        .await
        .unwrap();
    row.item
}
