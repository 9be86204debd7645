//! Recording one more receipt costs the same, however many wait for its sender.
//!
//! The consumer's real handler runs in this process, against tables that nobody else uses, so that its calls can be
//! counted. The local AWS reports no consumed capacity; the bytes that go to and fro stand in for it, as DynamoDB
//! charges by size.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use acceptance::load::{self, QueuedReceipt};
use acceptance::stack::{PrivateTable, Stack, TableKeys};
use acceptance::stamp;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use backbone::metrics::{Metric, Tally};
use backbone_aws::Aws;
use backbone_aws::settings::{self, Settings};
use consumer::handler::ConsumerSettings;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::counting_proxy::{Calls, CountingProxy};
use super::{Scale, percentile, print_figures};

type Item = HashMap<String, AttributeValue>;

/// Recordings that are measured, each of one receipt in a batch of its own.
const RECORDINGS: usize = 25;
/// Receipts of one `BatchWriteItem`: two items each, 25 at most.
const RECEIPTS_PER_WRITE: usize = 12;
const WRITES_AT_ONCE: usize = 4;
const INVOCATION_MS: u64 = 30_000;
const RECIPIENT: &str = "did:cdi:127.0.0.1:agent:01KN0HGEG0QK6E4CV6JTD76TK7";
/// Different senders with DIDs of one length, so that bytes can be compared.
const SENDER_OF_NONE: &str = "did:cdi:127.0.0.1:agent:01KN0HGEG0G5PGG168DAWPBYT2";
const SENDER_OF_MANY: &str = "did:cdi:127.0.0.1:agent:01KN0HGEG0G5PGG168DAWPBYT3";

/// A consumer with tables of its own, and the proxy between the two.
struct Consumer {
    aws: Aws,
    proxy: CountingProxy,
    receipts: PrivateTable,
    _tables: [PrivateTable; 2],
}

#[tokio::test]
async fn recording_costs_the_same_whatever_is_held() {
    let held = Scale::of_this_run().receipts_held;
    let consumer = Consumer::start().await;
    let began = Instant::now();
    consumer.hold(held).await;
    let loading = began.elapsed();

    // The first calls of a process open its connections.
    consumer.record(SENDER_OF_NONE).await;
    consumer.record(SENDER_OF_MANY).await;
    let (calls_with_none, mut times_with_none) = consumer.record_many(SENDER_OF_NONE).await;
    let (calls_with_many, mut times_with_many) = consumer.record_many(SENDER_OF_MANY).await;

    print_figures(format_args!(
        "{held} held (loaded in {:.1} s); {RECORDINGS} recordings with none held: {calls_with_none:?}, p50 {} ms; with \
         {held} held: {calls_with_many:?}, p50 {} ms",
        loading.as_secs_f64(),
        percentile(&mut times_with_none, 50).as_millis(),
        percentile(&mut times_with_many, 50).as_millis()
    ));
    assert_eq!(calls_with_many, calls_with_none);
    let calls: usize = calls_with_many.values().map(|calls| calls.count).sum();
    assert_eq!(
        calls,
        RECORDINGS * 4,
        "one read, the waiting item, the row, and one more look at the connection"
    );
}

impl Consumer {
    async fn start() -> Self {
        let stack = Stack::running();
        let proxy = CountingProxy::before(&stack.aws_endpoint).await;
        let table = async |keys| PrivateTable::create(&stack, keys).await.unwrap();
        let receipts = table(TableKeys::RECEIPTS).await;
        let tables = [table(TableKeys::CONNECTIONS).await, table(TableKeys::TRUST).await];
        let settings = [
            (settings::AWS_REGION, stack.region.as_str()),
            (settings::AWS_ACCESS_KEY_ID, "test"),
            (settings::AWS_SECRET_ACCESS_KEY, "test"),
            (settings::AWS_ENDPOINT_URL, &proxy.url),
            (settings::RECEIPTS_TABLE, &receipts.name),
            (settings::CONNECTIONS_TABLE, &tables[0].name),
            (settings::TRUST_TABLE, &tables[1].name),
            (settings::DELIVERIES_TABLE, "not used"),
            (settings::RECEIPTS_QUEUE_URL, &stack.outputs.receipts_queue_url),
            (settings::RECEIPTS_QUEUE_ARN, &stack.outputs.receipts_queue_arn),
            (settings::RECEIPTS_DLQ_URL, &stack.outputs.receipts_dlq_url),
            (settings::PEER_QUEUE_URL, "not used"),
            (settings::PEER_DLQ_URL, "not used"),
            (settings::CONNECTIONS_ENDPOINT, &stack.outputs.connections_endpoint),
            (settings::RECEIPT_RETENTION_SECONDS, "604800"),
        ];
        let env =
            |name: &str| settings.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let aws = Aws::new(Settings::from_env(&env, &consumer::SETTINGS).unwrap()).unwrap();
        Self { aws, proxy, receipts, _tables: tables }
    }

