//! What a receipt and an idle connection cost, from what was counted and from AWS's price list.

use std::time::Duration;

use serde::Deserialize;

use crate::Result;
use crate::measure::PerEvent;

const MILLION: f64 = 1e6;

/// `prices.json`, which says where its figures come from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prices {
    per_million: PerMillion,
    lambda_arm64_gb_second: f64,
    function_memory_gb: f64,
    assumed: Assumed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PerMillion {
    http_api_requests: f64,
    web_socket_messages: f64,
    web_socket_connection_minutes: f64,
    sqs_requests: f64,
    lambda_requests: f64,
    dynamo_db_write_units: f64,
    dynamo_db_read_units: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assumed {
    dynamo_db_ms: f64,
    sqs_ms: f64,
    connections_ms: f64,
    heartbeat_every_seconds: f64,
    hours_of_a_connection: f64,
    hours_of_a_month: f64,
}

/// One invocation of one function, as the bill sees it.
pub(crate) struct Billed {
    pub(crate) per_event: PerEvent,
    /// Measured, on one whole processor of this machine.
    pub(crate) processor: Duration,
}

/// One position of a bill.
pub(crate) struct Position {
    pub(crate) what: &'static str,
    /// Dollars, per million receipts or per connection and month.
    pub(crate) dollars: f64,
}

impl Prices {
    pub(crate) fn read() -> Result<Self> {
        Ok(serde_json::from_str(include_str!("../prices.json"))?)
    }

    /// A million receipts: each posted, queued, and pushed in a batch of `batch`.
    pub(crate) fn million_receipts(&self, receipt: &Billed, consumer: &Billed, batch: f64) -> Vec<Position> {
        let prices = &self.per_million;
        let share = 1.0 / batch;
        // Trust and nonce are asked for at the same time, then the message is sent; now and then a count is reported.
        let reports = receipt.per_event.calls_of("UpdateItem");
        let receipt_ms = self.assumed.dynamo_db_ms * (1.0 + reports) + self.assumed.sqs_ms;
        // A batch is read at once, pushed side by side, and recorded side by side.
        let consumer_ms = 2.0 * self.assumed.dynamo_db_ms + self.assumed.connections_ms;
        vec![
            Position { what: "HTTP API: one request", dollars: prices.http_api_requests },
            Position { what: "receipt: one invocation", dollars: self.invocation(receipt, receipt_ms) },
            // Lambda's poller receives and deletes a batch with one request each.
            Position {
                what: "SQS: send, and a share of receive and delete",
                dollars: (receipt.per_event.calls_of("SendMessage") + 2.0 * share) * prices.sqs_requests,
            },
            Position { what: "DynamoDB for receipt", dollars: self.units(&receipt.per_event) },
            Position {
                what: "consumer: a share of one invocation",
                dollars: self.invocation(consumer, consumer_ms) * share,
            },
            Position { what: "DynamoDB for consumer", dollars: self.units(&consumer.per_event) * share },
            Position {
                what: "WebSocket API: one frame",
                dollars: consumer.per_event.calls_of("PostToConnection") * share * prices.web_socket_messages,
            },
        ]
    }

    /// A connection that receives nothing for a month, with its heartbeats and its handshakes. The end of each socket, and
    /// the message and the reads by which each handshake looks into an empty mailbox, are less than $0.001 and left out.
    pub(crate) fn idle_connection(
        &self,
        heartbeat: &Billed,
        authorizer: &Billed,
        connect: &Billed,
    ) -> Vec<Position> {
        let prices = &self.per_million;
        let assumed = &self.assumed;
        let heartbeats = assumed.hours_of_a_month * 3_600.0 / assumed.heartbeat_every_seconds / MILLION;
        let connects = assumed.hours_of_a_month / assumed.hours_of_a_connection / MILLION;
        let minutes = assumed.hours_of_a_month * 60.0 / MILLION;
        // The authorizer asks as receipt does; `$connect` makes one call after the other.
        let made = |name| connect.per_event.calls_of(name);
        let authorizer_ms = assumed.dynamo_db_ms * (1.0 + authorizer.per_event.calls_of("UpdateItem"));
        let connect_ms = assumed.dynamo_db_ms * (made("GetItem") + made("UpdateItem"))
            + assumed.sqs_ms * made("SendMessage")
            + assumed.connections_ms * made("DeleteConnection");
        let handshake: f64 = [(authorizer, authorizer_ms), (connect, connect_ms)]
            .iter()
            .map(|(billed, ms)| self.invocation(billed, *ms) + self.units(&billed.per_event))
            .sum();
        vec![
            Position { what: "connection minutes", dollars: minutes * prices.web_socket_connection_minutes },
            Position {
                what: "heartbeats and their answers",
                dollars: 2.0 * heartbeats * prices.web_socket_messages,
            },
            Position {
                what: "connection: one invocation per heartbeat",
                dollars: heartbeats * self.invocation(heartbeat, 0.0),
            },
            Position { what: "a new handshake every two hours", dollars: connects * handshake },
        ]
    }

    /// A million invocations that wait for `waiting_ms` each. Lambda bills by the millisecond, begun ones in full.
    fn invocation(&self, billed: &Billed, waiting_ms: f64) -> f64 {
        let ms = (waiting_ms + billed.processor.as_secs_f64() * 1e3).ceil();
        let gb_seconds = ms / 1e3 * self.function_memory_gb;
        self.per_million.lambda_requests + gb_seconds * self.lambda_arm64_gb_second * MILLION
    }

    /// The units of a million events.
    fn units(&self, event: &PerEvent) -> f64 {
        event.sum(|calls| calls.read_units) * self.per_million.dynamo_db_read_units
            + event.sum(|calls| calls.write_units) * self.per_million.dynamo_db_write_units
    }
}

/// What all positions of a bill come to.
pub(crate) fn total(bill: &[Position]) -> f64 {
    bill.iter().map(|position| position.dollars).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_milliseconds_are_billed_in_full() {
        let prices = Prices::read().unwrap();
        let billed = |micros| Billed {
            per_event: PerEvent {
                instructions: None,
                sha256: None,
                calls: std::collections::BTreeMap::new(),
                events: 1.0,
            },
            processor: Duration::from_micros(micros),
        };
        let per_ms = 0.25e-3 * 0.000_013_333_4 * MILLION;
        for (micros, ms) in [(0, 5.0), (1, 6.0), (1_000, 6.0), (1_001, 7.0)] {
            let dollars = prices.invocation(&billed(micros), 5.0);
            assert!((dollars - (0.2 + ms * per_ms)).abs() < 1e-9, "{micros}");
        }
    }
}
