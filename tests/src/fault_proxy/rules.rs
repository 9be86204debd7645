//! Which requests are spoiled, and what has been asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::Fault;
use super::http1::Request;

/// An operation of AWS that faults can be done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are AWS's")]
pub enum Operation {
    BatchGetItem,
    ChangeMessageVisibilityBatch,
    DeleteConnection,
    DeleteItem,
    DeleteMessage,
    DeleteMessageBatch,
    GetItem,
    PostToConnection,
    PutItem,
    ReceiveMessage,
    SendMessage,
    SendMessageBatch,
    UpdateItem,
}

/// How often an operation was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests that were read whole.
    pub requests: usize,
    /// Requests that AWS has answered, whether the answer was passed on or not.
    pub carried_out: usize,
}

impl Operation {
    /// Those of DynamoDB.
    pub const DYNAMODB: [Self; 5] =
        [Self::BatchGetItem, Self::DeleteItem, Self::GetItem, Self::PutItem, Self::UpdateItem];

    /// What a request asks for: `x-amz-target` says so, and on API Gateway method and path do.
    pub(super) fn of(request: &Request) -> Option<Self> {
        if request.uri().path().contains("/@connections/") {
            return match request.method().as_str() {
                "POST" => Some(Self::PostToConnection),
                "DELETE" => Some(Self::DeleteConnection),
                _ => None,
            };
        }
        let target = request.headers().get("x-amz-target")?.to_str().ok()?;
        match target.rsplit('.').next()? {
            "BatchGetItem" => Some(Self::BatchGetItem),
            "ChangeMessageVisibilityBatch" => Some(Self::ChangeMessageVisibilityBatch),
            "DeleteItem" => Some(Self::DeleteItem),
            "DeleteMessage" => Some(Self::DeleteMessage),
            "DeleteMessageBatch" => Some(Self::DeleteMessageBatch),
            "GetItem" => Some(Self::GetItem),
            "PutItem" => Some(Self::PutItem),
            "ReceiveMessage" => Some(Self::ReceiveMessage),
            "SendMessage" => Some(Self::SendMessage),
            "SendMessageBatch" => Some(Self::SendMessageBatch),
            "UpdateItem" => Some(Self::UpdateItem),
            _ => None,
        }
    }
}

/// A fault for the next `left` requests of `operation` that name `about`, after `spared` others.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) operation: Operation,
    pub(super) about: String,
    pub(super) fault: Fault,
    pub(super) spared: usize,
    pub(super) left: usize,
}

/// All rules of a proxy, and its counts.
#[derive(Debug, Default)]
pub(super) struct Rules(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    rules: Vec<Rule>,
    seen: BTreeMap<Operation, Seen>,
}

impl Rules {
    pub(super) fn add(&self, rule: Rule) {
        self.book().rules.push(rule);
    }

    /// Counts a request and says what is to be done to it; of several rules the oldest applies.
    pub(super) fn take(&self, operation: Operation, request: &Request) -> Option<Fault> {
        let mut book = self.book();
        book.seen.entry(operation).or_default().requests += 1;
        let body = String::from_utf8_lossy(request.body());
        let rule = book.rules.iter_mut().find(|rule| {
            let named = request.uri().path().contains(&rule.about) || body.contains(&rule.about);
            rule.operation == operation && rule.left > 0 && named
        })?;
        if rule.spared > 0 {
            rule.spared -= 1;
            return None;
        }
        rule.left -= 1;
        Some(rule.fault)
    }

    pub(super) fn note_forwarded(&self, operation: Operation) {
        self.book().seen.entry(operation).or_default().carried_out += 1;
    }

    pub(super) fn seen(&self, operation: Operation) -> Seen {
        self.book().seen.get(&operation).copied().unwrap_or_default()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
