//! A thousand dead letters of three kinds, on queues of this test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use acceptance::stack::{Description, Ended, Stack};
use acceptance::stamp;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use serde_json::{Value, json};

/// The kinds, and how many of each.
const KINDS: [(&str, usize); 3] = [("frame_too_large", 400), ("not_json", 350), ("unknown_type", 250)];
const AGENT: &str = "did:cdi:registry.example.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";

/// A queue and its dead-letter queue that nothing consumes.
pub(super) struct Queues {
    stack: Stack,
    pub(super) client: Client,
    pub(super) source: String,
    pub(super) dlq: String,
    description: Description,
}

impl Queues {
    async fn create() -> Self {
        let endpoint = Stack::running().aws_endpoint;
        Self::behind(&endpoint).await
    }

    /// Queues that the command line finds at `endpoint`.
    pub(super) async fn behind(endpoint: &str) -> Self {
        Self::with_outputs(endpoint, &[]).await
    }

    /// The same with `more` outputs of the stack.
    pub(super) async fn with_outputs(endpoint: &str, more: &[(&str, &str)]) -> Self {
        let stack = Stack::running();
        let client = stack.sqs();
        let stamp = stamp::new_ulid();
        let mut urls = Vec::new();
        for name in ["source", "dlq"] {
            let created = client.create_queue().queue_name(format!("test-{name}-{stamp}")).send();
            urls.push(created.await.unwrap().queue_url.unwrap());
        }
        let [source, dlq]: [String; 2] = urls.try_into().unwrap();
        let description = Description::changed(|description| {
            description["awsEndpoint"] = json!(endpoint);
            let outputs = description["outputs"].as_object_mut().unwrap();
            outputs.retain(|name, _| !name.ends_with("QueueUrl") && !name.ends_with("DlqUrl"));
            outputs.insert("ReceiptsQueueUrl".to_owned(), json!(source));
            outputs.insert("ReceiptsDlqUrl".to_owned(), json!(dlq));
            outputs.extend(more.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        })
        .unwrap();
        Self { stack, client, source, dlq, description }
    }

    pub(super) async fn dead_letters(&self, arguments: &[&str]) -> Ended {
        let arguments = [&["dead-letters"][..], arguments, &["--json"]].concat();
        self.stack.command(&arguments, Some(&self.description)).await.unwrap()
    }

    /// How many letters of each reason are on the dead-letter queue, according to the command line.
    async fn totals(&self) -> BTreeMap<String, u64> {
        let ended = self.dead_letters(&["list", "--totals"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        let totals = ended.json()["totals"].as_array().unwrap().clone();
        let total = |total: &Value| {
            (total["reasonCode"].as_str().unwrap().to_owned(), total["letters"].as_u64().unwrap())
        };
        totals.iter().map(total).collect()
    }

    async fn plant(&self) {
        self.plant_all(&KINDS).await;
    }

    pub(super) async fn plant_all(&self, kinds: &[(&'static str, usize)]) {
        let letters = kinds.iter().flat_map(|(reason, count)| (0..*count).map(move |_| *reason));
        for batch in letters.collect::<Vec<_>>().chunks(10) {
            let entries = batch.iter().enumerate().map(|(index, reason)| {
                let id = stamp::new_ulid();
                SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(json!({ "requestId": id, "senderAgentDid": AGENT }).to_string())
                    .message_attributes("version", text("1"))
                    .message_attributes("correlationId", text(&format!("c-{id}")))
                    .message_attributes("reasonCode", text(reason))
                    .message_attributes("reason", text("planted"))
                    .message_attributes("receiveCount", text("1"))
                    .message_attributes("firstSeenAt", text("1775000000000"))
                    .build()
                    .unwrap()
            });
            let entries = Some(entries.collect());
            self.client.send_message_batch().queue_url(&self.dlq).set_entries(entries).send().await.unwrap();
        }
    }

    /// Takes everything off a queue: bodies, and the names of their attributes.
    pub(super) async fn take_all(&self, url: &str) -> Vec<(Value, BTreeSet<String>)> {
        let mut taken = Vec::new();
        loop {
            let page = self.client.receive_message().queue_url(url).max_number_of_messages(10);
            let page = page.message_attribute_names("All").send().await.unwrap();
            if page.messages().is_empty() {
                return taken;
            }
            for message in page.messages() {
                let names = message.message_attributes().unwrap().keys().cloned().collect();
                taken.push((serde_json::from_str(message.body().unwrap()).unwrap(), names));
            }
        }
    }
}

pub(super) fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

fn counts(kinds: &[(&str, u64)]) -> BTreeMap<String, u64> {
    kinds.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_thousand_are_listed_redriven_and_discarded_to_the_last_one() {
    let queues = Queues::create().await;
    queues.plant().await;
    let all = counts(&[("frame_too_large", 400), ("not_json", 350), ("unknown_type", 250)]);
    assert_eq!(queues.totals().await, all);
    assert_eq!(queues.totals().await, all, "looking at them leaves them where they are");

    let dry = queues.dead_letters(&["redrive", "--reason", "frame_too_large", "--dry-run"]).await;
    assert_eq!((dry.code, &dry.json()["counts"][0]["chosen"]), (0, &400.into()), "{dry:?}");
    assert_eq!(queues.totals().await, all);
    let redriven = queues.dead_letters(&["redrive", "--reason", "frame_too_large"]).await;
    assert_eq!((redriven.code, &redriven.json()["counts"][0]["done"]), (0, &400.into()), "{redriven:?}");
    let rest = counts(&[("not_json", 350), ("unknown_type", 250)]);
    assert_eq!(queues.totals().await, rest);
    let again = queues.dead_letters(&["redrive", "--reason", "frame_too_large"]).await;
    assert_eq!(again.code, 3, "there is none left: {again:?}");

    let file = std::env::temp_dir().join(format!("discarded-{}.jsonl", stamp::new_ulid()));
    let to = file.to_str().unwrap();
    let discard = ["discard", "--reason", "unknown_type", "--to", to];
    let dry = queues.dead_letters(&[&discard[..], &["--dry-run"]].concat()).await;
    assert_eq!((dry.code, &dry.json()["counts"][0]["chosen"]), (0, &250.into()), "{dry:?}");
    assert_eq!(queues.dead_letters(&discard).await.code, 2, "a word is missing");
    assert!(!file.exists());
    assert_eq!(queues.totals().await, rest);
    let discarded = queues.dead_letters(&[&discard[..], &["--yes"]].concat()).await;
    assert_eq!((discarded.code, &discarded.json()["counts"][0]["done"]), (0, &250.into()), "{discarded:?}");
    assert_eq!(queues.totals().await, counts(&[("not_json", 350)]));
    let kept = fs::read_to_string(&file).unwrap();
    let ids: BTreeSet<_> = kept.lines().map(|line| line_id(line).unwrap()).collect();
    assert_eq!((kept.lines().count(), ids.len()), (250, 250));
    fs::remove_file(&file).unwrap();

    let arrived = queues.take_all(&queues.source).await;
    let ids: BTreeSet<_> = arrived.iter().map(|(body, _)| body["requestId"].as_str().unwrap()).collect();
    assert_eq!((arrived.len(), ids.len()), (400, 400), "each once");
    let own = BTreeSet::from(["version".to_owned(), "correlationId".to_owned()]);
    assert!(arrived.iter().all(|(_, names)| *names == own), "as they were before they were buried");
    assert_eq!(queues.take_all(&queues.dlq).await.len(), 350);
}

fn line_id(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let body: Value = serde_json::from_str(line["body"].as_str()?).ok()?;
    Some(body["requestId"].as_str()?.to_owned())
}

#[tokio::test]
async fn what_a_move_back_would_lose_stays_where_it_is() {
    let queues = Queues::create().await;
    queues.plant_all(&[("unknown_origin", 2), ("not_json", 1), ("unknown_type", 1)]).await;
    let counted = |ended: &Ended, reason: &str| {
        let counts = ended.json()["counts"].as_array().unwrap().clone();
        counts.into_iter().find(|one| one["reasonCode"] == reason).unwrap()
    };
    for selection in [&["--all"][..], &["--agent", AGENT], &["--reason", "unknown_origin"]] {
        let redriven = queues.dead_letters(&[&["redrive"], selection].concat()).await;
        let left = counted(&redriven, "unknown_origin");
        assert_eq!((redriven.code, &left["done"], &left["leftAlone"]), (4, &0.into(), &2.into()), "{left}");
        assert!(left["whyLeftAlone"].as_str().unwrap().contains("another proxy"), "{left}");
    }
    assert_eq!(queues.totals().await, counts(&[("not_json", 1), ("unknown_origin", 2)]));
    let named = queues.dead_letters(&["redrive", "--reason", "not_json"]).await;
    assert_eq!((named.code, &counted(&named, "not_json")["done"]), (0, &1.into()), "{named:?}");
    let listed = queues.dead_letters(&["list"]).await.json();
    let id = listed["letters"][0]["messageId"].as_str().unwrap();
    let named = queues.dead_letters(&["redrive", "--id", id]).await;
    assert_eq!((named.code, &counted(&named, "unknown_origin")["done"]), (0, &1.into()), "{named:?}");
    assert_eq!(queues.totals().await, counts(&[("unknown_origin", 1)]));
}

#[tokio::test]
async fn one_is_chosen_by_what_it_is_about_and_shown_whole() {
    let queues = Queues::create().await;
    let id = stamp::new_ulid();
    let body = json!({ "requestId": id, "senderAgentDid": AGENT }).to_string();
    let sending = queues.client.send_message().queue_url(&queues.dlq).message_body(&body);
    sending.send().await.unwrap();
    let shown = queues.dead_letters(&["show", &id.to_lowercase()]).await.json();
    assert_eq!(
        (&shown["letters"][0]["body"], &shown["letters"][0]["reasonCode"]),
        (&body.clone().into(), &"too_many_receives".into())
    );
    assert_eq!(queues.dead_letters(&["show", "another"]).await.code, 3);
    for (filter, letters) in [
        (["--agent", AGENT], 1),
        (["--agent", &AGENT.replace("YT2", "YT3")], 0),
        (["--older-than", "1h"], 0),
        (["--queue", "receipts"], 1),
    ] {
        let listed = queues.dead_letters(&["list", filter[0], filter[1]]).await.json();
        assert_eq!(listed["letters"].as_array().unwrap().len(), letters, "{filter:?}");
    }
    assert_eq!(queues.dead_letters(&["list", "--queue", "other"]).await.code, 2);
}

#[tokio::test]
async fn what_somebody_else_holds_is_told() {
    let queues = Queues::create().await;
    for _ in 0..2 {
        queues.client.send_message().queue_url(&queues.dlq).message_body("{}").send().await.unwrap();
    }
    let held = queues.client.receive_message().queue_url(&queues.dlq).visibility_timeout(600);
    assert_eq!(held.send().await.unwrap().messages().len(), 1);
    let listed = queues.dead_letters(&["list"]).await;
    assert_eq!((listed.code, &listed.json()["heldElsewhere"]), (4, &1.into()), "{listed:?}");
    let redriven = queues.dead_letters(&["redrive", "--all"]).await;
    assert_eq!((redriven.code, &redriven.json()["counts"][0]["done"]), (4, &1.into()), "{redriven:?}");
}
