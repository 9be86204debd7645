//! Dead letters that come back, and calls about them that fail half way: the answer says what was done.

use std::fs;
use std::time::Duration;

use acceptance::fault_proxy::{Fault, FaultProxy, Operation, Refusal, Silence};
use acceptance::stack::Stack;
use acceptance::stamp;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::dead_letters::{Queues, text};

const NO_ANSWER: Fault = Fault::Refused(Refusal::bare(500));
/// As often as the SDK asks in one go.
const ATTEMPTS: usize = 4;
/// Requests without end.
const FOR_EVER: usize = 100_000;

async fn behind_a_proxy() -> (Queues, FaultProxy) {
    let proxy = FaultProxy::before(&Stack::running().aws_endpoint).await.unwrap();
    (Queues::behind(proxy.url()).await, proxy)
}

/// Buries everything again that comes to the queue, as the consumer does to what it still cannot handle, until it is ended.
fn bury_again(queues: &Queues) -> JoinHandle<()> {
    let (client, source, dlq) = (queues.client.clone(), queues.source.clone(), queues.dlq.clone());
    tokio::spawn(async move {
        loop {
            let receiving = client.receive_message().queue_url(&source).max_number_of_messages(10);
            let received = receiving.wait_time_seconds(1).send().await.unwrap();
            for message in received.messages() {
                let burial = client.send_message().queue_url(&dlq).message_body(message.body().unwrap());
                let burial = burial
                    .message_attributes("reasonCode", text("peer_not_paired"))
                    .message_attributes("originalMessageId", text(message.message_id().unwrap()));
                burial.send().await.unwrap();
                let deleting = client.delete_message().queue_url(&source);
                deleting.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
            }
        }
    })
}

#[tokio::test]
async fn what_dies_again_is_sent_again_once() {
    let queues = Queues::behind(&Stack::running().aws_endpoint).await;
    queues.plant_all(&[("peer_not_paired", 120)]).await;
    let burying = bury_again(&queues);
    let redriven = timeout(Duration::from_mins(1), queues.dead_letters(&["redrive", "--all"])).await;
    burying.abort();
    let ended = burying.await.unwrap_err();
    assert!(ended.is_cancelled(), "it buried as long as it was let: {ended}");
    let redriven = redriven.expect("it has an end");
    let counts = &redriven.json()["counts"][0];
    assert_eq!((&counts["chosen"], &counts["done"]), (&120.into(), &120.into()), "{redriven:?}");
    let returned = counts["returned"].as_u64().unwrap();
    assert!((1..=120).contains(&returned), "{redriven:?}");
    assert_eq!(redriven.code, 4, "not all of it is mended: {redriven:?}");
}

#[tokio::test]
async fn letters_that_nobody_can_give_back_are_listed_all_the_same() {
    let (queues, proxy) = behind_a_proxy().await;
    queues.plant_all(&[("not_json", 25)]).await;
    proxy.inject(Operation::ChangeMessageVisibilityBatch, NO_ANSWER, FOR_EVER);
    let listed = queues.dead_letters(&["list"]).await;
    let answer = listed.json();
    assert_eq!((listed.code, answer["letters"].as_array().unwrap().len()), (4, 25), "{listed:?}");
    assert_eq!(answer["notGivenBack"], 25, "{listed:?}");
}

#[tokio::test]
async fn one_queue_that_cannot_be_asked_hides_nothing_of_the_others() {
    let endpoint = Stack::running().aws_endpoint;
    let gone = format!("{endpoint}/000000000000/test-gone-{}", stamp::new_ulid());
    let events = [("EventsQueueUrl", gone.as_str()), ("EventsDlqUrl", gone.as_str())];
    let queues = Queues::with_outputs(&endpoint, &events).await;
    queues.plant_all(&[("not_json", 2)]).await;
    let listed = queues.dead_letters(&["list"]).await;
    let answer = listed.json();
    assert_eq!((listed.code, answer["letters"].as_array().unwrap().len()), (1, 2), "{listed:?}");
    assert!(answer["problem"].as_str().unwrap().starts_with("events: "), "{listed:?}");
    let shown = queues.dead_letters(&["show", "nothing of that name"]).await;
    assert_eq!((shown.code, &shown.json()["letters"]), (1, &serde_json::json!([])), "{shown:?}");
    let alone = queues.dead_letters(&["list", "--queue", "events"]).await;
    assert_eq!((alone.code, alone.stdout.as_str()), (1, ""), "nothing was seen: {alone:?}");
}

#[tokio::test]
async fn letters_that_were_lost_on_their_way_are_missed() {
    let (queues, proxy) = behind_a_proxy().await;
    queues.plant_all(&[("not_json", 25)]).await;
    // SQS hides them, and nobody has them.
    proxy.inject(Operation::ReceiveMessage, Fault::Unanswered(Silence::Close), 1);
    let listed = queues.dead_letters(&["list"]).await;
    let answer = listed.json();
    let seen = answer["letters"].as_array().unwrap().len();
    assert!(seen < 25, "{listed:?}");
    assert_eq!((listed.code, &answer["heldElsewhere"]), (4, &(25 - seen).into()), "{listed:?}");
}

#[tokio::test]
async fn a_walk_that_fails_says_how_far_it_came() {
    let (queues, proxy) = behind_a_proxy().await;
    queues.plant_all(&[("unknown_type", 25)]).await;
    let file = std::env::temp_dir().join(format!("half-{}.jsonl", stamp::new_ulid()));
    proxy.inject_after(Operation::DeleteMessageBatch, 1, NO_ANSWER, ATTEMPTS);
    let discard = ["discard", "--all", "--yes", "--to", file.to_str().unwrap()];
    let discarded = queues.dead_letters(&discard).await;
    let answer = discarded.json();
    let count = |name: &str| answer["counts"][0][name].as_u64().unwrap();
    assert_eq!((discarded.code, count("done"), count("notKnown")), (1, 10, 10), "{discarded:?}");
    assert_eq!(answer["file"], file.to_str().unwrap(), "it holds the only copy of ten: {discarded:?}");
    assert!(answer["problem"].is_string(), "{discarded:?}");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 20);
    let again = queues.dead_letters(&discard).await;
    assert_eq!((again.code, again.stdout.as_str()), (2, ""), "the file is not overwritten: {again:?}");
    fs::remove_file(&file).unwrap();

    proxy.inject(Operation::SendMessageBatch, NO_ANSWER, ATTEMPTS);
    let redriven = queues.dead_letters(&["redrive", "--all"]).await;
    let count = |name: &str| redriven.json()["counts"][0][name].as_u64().unwrap();
    assert_eq!((redriven.code, count("done")), (1, 0), "{redriven:?}");
    assert_eq!(count("notKnown"), count("chosen"), "{redriven:?}");
    let redriven = queues.dead_letters(&["redrive", "--all"]).await;
    assert_eq!(
        (redriven.code, &redriven.json()["counts"][0]["done"]),
        (0, &15.into()),
        "all were given back"
    );
    assert_eq!(queues.take_all(&queues.source).await.len(), 15);
}
