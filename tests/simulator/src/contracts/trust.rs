//! What a store of revocations must do, and one that goes through all connections.

use std::collections::{BTreeSet, HashSet};

use backbone::connection::ConnectionRef;
use backbone::limits::ACCESS_OUTAGE_MS;
use backbone::stores::{
    AccessStore, ConnectionPages, ConnectionStore, ReceiptStore, RememberedYes, Revoking, TrustChanges,
    TrustStore,
};
use backbone::trust::TrustQuestion;

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

/// A yes stands until it is taken back. What is left of it then says so, and lets nobody in.
pub async fn a_yes_that_is_taken_back_leaves_its_time<S: AccessStore + TrustStore>(store: &S) {
    const SAID_AT_MS: u64 = EXPIRES_AT_S * 1_000 - ACCESS_OUTAGE_MS;
    let ask = async |token: &str| {
        let access_hash = Some(token.to_owned());
        let question = TrustQuestion { agent: agent(1), ait_jti: id(1), pair: None, access_hash };
        store.trust(&question).await.expect("an answer").access_accepted_at_ms
    };
    let yes = |token: &str, accepted_at_ms, until_ms, is_taken_back| RememberedYes {
        access_hash: token.to_owned(),
        accepted_at_ms,
        until_ms,
        is_taken_back,
    };
    assert_eq!(ask("a").await, None);
    for (number, token, at_ms) in [(1, "a", SAID_AT_MS), (1, "b", SAID_AT_MS + 1), (2, "a", SAID_AT_MS + 2)] {
        store.remember_access(&agent(number), token, at_ms).await.expect("an answer");
    }
    assert_eq!((ask("a").await, ask("b").await), (Some(SAID_AT_MS), Some(SAID_AT_MS + 1)));
    let (over_ms, until_ms) = (EXPIRES_AT_S * 1_000, EXPIRES_AT_S * 1_000 + 7);
    for _ in 0..2 {
        store.take_back_access(&agent(1), "a", SAID_AT_MS, until_ms).await.expect("an answer");
        assert_eq!((ask("a").await, ask("b").await), (None, Some(SAID_AT_MS + 1)));
    }
    let mut found = store.remembered_access(&agent(1)).await.expect("an answer");
    found.sort_unstable();
    let taken_back = yes("a", SAID_AT_MS, until_ms, true);
    assert_eq!(found, [taken_back, yes("b", SAID_AT_MS + 1, over_ms, false)]);
    store.remember_access(&agent(1), "a", SAID_AT_MS + 3).await.expect("an answer");
    assert_eq!(ask("a").await, Some(SAID_AT_MS + 3));
    assert_eq!(store.remembered_access(&agent(3)).await.expect("an answer"), []);
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
