//! A redrive that fails half way: the letter is in both queues then, never in none.

use acceptance::connector::HttpAnswer;
use acceptance::fault_proxy::{Fault, FaultProxy, Operation, Refusal};
use acceptance::stack::{Depth, Queue, Stack, text_attribute};
use acceptance::stamp;

use super::{redrive, serve};

/// More than SQS gives at once, so that others are received on the way to the letter.
const LETTERS: usize = 12;
const BURIED: Depth = Depth { visible: 12, in_flight: 0, delayed: 0 };

/// The page over two queues of its own, with faults between it and them.
struct Bench {
    stack: Stack,
    proxy: FaultProxy,
    queue: Queue,
    dlq: Queue,
    /// Ids of the letters, in the order of their burial.
    letters: Vec<String>,
}

impl Bench {
    async fn set_up() -> Self {
        let mut stack = Stack::running();
        let proxy = FaultProxy::before(&stack.aws_endpoint).await.unwrap();
        let sqs = stack.sqs();
        let create = async |kind: &str| {
            let name = format!("test-{kind}-{}", stamp::new_ulid());
            sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap()
        };
        let (url, dlq_url) = (create("queue").await, create("dlq").await);
        let mut letters = Vec::new();
        for number in 0..LETTERS {
            let letter = sqs.send_message().queue_url(&dlq_url).message_body(format!("letter {number}"));
            let letter = letter
                .message_attributes("version", text_attribute("1"))
                .message_attributes("correlationId", text_attribute("c-1"))
                .message_attributes("originProxy", text_attribute("https://peer.example.com"))
                .message_attributes("reasonCode", text_attribute("not_json"));
            letters.push(letter.send().await.unwrap().message_id.unwrap());
        }
        let endpoint = [("awsEndpoint", proxy.url())];
        let outputs = [("ReceiptsQueueUrl", url.as_str()), ("ReceiptsDlqUrl", dlq_url.as_str())];
        stack.page_url = serve(&stack, &endpoint, &outputs).await;
        Self { proxy, queue: Queue::new(sqs.clone(), &url), dlq: Queue::new(sqs, &dlq_url), stack, letters }
    }

    async fn redrive(&self, letter: usize) -> HttpAnswer {
        let headers = [("Origin", self.stack.page_url.as_str()), ("X-Local-Page", "redrive")];
        redrive(&self.stack, &format!("receipts/{}", self.letters[letter]), &headers).await
    }

    async fn depths(&self) -> (Depth, Depth) {
        (self.queue.depth().await.unwrap(), self.dlq.depth().await.unwrap())
    }
}

fn visible(visible: u64) -> Depth {
    Depth { visible, ..Depth::default() }
}

#[tokio::test]
async fn a_letter_is_never_in_no_queue() {
    let bench = Bench::set_up().await;
    let no_answer = Fault::Refused(Refusal::bare(500));

    bench.proxy.inject(Operation::SendMessageBatch, no_answer, 100);
    let refused = bench.redrive(LETTERS - 1).await;
    assert_eq!((refused.status, refused.error_code()), (502, Some("UNAVAILABLE")));
    assert_eq!(bench.depths().await, (Depth::default(), BURIED), "all are given back at once");

    let bench = Bench::set_up().await;
    bench.proxy.inject(Operation::DeleteMessageBatch, no_answer, 100);
    let doubled = bench.redrive(LETTERS - 1).await;
    assert_eq!((doubled.status, doubled.error_code()), (502, Some("NOT_REMOVED")));
    assert_eq!(bench.depths().await, (visible(1), Depth { in_flight: 1, ..visible(11) }));
}

#[tokio::test]
async fn a_letter_goes_back_with_what_it_came_with_and_without_the_reason() {
    let bench = Bench::set_up().await;
    assert_eq!(bench.redrive(LETTERS - 1).await.status, 200);
    assert_eq!(bench.depths().await, (visible(1), visible(11)));
    assert_eq!(bench.redrive(LETTERS - 1).await.status, 409, "it is gone");

    let received = bench.stack.sqs().receive_message().queue_url(bench.queue.url());
    let received = received.message_attribute_names("All").send().await.unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some("letter 11"));
    let mut attributes: Vec<_> = message
        .message_attributes()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.string_value().unwrap()))
        .collect();
    attributes.sort_unstable();
    let expected = [("correlationId", "c-1"), ("originProxy", "https://peer.example.com"), ("version", "1")];
    assert_eq!(attributes, expected);
}
