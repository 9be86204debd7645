//! What goes on while the registry does not answer (fail-open), and what does not.
//!
//! The registry belongs to all tests, so these use the stack alone (`.config/nextest.toml`) and give it back.

use acceptance::admin_api::Invoked;
use acceptance::connector::{Connector, Receipt, Status};
use acceptance::eventually::PATIENCE;
use acceptance::registry_client::{Endpoint, Fault, RegistryClient};
use acceptance::stack::Stack;
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::fixture::{Duo, and_give_back};
use crate::revocation::reconcile;

async fn set_faults(stack: &Stack, fault: Fault) {
    let registry = RegistryClient::new(&stack.registry_url);
    for endpoint in [Endpoint::Keys, Endpoint::Crl, Endpoint::Validate] {
        registry.set_fault(endpoint, fault).await.unwrap();
    }
}

/// What becomes of `attempt` while the registry answers nothing but errors. It is given back in any case: without it
/// every other test would fail too.
async fn during_an_outage<T>(stack: &Stack, attempt: impl Future<Output = T>) -> T {
    set_faults(stack, Fault::Unavailable).await;
    and_give_back(attempt, set_faults(stack, Fault::None)).await
}

/// Makes the registry's remembered yes to an agent's access token older, as if it had been given `ago_ms` ago.
async fn age_the_yes(stack: &Stack, agent_did: &str, ago_ms: u64) {
    let client = stack.dynamodb();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let rows = client
        .query()
        .table_name(&stack.outputs.nonces_table)
        .key_condition_expression("agentDid = :agent AND begins_with(#what, :access)")
        .expression_attribute_names("#what", "what")
        .expression_attribute_values(":agent", text(agent_did))
        .expression_attribute_values(":access", text("access#"))
        .send()
        .await
        .unwrap();
    assert_eq!(rows.items().len(), 1, "one yes is remembered");
    let mut row = rows.items()[0].clone();
    let at_ms = stamp::now_ms() - ago_ms;
    row.insert("acceptedAtMs".to_owned(), AttributeValue::N(at_ms.to_string()));
    row.insert("expiresAt".to_owned(), AttributeValue::N(((at_ms + 900_000) / 1_000).to_string()));
    client.put_item().table_name(&stack.outputs.nonces_table).set_item(Some(row)).send().await.unwrap();
}

async fn post(duo: &Duo) -> (u16, Option<String>, Receipt) {
    let receipt = duo.receipt(Status::DeliveredToWebhook, None);
    let answer = duo.recipient.post_receipt(&receipt).await.unwrap();
    (answer.status, answer.error_code().map(str::to_owned), receipt)
}

const UNAVAILABLE: (u16, Option<&str>) = (503, Some("PROXY_AUTH_DEPENDENCY_UNAVAILABLE"));

#[tokio::test]
async fn an_outage_cuts_nobody_and_lets_in_whom_the_registry_has_known_shortly() {
    let duo = Duo::paired().await;
    let mut session = duo.sender.connect().await.unwrap();
    session.acknowledged_heartbeat(PATIENCE).await.unwrap();
    assert_eq!(post(&duo).await.0, 202);
    session.next_receipt(PATIENCE).await.unwrap();
    let stranger = RegistryClient::new(&duo.stack.registry_url).register("stranger").await.unwrap();
    let stranger = Connector::new(stranger, &duo.stack.proxy_url).unwrap();

    during_an_outage(&duo.stack, async {
        // The reconciliation says that it failed, and cuts nobody for it.
        assert!(matches!(reconcile(&duo.stack).await, Invoked::Failed(_)));
        // Ten minutes after its yes an agent still gets in.
        age_the_yes(&duo.stack, duo.recipient.did(), 600_000).await;
        let (status, _, receipt) = post(&duo).await;
        assert_eq!(status, 202);
        let pushed = session.next_receipt(PATIENCE).await.unwrap();
        assert_eq!(pushed.frame.original_frame_id, receipt.request_id);
        assert_eq!(session.end(), None);

        // Sixteen minutes after it does not, and neither does whom nobody has seen.
        age_the_yes(&duo.stack, duo.recipient.did(), 960_000).await;
        let (status, code, _) = post(&duo).await;
        assert_eq!((status, code.as_deref()), UNAVAILABLE);
        let answer = stranger.get_receipt(&stamp::new_ulid(), duo.recipient.did()).await.unwrap();
        assert_eq!(
            (answer.status, answer.error_code()),
            (403, Some("PROXY_AUTH_FORBIDDEN")),
            "keys and list are known"
        );
        duo.stack.pair(stranger.did(), duo.recipient.did()).await.unwrap();
        let answer = stranger.get_receipt(&stamp::new_ulid(), duo.recipient.did()).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), UNAVAILABLE);
        // A revocation is still a revocation.
        duo.stack.revoke(duo.recipient.did()).await.unwrap();
        let (status, code, _) = post(&duo).await;
        assert_eq!((status, code.as_deref()), (401, Some("PROXY_AUTH_REVOKED")));
    })
    .await;
    assert!(matches!(reconcile(&duo.stack).await, Invoked::Answered(_)));
    assert_eq!(session.end(), None);
}
