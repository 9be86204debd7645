//! `doctor` finds each of five faults, planted one at a time, and nothing where there is none.

use acceptance::admin_api::AdminApi;
use acceptance::eventually::eventually;
use acceptance::stack::Stack;
use local::registry::{Entropy, Registry};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::super::ask;
use crate::fixture::and_give_back;

/// The check and the words of the only fault that `doctor` finds.
async fn the_fault(stack: &Stack) -> (String, String) {
    let ended = ask(stack, &["doctor"]).await;
    let faults = faults(&ended.json());
    assert_eq!((ended.code, faults.len()), (5, 1), "{faults:?}");
    let text = |name: &str| faults[0][name].as_str().unwrap().to_owned();
    assert!(!text("remedy").is_empty());
    (text("check"), text("found"))
}

fn faults(diagnosis: &Value) -> Vec<Value> {
    let findings = diagnosis["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["verdict"] == "fault").cloned().collect()
}

async fn assert_healthy(stack: &Stack) {
    let ended = ask(stack, &["doctor"]).await;
    assert_eq!(ended.code, 0, "{:?} {}", faults(&ended.json()), ended.stderr);
}

/// A registry of this test's own, and what ends it.
async fn registry() -> (String, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router = Registry::new(&origin, None, Entropy::from_seed("doctor")).router();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    (origin, serving.abort_handle())
}

#[tokio::test]
async fn each_of_five_faults_is_found_and_nothing_else() {
    let stack = Stack::running();
    let api = AdminApi::of(&stack);
    assert_healthy(&stack).await;

    let (consumer, receipt) = (&stack.outputs.consumer_function, &stack.outputs.receipt_function);
    let (origin, running) = registry().await;
    let before = api.set_variable(receipt, "REGISTRY_URL", &origin).await.unwrap();
    let stopping = async {
        assert_healthy(&stack).await;
        running.abort();
        eventually("a stopped registry", async || {
            match TcpStream::connect(&origin["http://".len()..]).await {
                Ok(_) => Err("it still listens".to_owned()),
                Err(_) => Ok(()),
            }
        })
        .await;
        ask(&stack, &["doctor"]).await
    };
    let undo = async { drop(api.set_variable(receipt, "REGISTRY_URL", &before).await.unwrap()) };
    let ended = and_give_back(stopping, undo).await;
    let stopped = faults(&ended.json());
    assert_eq!((ended.code, stopped.len()), (5, 2), "its keys and its revocations: {stopped:?}");
    for fault in &stopped {
        let check = fault["check"].as_str().unwrap();
        assert!(check.starts_with("registry's") && check.ends_with(&origin), "{check}");
    }
    assert!(stopped[0]["remedy"].as_str().unwrap().contains(receipt.as_str()), "{stopped:?}");

    let elsewhere = stack.http_api_url.clone();
    let before = api.set_variable(consumer, "CONNECTIONS_ENDPOINT", &elsewhere).await.unwrap();
    let undo = async { drop(api.set_variable(consumer, "CONNECTIONS_ENDPOINT", &before).await.unwrap()) };
    let ended = and_give_back(ask(&stack, &["doctor"]), undo).await;
    let wrong = faults(&ended.json());
    assert!(ended.code == 5 && !wrong.is_empty(), "{ended:?}");
    for fault in &wrong {
        assert_eq!(fault["check"], format!("@connections {elsewhere}"), "{wrong:?}");
    }
    assert!(wrong[0]["found"].as_str().unwrap().contains(consumer.as_str()), "{wrong:?}");

    let role = api.function_role(consumer).await.unwrap();
    let whole = api.role_policy(&role, "consumer").await.unwrap();
    let mut reduced = whole.clone();
    reduced["Statement"].as_array_mut().unwrap().retain(|one| one["Sid"] != "PostToConnections");
    api.put_role_policy(&role, "consumer", &reduced).await.unwrap();
    let undo = async { api.put_role_policy(&role, "consumer", &whole).await.unwrap() };
    let (check, found) = and_give_back(the_fault(&stack), undo).await;
    assert_eq!(check, "role ConsumerRole");
    assert_eq!(found, "lacks PostToConnections (execute-api:ManageConnections)");

    let alarm = format!("{}-receipts-dead-letters", stack.stack_name);
    api.arm_alarm(&alarm, false).await.unwrap();
    let undo = async { api.arm_alarm(&alarm, true).await.unwrap() };
    let (check, found) = and_give_back(the_fault(&stack), undo).await;
    assert!(check == format!("alarm {alarm}") && found.starts_with("disarmed"), "{check}: {found}");

    let source = api.event_sources(consumer).await.unwrap().remove(0);
    api.enable_event_source(&source, false).await.unwrap();
    let undo = async { api.enable_event_source(&source, true).await.unwrap() };
    let (check, found) = and_give_back(the_fault(&stack), undo).await;
    assert!(check.starts_with("event source Consumer") && found.starts_with("Disabled"), "{check}: {found}");

    assert_healthy(&stack).await;
}
