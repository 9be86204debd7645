//! What else the command line answers, and how it ends.

use acceptance::connector::End;
use acceptance::eventually::eventually;
use acceptance::stack::{Description, Stack};
use acceptance::stamp;

use super::ask;
use crate::fixture::Duo;

#[tokio::test]
async fn every_end_has_its_code() {
    let stack = Stack::running();
    let agent = "did:cdi:registry.example.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";
    let nobody = stamp::new_ulid();
    // Without queues: somebody else may be looking at the dead letters.
    let quiet = Description::changed(|description| {
        let outputs = description["outputs"].as_object_mut().unwrap();
        outputs.retain(|name, _| !name.ends_with("DlqUrl"));
    });
    let show = ["receipts", "show", "--agent", agent, &nobody];
    assert_eq!(stack.command(&show, Some(&quiet.unwrap())).await.unwrap().code, 3);
    assert_eq!(ask(&stack, &["connections", "show", agent]).await.code, 3);
    assert_eq!(ask(&stack, &["connections", "cut", agent]).await.code, 3);
    assert_eq!(ask(&stack, &["mailbox", agent]).await.code, 0);
    for misunderstood in [
        &["mailbox", "nobody"][..],
        &["receipts", "show", "--agent", agent, "x"],
        &["nonsense"],
        &["trust", "pair", agent, agent],
        &["trust", "unpair", agent, agent],
    ] {
        assert_eq!(ask(&stack, misunderstood).await.code, 2, "{misunderstood:?}");
    }
    for unconfirmed in [&["dead-letters", "redrive"][..], &["dead-letters", "discard", "--all"]] {
        let ended = ask(&stack, unconfirmed).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    }
    let deaf = Description::changed(|description| description["awsEndpoint"] = "http://127.0.0.1:9".into());
    let deaf = deaf.unwrap();
    for unanswered in [&["connections", "show", agent][..], &["doctor"]] {
        let ended = stack.command(unanswered, Some(&deaf)).await.unwrap();
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
        assert_eq!(ended.stderr.trim().lines().count(), 1, "{ended:?}");
    }
}

#[tokio::test]
async fn a_connection_is_listed_shown_and_cut() {
    let duo = Duo::strangers().await;
    let session = duo.sender.connect().await.unwrap();
    let shown = ask(&duo.stack, &["connections", "show", duo.sender.did()]).await.json();
    let connection_id = shown["connection"]["connectionId"].as_str().unwrap();
    assert_eq!((&shown["connection"]["current"], &shown["quarantined"]), (&true.into(), &false.into()));
    let listed = ask(&duo.stack, &["connections", "list"]).await.json();
    let ours = |one: &&serde_json::Value| one["agentDid"] == duo.sender.did();
    let listed = listed["connections"].as_array().unwrap().iter().find(ours).cloned().unwrap();
    assert_eq!(listed["connectionId"], connection_id);

    let cut = ask(&duo.stack, &["connections", "cut", duo.sender.did()]).await;
    assert_eq!((cut.code, &cut.json()["closed"]), (0, &true.into()), "{cut:?}");
    eventually("the end of the session", async || match session.end() {
        Some(End::Closed { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(ask(&duo.stack, &["connections", "show", duo.sender.did()]).await.code, 3);
}

#[tokio::test]
async fn trust_is_changed_through_the_stacks_description() {
    let duo = Duo::strangers().await;
    let (one, other) = (duo.sender.did(), duo.recipient.did());
    let paired = ask(&duo.stack, &["trust", "pair", one, other]).await;
    assert_eq!((paired.code, &paired.json()["changed"]), (0, &true.into()), "{paired:?}");
    ask(&duo.stack, &["trust", "revoke", one, "--reason", "key lost"]).await;
    let shown = ask(&duo.stack, &["trust", "show", one]).await.json();
    assert_eq!((&shown["pairs"], &shown["revocation"]["reason"]), (&1.into(), &"key lost".into()));
}

#[tokio::test]
async fn the_status_has_queues_functions_and_alarms() {
    let stack = Stack::running();
    let status = ask(&stack, &["status"]).await.json();
    assert_eq!(status["stackStatus"], "CREATE_COMPLETE");
    let names = |list: &str| {
        let list = status[list].as_array().unwrap().iter();
        list.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(names("queues").contains(&"receipts".to_owned()), "{status}");
    assert!(names("queues").contains(&"events (dead letters)".to_owned()), "{status}");
    assert!(names("functions").contains(&stack.outputs.consumer_function), "{status}");
    assert!(!names("alarms").is_empty(), "{status}");
    let text = stack.command(&["status"], None).await.unwrap().stdout;
    assert!(text.contains("QUEUE") && text.contains(&stack.outputs.receipt_function), "{text}");
}
