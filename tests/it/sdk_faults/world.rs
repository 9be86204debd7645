//! Tables in a region of their own, and an AWS behind a proxy.

use std::collections::BTreeMap;
use std::sync::Arc;

use acceptance::fault_proxy::FaultProxy;
use acceptance::stack::{PrivateTable, Stack, TableKeys};
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::Client;
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::receipt::Receipt;
use backbone::stores::TrustStore as _;
use backbone_aws::settings::{self, Settings};
use backbone_aws::{Aws, Invocation};
use tokio::sync::OnceCell;

use super::sockets::Socket;

/// Private tables on the running stack.
///
/// They are in a region of their own: the SDK keeps one quota of retries per process and region, so tests in one region
/// would take each other's retries away.
pub(super) struct World {
    /// In this world's region.
    stack: Stack,
    sqs: Client,
    tables: Vec<(&'static str, PrivateTable)>,
    socket: OnceCell<Arc<Socket>>,
}

/// One process of ours: its own clients, its own proxy, and names for queues of its own in the world's region.
pub(super) struct Process {
    pub(super) aws: Aws,
    pub(super) proxy: FaultProxy,
    past_proxy: Aws,
    pub(super) receipts_queue: String,
    pub(super) dlq: String,
    /// The queue of [`PEER`].
    pub(super) peer_queue: String,
    sqs: Client,
}

/// The origin of the one peer.
pub(super) const PEER: &str = "https://peer.test";

impl World {
    pub(super) async fn create() -> Self {
        let region = format!("faults-{}", stamp::new_ulid().to_lowercase());
        let stack = Stack { region, ..Stack::running() };
        let mut tables = Vec::new();
        for (setting, keys) in [
            (settings::CONNECTIONS_TABLE, TableKeys::CONNECTIONS),
            (settings::RECEIPTS_TABLE, TableKeys::RECEIPTS),
            (settings::DELIVERIES_TABLE, TableKeys::DELIVERIES),
            (settings::TRUST_TABLE, TableKeys::TRUST),
            (settings::NONCES_TABLE, TableKeys::NONCES),
        ] {
            tables.push((setting, PrivateTable::create(&stack, keys).await.unwrap()));
        }
        Self { sqs: stack.sqs(), stack, tables, socket: OnceCell::new() }
    }

    /// A process that has not called anybody yet.
    pub(super) async fn process(&self) -> Process {
        let proxy = FaultProxy::before(&self.stack.aws_endpoint).await.unwrap();
        let queues = self.stack.outputs.receipts_queue_url.rsplit_once('/').unwrap().0;
        let queue_url = |kind| format!("{queues}/test-{kind}-{}", stamp::new_ulid());
        let [receipts_queue, dlq, peer_queue] = ["receipts", "dlq", "peer"].map(queue_url);
        let queue_urls = [&receipts_queue, &dlq, &peer_queue];
        let aws = |aws_endpoint: &str| Aws::new(self.settings(aws_endpoint, queue_urls)).unwrap();
        Process {
            aws: aws(proxy.url()),
            past_proxy: aws(&self.stack.aws_endpoint),
            proxy,
            receipts_queue,
            dlq,
            peer_queue,
            sqs: self.sqs.clone(),
        }
    }

    /// An open socket that all processes of this world may use; opened when it is first asked for.
    pub(super) async fn socket(&self) -> Arc<Socket> {
        Arc::clone(self.socket.get_or_init(async || Arc::new(Socket::open().await)).await)
    }

    /// Damages the row of a receipt's latest state: it names no recipient any more.
    pub(super) async fn remove_recipient(&self, receipt: &Receipt) {
        let table = self.tables.iter().find(|(setting, _)| *setting == settings::RECEIPTS_TABLE).unwrap();
        self.stack
            .dynamodb()
            .update_item()
            .table_name(&table.1.name)
            .key("senderAgentDid", AttributeValue::S(receipt.sender.to_string()))
            .key("item", AttributeValue::S(receipt.request_id.to_string()))
            .update_expression("REMOVE recipientAgentDid")
            .send()
            .await
            .unwrap();
    }