    /// Handles one receipt of a sender who is away, as an invocation does.
    async fn record(&self, sender_did: &str) {
        let receipt = &load::receipts(1, sender_did, &[RECIPIENT])[0];
        let event = json!({ "Records": [{
            "messageId": stamp::new_ulid(), "receiptHandle": "h", "body": QueuedReceipt::accepted_now(receipt).body(),
            "attributes": { "ApproximateReceiveCount": "1", "ApproximateFirstReceiveTimestamp": "1" },
            "messageAttributes": { "version": { "stringValue": "1", "dataType": "String" } },
            "eventSourceARN": self.aws.settings().text(settings::RECEIPTS_QUEUE_ARN).unwrap(),
        }] });
        let invocation = self.aws.invocation("endurance", self.aws.now_ms() + INVOCATION_MS);
        let settings = ConsumerSettings::from_settings(self.aws.settings()).unwrap();
        let tally = Tally::default();
        let event = serde_json::from_value(event).unwrap();
        let answer = consumer::handler::handle(&invocation, &settings, event, &tally).await;
        assert_eq!(serde_json::to_value(answer).unwrap()["batchItemFailures"], Value::Array(Vec::new()));
        assert_eq!(tally.of(Metric::MailboxStored), 1);
    }

    /// What [`RECORDINGS`] recordings call, and how long each takes.
    async fn record_many(&self, sender_did: &str) -> (BTreeMap<String, Calls>, Vec<Duration>) {
        drop(self.proxy.take());
        let mut times = Vec::with_capacity(RECORDINGS);
        for _ in 0..RECORDINGS {
            let began = Instant::now();
            self.record(sender_did).await;
            times.push(began.elapsed());
        }
        (self.proxy.take(), times)
    }

    /// Fills the mailbox of [`SENDER_OF_MANY`] with copies of what the function itself stores.
    async fn hold(&self, count: usize) {
        self.record(SENDER_OF_MANY).await;
        let stored = self.items_of(SENDER_OF_MANY).await;
        let model: [Item; 2] = stored.try_into().expect("a row and a waiting item");
        let first_ms = stamp::now_ms() - u64::try_from(count).unwrap();
        let copies: Vec<_> = (first_ms..).take(count - 1).map(|at_ms| copies(&model, at_ms)).collect();
        let client = self.receipts.client();
        stream::iter(copies.chunks(RECEIPTS_PER_WRITE))
            .map(|receipts| {
                let write = |item: &Item| {
                    let put = PutRequest::builder().set_item(Some(item.clone())).build().unwrap();
                    WriteRequest::builder().put_request(put).build()
                };
                let writes = receipts.iter().flatten().map(write).collect();
                client.batch_write_item().request_items(&self.receipts.name, writes).send()
            })
            .buffer_unordered(WRITES_AT_ONCE)
            .try_for_each(async |answer| {
                assert!(answer.unprocessed_items().is_none_or(HashMap::is_empty));
                Ok(())
            })
            .await
            .unwrap();
    }

    async fn items_of(&self, sender_did: &str) -> Vec<Item> {
        let read = self.receipts.client().query().table_name(&self.receipts.name);
        let read = read.key_condition_expression("senderAgentDid = :sender");
        let read = read.expression_attribute_values(":sender", AttributeValue::S(sender_did.to_owned()));
        read.send().await.unwrap().items.unwrap()
    }
}

/// The row and the waiting item of another receipt, processed at `at_ms`.
fn copies(model: &[Item; 2], at_ms: u64) -> [Item; 2] {
    let message = stamp::new_ulid();
    model.clone().map(|mut item| {
        let waits = item["item"].as_s().unwrap().starts_with("waiting#");
        let name = if waits { format!("waiting#{at_ms:013}#{message}") } else { message.clone() };
        item.insert("item".to_owned(), AttributeValue::S(name));
        item.insert("requestId".to_owned(), AttributeValue::S(message.clone()));
        item.insert("frameId".to_owned(), AttributeValue::S(message.clone()));
        item.insert("processedAt".to_owned(), AttributeValue::N(at_ms.to_string()));
        item
    })
}
