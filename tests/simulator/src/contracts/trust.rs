//! What a store of revocations must do, and one that goes through all connections.

use std::collections::{BTreeSet, HashSet};

use backbone::connection::ConnectionRef;
use backbone::stores::{ConnectionPages, ConnectionStore, ReceiptStore, Revoking, TrustChanges};

use super::{EXPIRES_AT_S, agent, id};

/// More than a page of the simulator has.
const AGENTS: usize = 7;

/// An agent is revoked once, and whoever asks is told: here, and in the batched read before a push.
pub async fn a_revocation_is_new_once_and_seen_at_once<S: TrustChanges + ReceiptStore>(store: &S) {
    let (revoked, other) = (agent(1), agent(2));
    let both = [revoked.clone(), other];
    assert_eq!(store.revoked_agents(&both).await.expect("an answer"), BTreeSet::new());
    assert_eq!(store.revoke_agent(&revoked, Some("stolen")).await.expect("an answer"), Revoking::New);
    for reason in [Some("another reason"), None] {
        assert_eq!(store.revoke_agent(&revoked, reason).await.expect("an answer"), Revoking::Known);
    }
    let expected = BTreeSet::from([revoked]);
    assert_eq!(store.revoked_agents(&both).await.expect("an answer"), expected);
    let state = store.read_for_delivery(&[], &both, &[]).await.expect("an answer");
    assert_eq!(state.revoked.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// A token is revoked by its id, and its agent is not.
pub async fn a_revoked_token_is_no_revoked_agent(store: &impl TrustChanges) {
    let both = [id(1), id(2)];
    assert_eq!(store.revoked_tokens(&both).await.expect("an answer"), HashSet::new());
    for _ in 0..2 {
        store.revoke_token(id(1), &agent(1)).await.expect("an answer");
    }
    assert_eq!(store.revoked_tokens(&both).await.expect("an answer"), HashSet::from([id(1)]));
    assert_eq!(store.revoked_tokens(&[]).await.expect("an answer"), HashSet::new());
    assert_eq!(store.revoked_agents(&[agent(1)]).await.expect("an answer"), BTreeSet::new());
}

/// The pages together hold every agent with a socket once, and nobody without one.
pub async fn every_live_agent_is_on_one_page<S: ConnectionPages + ConnectionStore>(store: &S) {
    let mut expected = BTreeSet::new();
    for number in 1..=AGENTS {
        let connection_id = format!("c{number}");
        let newcomer = ConnectionRef { agent: agent(number), connection_id, connected_at_ms: 1 };
        let seen = store.connection(&newcomer.agent).await.expect("an answer");
        let lease_ms = EXPIRES_AT_S * 1_000;
        let claimed = store.claim_connection(&newcomer, lease_ms, &seen.history, &seen).await;
        let _ = claimed.expect("an answer");
        if number % 3 == 0 {
            store.clear_connection(&newcomer.agent, &newcomer.connection_id).await.expect("an answer");
        } else {
            expected.insert(newcomer.agent);
        }
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.live_agents(after.as_ref()).await.expect("an answer");
        found.extend(page.agents);
        assert!(page.next.is_none() || page.next != after, "the next page is another one");
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), expected.len(), "each once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}