    fn settings(&self, aws_endpoint: &str, queue_urls: [&String; 3]) -> Settings {
        let [receipts_queue, dlq, peer_queue] = queue_urls;
        let (_, peer_queue) = peer_queue.rsplit_once('/').unwrap();
        let peer_queue_arn = format!("arn:aws:sqs:{}:000000000000:{peer_queue}", self.stack.region);
        // Not the stack's, which is the front door's: the faults are between us and the API itself.
        let (api, stage) = (&self.stack.outputs.web_socket_api_id, &self.stack.outputs.web_socket_stage);
        let connections_endpoint = format!("{aws_endpoint}/_aws/execute-api/{api}/{stage}");
        let mut values = BTreeMap::from([
            (settings::AWS_REGION, self.stack.region.as_str()),
            (settings::AWS_ACCESS_KEY_ID, "test"),
            (settings::AWS_SECRET_ACCESS_KEY, "test"),
            (settings::AWS_ENDPOINT_URL, aws_endpoint),
            (settings::CONNECTIONS_ENDPOINT, connections_endpoint.as_str()),
            (settings::RECEIPTS_QUEUE_URL, receipts_queue),
            (settings::RECEIPTS_DLQ_URL, dlq),
            (settings::PROXY_ORIGIN, "https://own.test"),
            (settings::PEER_ORIGINS, PEER),
            (settings::PEER_QUEUE_ARNS, peer_queue_arn.as_str()),
            (settings::REGISTRY_URL, self.stack.registry_url.as_str()),
            (settings::CRL_STALE_BEHAVIOR, "fail-open"),
            (settings::CRL_MAX_AGE_MS, "900000"),
            (settings::AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE, "300"),
            (settings::ALLOW_DIRECT, "yes"),
        ]);
        values.extend(self.tables.iter().map(|(setting, table)| (*setting, table.name.as_str())));
        let required: Vec<&'static str> = values.keys().copied().collect();
        Settings::from_env(&|name| Some((*values.get(name)?).to_owned()), &required).unwrap()
    }
}

impl Process {
    /// An invocation that must have ended in `seconds`.
    pub(super) fn invocation(&self, seconds: u64) -> Invocation<'_> {
        self.aws.invocation("our-request", self.aws.now_ms() + seconds * 1_000)
    }

    /// Somebody else, whose calls nothing is done to.
    pub(super) fn somebody_else(&self) -> Invocation<'_> {
        self.past_proxy.invocation("another-request", u64::MAX)
    }

    /// Leaves a connection in the pool, which all clients of a process share.
    pub(super) async fn warm_up(&self) {
        assert!(!self.invocation(20).agent_revoked(&new_agent()).await.unwrap());
    }

    /// The bodies of all messages on a queue of this process.
    pub(super) async fn messages(&self, queue_url: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let received = self
                .sqs
                .receive_message()
                .queue_url(queue_url)
                .max_number_of_messages(10)
                .send()
                .await
                .unwrap();
            if received.messages().is_empty() {
                return bodies;
            }
            bodies.extend(received.messages.unwrap().into_iter().map(|message| message.body.unwrap()));
        }
    }

    /// Makes the queues of this process, for a test that comes to use them.
    pub(super) async fn create_queues(&self) {
        for queue_url in [&self.receipts_queue, &self.dlq, &self.peer_queue] {
            let (_, name) = queue_url.rsplit_once('/').unwrap();
            self.sqs.create_queue().queue_name(name).send().await.unwrap();
        }
    }

    /// Undoes [`create_queues`](Self::create_queues).
    pub(super) async fn delete_queues(&self) {
        for queue_url in [&self.receipts_queue, &self.dlq, &self.peer_queue] {
            self.sqs.delete_queue().queue_url(queue_url).send().await.unwrap();
        }
    }
}

/// An agent that nobody has heard of.
pub(super) fn new_agent() -> AgentDid {
    AgentDid::parse(&format!("did:cdi:127.0.0.1:agent:{}", stamp::new_ulid())).unwrap()
}

/// A fresh id.
pub(super) fn new_id() -> Id {
    Id::parse(&stamp::new_ulid()).unwrap()
}
