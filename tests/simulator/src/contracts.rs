//! What a store must do, whatever stands behind it.
//!
//! Each contract runs on the simulator here and on DynamoDB in the acceptance tests: if the simulator were kinder than
//! DynamoDB, its runs would prove nothing. A contract panics where it is broken. It wants a store with nothing in it.

mod deliveries;
mod trust;

use backbone::connection::{ConnectionHistory, ConnectionRef, ConnectionRow};
use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::receipt::{Receipt, Status, StoredReceipt};
use backbone::stores::{Claimed, ConnectionStore, MailboxItem, ReceiptStore, Recorded, Waiting};

pub use self::deliveries::{
    a_delivery_is_kept_once_and_restored_anew, a_delivery_that_has_moved_on_is_not_removed,
    an_acknowledgement_is_its_own_agents, deliveries_are_read_in_pages, whoever_notes_a_turn_first_is_right,
};
pub use self::trust::{
    a_revocation_is_new_once_and_seen_at_once, a_revoked_token_is_no_revoked_agent,
    a_yes_that_is_taken_back_leaves_its_time, every_live_agent_is_on_one_page,
};

/// When everything here expires, in seconds since the Unix epoch: in 2100, so that nothing is collected meanwhile.
const EXPIRES_AT_S: u64 = 4_102_444_800;
/// When the connections here lose their leases, in milliseconds since the Unix epoch.
const LEASE_MS: u64 = EXPIRES_AT_S * 1_000;

/// Hands every contract's name to a macro that makes tests of them, so that no store is spared one.
#[macro_export]
macro_rules! each_contract {
    ($make_tests:ident) => {
        $make_tests! {
            a_later_state_is_never_replaced
            states_of_one_millisecond_are_ordered_by_their_frames
            a_push_is_not_undone
            the_first_recipient_stays
            only_what_was_seen_is_replaced
            a_mailbox_is_in_order_and_holds_each_item_once
            what_waits_keeps_its_correlation_id
            a_mailbox_is_read_in_pages
            a_batch_is_read_at_once
            a_claim_needs_the_row_that_was_seen
            only_the_named_connection_is_cleared
            notes_belong_to_the_current_connection
            a_delivery_is_kept_once_and_restored_anew
            whoever_notes_a_turn_first_is_right
            a_delivery_that_has_moved_on_is_not_removed
            an_acknowledgement_is_its_own_agents
            deliveries_are_read_in_pages
            a_revocation_is_new_once_and_seen_at_once
            a_revoked_token_is_no_revoked_agent
            a_yes_that_is_taken_back_leaves_its_time
            every_live_agent_is_on_one_page
        }
    };
}

/// Of two states of one receipt the later stays, whichever comes last.
pub async fn a_later_state_is_never_replaced(store: &impl ReceiptStore) {
    // 9 and 10 are in another order as text.
    for (number, (first_ms, second_ms)) in [(1, 2), (2, 2), (3, 2), (9, 10), (10, 9)].into_iter().enumerate()
    {
        let first = stored(number, Status::DeliveredToWebhook, first_ms, Some(1));
        let second = StoredReceipt {
            receipt: Receipt { processed_at_ms: second_ms, ..first.receipt.clone() },
            ..first.clone()
        };
        assert_eq!(store.record(&first).await.expect("an answer"), Recorded::Stored);
        let (expected, stays) =
            if second_ms < first_ms { (Recorded::Stale, &first) } else { (Recorded::Stored, &second) };
        assert_eq!(store.record(&second).await.expect("an answer"), expected, "{first_ms}, then {second_ms}");
        let found = store.find(&first.receipt.key()).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(stays), "{first_ms}, then {second_ms}");
    }
}

/// Two states of one millisecond have an order too, so that all instances end with the same one.
pub async fn states_of_one_millisecond_are_ordered_by_their_frames(store: &impl ReceiptStore) {
    let one = stored(1, Status::DeliveredToWebhook, 5, Some(1));
    let other = stored(1, Status::DeadLettered, 5, Some(1));
    let (low, high) =
        if one.receipt.frame_id() < other.receipt.frame_id() { (one, other) } else { (other, one) };
    assert_eq!(store.record(&high).await.expect("an answer"), Recorded::Stored);
    assert_eq!(store.record(&low).await.expect("an answer"), Recorded::Stale);
    assert_eq!(store.find(&low.receipt.key()).await.expect("an answer"), Some(high));
}

/// A state that was pushed does not wait again because an older invocation says so late.
pub async fn a_push_is_not_undone(store: &impl ReceiptStore) {
    let pushed = stored(1, Status::DeliveredToWebhook, 5, Some(6));
    let waiting = StoredReceipt { pushed_at_ms: None, ..pushed.clone() };
    assert_eq!(store.record(&waiting).await.expect("an answer"), Recorded::Stored);
    assert_eq!(store.record(&pushed).await.expect("an answer"), Recorded::Stored);
    assert_eq!(store.record(&waiting).await.expect("an answer"), Recorded::Stale);
    assert_eq!(store.find(&pushed.receipt.key()).await.expect("an answer"), Some(pushed));
}

/// Of two recipients that speak of one message the first stays, whatever the other says and when, pushed or not.
pub async fn the_first_recipient_stays(store: &impl ReceiptStore) {
    for (number, pushed_at_ms) in [(1, None), (2, Some(6))] {
        let first = stored(number, Status::DeliveredToWebhook, 5, pushed_at_ms);
        assert_eq!(store.record(&first).await.expect("an answer"), Recorded::Stored);
        for (at_ms, pushed_at_ms) in
            [(4, None), (5, None), (10, None), (4, Some(11)), (5, Some(11)), (10, Some(11))]
        {
            let receipt = Receipt { recipient: agent(3), processed_at_ms: at_ms, ..first.receipt.clone() };
            let other = StoredReceipt { receipt, pushed_at_ms, ..first.clone() };
            assert_eq!(store.record(&other).await.expect("an answer"), Recorded::Stale, "{other:?}");
        }
        let found = store.find(&first.receipt.key()).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(&first));
        let later = stored(number, Status::DeadLettered, 11, pushed_at_ms);
        assert_eq!(store.record(&later).await.expect("an answer"), Recorded::Stored, "its own word");
    }
}

/// What was read is replaced only while it is there: its time when the same is said again, or that it was pushed. Doing so
/// twice is harmless.
pub async fn only_what_was_seen_is_replaced(store: &impl ReceiptStore) {
    let first = stored(1, Status::DeliveredToWebhook, 5, Some(6));
    let later =
        first.said_again(Receipt { processed_at_ms: 10, ..first.receipt.clone() }, first.expires_at_s);
    assert_eq!(store.replace(&first, &later).await.expect("an answer"), Recorded::Stale, "nothing yet");
    assert_eq!(store.record(&first).await.expect("an answer"), Recorded::Stored);
    let waits = StoredReceipt { pushed_at_ms: None, ..later.clone() };
    for (seen, row) in [(&first, &later), (&first, &later), (&later, &waits), (&later, &waits)] {
        assert_eq!(store.replace(seen, row).await.expect("an answer"), Recorded::Stored);
        assert_eq!(store.find(&first.receipt.key()).await.expect("an answer").as_ref(), Some(row));
    }
    assert_eq!(store.replace(&waits, &later).await.expect("an answer"), Recorded::Stale, "it was not pushed");
    let pushed_again = StoredReceipt { pushed_at_ms: Some(11), ..later.clone() };
    for passed in [waits, pushed_again, stored(1, Status::DeadLettered, 11, Some(9))] {
        assert_eq!(store.record(&passed).await.expect("an answer"), Recorded::Stored);
        assert_eq!(store.replace(&first, &later).await.expect("an answer"), Recorded::Stale, "{passed:?}");
        assert_eq!(store.find(&first.receipt.key()).await.expect("an answer"), Some(passed));
    }
}

/// A mailbox gives the oldest first, each item once, and only its own agent's.
pub async fn a_mailbox_is_in_order_and_holds_each_item_once(store: &impl ReceiptStore) {
    let items = [(3, 10), (1, 9), (2, 100)].map(|(number, at_ms)| waiting(number, at_ms));
    for item in items.iter().chain(&items) {
        store.keep_waiting(item).await.expect("an answer");
    }
    let another_state = Waiting {
        receipt: Receipt { status: Status::DeadLettered, ..items[1].receipt.clone() },
        ..items[1].clone()
    };
    store.keep_waiting(&another_state).await.expect("an answer");
    let page = page(store, 10).await;
    assert_eq!(page.iter().map(|item| item.receipt.processed_at_ms).collect::<Vec<_>>(), [9, 9, 10, 100]);
    assert_eq!(page[2..], [items[0].clone(), items[2].clone()]);
    assert!(page[..2].contains(&items[1]) && page[..2].contains(&another_state), "a state hid another");
    assert_eq!(store.waiting(&agent(2), 10).await.expect("an answer"), []);
}

/// A waiting receipt is followed by the id that it came with. One that has none takes the next.
pub async fn what_waits_keeps_its_correlation_id(store: &impl ReceiptStore) {
    let named = |number, id: Option<&str>, longer_s| Waiting {
        correlation_id: id.map(str::to_owned),
        expires_at_s: EXPIRES_AT_S + longer_s,
        ..waiting(number, 1)
    };
    for (number, ids, kept) in [
        (1, [Some("one"), Some("two"), Some("one")], "one"),
        (2, [Some("one"), None, Some("two")], "one"),
        (3, [None, Some("two"), Some("one")], "two"),
    ] {
        for (longer_s, id) in (0..).zip(ids) {
            store.keep_waiting(&named(number, id, longer_s)).await.expect("an answer");
        }
        assert_eq!(page(store, 10).await, [named(number, Some(kept), 2)], "{ids:?}");
        store.stop_waiting(&waiting(number, 1).receipt).await.expect("an answer");
    }
}

/// A page holds as many as were asked for; what is taken out is not seen again, and taking it out twice is harmless.
pub async fn a_mailbox_is_read_in_pages(store: &impl ReceiptStore) {
    let items: Vec<_> =
        (0..30).map(|number| waiting(number, 1_000 + u64::try_from(number).expect("small"))).collect();
    for item in &items {
        store.keep_waiting(item).await.expect("an answer");
    }
    assert_eq!(page(store, 25).await, items[..25]);
    for item in &items[..25] {
        store.stop_waiting(&item.receipt).await.expect("an answer");
        store.stop_waiting(&item.receipt).await.expect("an answer");
    }
    assert_eq!(page(store, 25).await, items[25..]);
}

/// One batched read gives what was asked for and nothing else.
pub async fn a_batch_is_read_at_once<S: ReceiptStore + ConnectionStore>(store: &S) {
    let kept = stored(1, Status::DeliveredToWebhook, 5, None);
    assert_eq!(store.record(&kept).await.expect("an answer"), Recorded::Stored);
    let unasked = stored(2, Status::DeliveredToWebhook, 5, None);
    assert_eq!(store.record(&unasked).await.expect("an answer"), Recorded::Stored);
    let newcomer = connection("c1", 1);
    claim(store, &newcomer, &ConnectionRow::default(), Claimed::Claimed).await;
    let missing = stored(3, Status::DeliveredToWebhook, 5, None);
    let keys = [kept.receipt.key(), missing.receipt.key()];
    let state = store.read_for_delivery(&keys, &[agent(1), agent(2)], &[]).await.expect("an answer");
    assert_eq!(state.receipts.into_values().collect::<Vec<_>>(), [kept]);
    let row = store.connection(&agent(1)).await.expect("an answer");
    assert_eq!(state.connections.into_iter().collect::<Vec<_>>(), [(agent(1), row)]);
    assert!(state.revoked.is_empty());
}

/// Of two newcomers that have seen the same row one becomes the connection; repeating its claim is harmless.
pub async fn a_claim_needs_the_row_that_was_seen(store: &impl ConnectionStore) {
    let nobody = ConnectionRow::default();
    let (first, second) = (connection("c1", 1), connection("c2", 2));
    claim(store, &first, &nobody, Claimed::Claimed).await;
    claim(store, &first, &nobody, Claimed::Claimed).await;
    claim(store, &second, &nobody, Claimed::Changed).await;
    let seen = store.connection(&first.agent).await.expect("an answer");
    assert_eq!(seen.live.as_ref().map(|live| live.of(&first.agent)), Some(first));
    claim(store, &second, &seen, Claimed::Claimed).await;
    assert_eq!(live(store).await.as_deref(), Some("c2"));
}

/// A connection is forgotten only by its own name; what the row remembers besides stays.
pub async fn only_the_named_connection_is_cleared(store: &impl ConnectionStore) {
    let newcomer = connection("c1", 1);
    let history = ConnectionHistory { quick_supersedes: 2, ..ConnectionHistory::default() };
    let claimed = store.claim_connection(&newcomer, LEASE_MS, &history, &ConnectionRow::default()).await;
    assert_eq!(claimed.expect("an answer"), Claimed::Claimed);
    for other in ["c", "c2", "C1"] {
        store.clear_connection(&newcomer.agent, other).await.expect("an answer");
        assert_eq!(live(store).await.as_deref(), Some("c1"), "{other} cleared it");
    }
    for _ in 0..2 {
        store.clear_connection(&newcomer.agent, "c1").await.expect("an answer");
        assert_eq!(live(store).await, None);
    }
    let row = store.connection(&newcomer.agent).await.expect("an answer");
    assert_eq!(row.history, history);
    store.clear_connection(&agent(2), "c1").await.expect("an agent without a row has nothing to clear");
}

/// Notes about drains are the current connection's: the first start stays, the last announcement counts, and a
/// newcomer begins without any.
pub async fn notes_belong_to_the_current_connection(store: &impl ConnectionStore) {
    let (first, second) = (connection("c1", 1), connection("c2", 2));
    let history =
        ConnectionHistory { short_lives: 3, short_lives_since_ms: 7, ..ConnectionHistory::default() };
    let claimed = store.claim_connection(&first, LEASE_MS, &history, &ConnectionRow::default()).await;
    assert_eq!(claimed.expect("an answer"), Claimed::Claimed);
    for at_ms in [10, 20] {
        store.note_drain(&first, at_ms).await.expect("an answer");
        store.note_drain_announced(&first, at_ms).await.expect("an answer");
    }
    let row = store.connection(&first.agent).await.expect("an answer");
    assert_eq!((row.drain_started_at_ms, row.drain_announced_at_ms), (Some(10), Some(20)));
    store.end_quarantine(&second).await.expect("an answer");
    assert_eq!(store.connection(&first.agent).await.expect("an answer").history.short_lives, 3);
    store.end_quarantine(&first).await.expect("an answer");
    let row = store.connection(&first.agent).await.expect("an answer");
    assert_eq!(row.history.short_lives, 0);

    claim(store, &second, &row, Claimed::Claimed).await;
    store.note_drain(&first, 30).await.expect("an answer");
    store.note_drain_announced(&first, 30).await.expect("an answer");
    let row = store.connection(&second.agent).await.expect("an answer");
    assert_eq!((row.drain_started_at_ms, row.drain_announced_at_ms), (None, None));
}

async fn claim(
    store: &impl ConnectionStore,
    newcomer: &ConnectionRef,
    seen: &ConnectionRow,
    expected: Claimed,
) {
    let claimed = store.claim_connection(newcomer, LEASE_MS, &ConnectionHistory::default(), seen).await;
    assert_eq!(claimed.expect("an answer"), expected, "{}", newcomer.connection_id);
}

async fn live(store: &impl ConnectionStore) -> Option<String> {
    store.connection(&agent(1)).await.expect("an answer").live.map(|live| live.connection_id)
}

async fn page(store: &impl ReceiptStore, limit: usize) -> Vec<Waiting> {
    let items = store.waiting(&agent(1), limit).await.expect("an answer");
    let readable = items.into_iter().map(|item| match item {
        MailboxItem::Readable(waiting) => waiting,
        MailboxItem::Unreadable(unreadable) => panic!("{unreadable:?}"),
    });
    readable.collect()
}

fn agent(number: usize) -> AgentDid {
    AgentDid::parse(&format!("did:cdi:a.com:agent:{}", id(number))).expect("it is a DID")
}

fn id(number: usize) -> Id {
    Id::parse(&format!("01KN0HGEG0G5PGG168DA{number:06}")).expect("it is a ULID")
}

fn connection(id: &str, connected_at_ms: u64) -> ConnectionRef {
    ConnectionRef { agent: agent(1), connection_id: id.to_owned(), connected_at_ms }
}

fn stored(number: usize, status: Status, at_ms: u64, pushed_at_ms: Option<u64>) -> StoredReceipt {
    let receipt = Receipt { status, ..waiting(number, at_ms).receipt };
    StoredReceipt { receipt, pushed_at_ms, expires_at_s: EXPIRES_AT_S }
}

/// A receipt about the first agent's message of this number.
fn waiting(number: usize, processed_at_ms: u64) -> Waiting {
    let receipt = Receipt {
        request_id: id(number),
        sender: agent(1),
        recipient: agent(2),
        status: Status::DeliveredToWebhook,
        reason: Some("a \"reason\"".to_owned()),
        processed_at_ms,
    };
    Waiting { receipt, expires_at_s: EXPIRES_AT_S, correlation_id: Some("a-post".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::executor::{Executor, Sim};
    use crate::faults::Profile;
    use crate::invocation::{Function, Invocation};
    use crate::rng::Rng;
    use crate::world::{BEGIN_MS, World};

    /// An invocation in a world in which nothing goes wrong.
    fn store() -> Invocation {
        let mut world = World::new(Rng::new(1), Profile::clean(), None, false);
        world.calm = true;
        Invocation::begin(&Sim::new(world), Function::Consumer)
    }

    /// Runs what has been spawned in the world of `sim` and sees it through to its end.
    fn see_through(sim: Sim, is_done: &AtomicBool) {
        Executor::new(sim).run_until(BEGIN_MS + 60_000);
        assert!(is_done.load(Ordering::Relaxed), "the contract did not come to its end");
    }

    macro_rules! the_simulator_keeps {
        ($($contract:ident)+) => {$(
            #[test]
            fn $contract() {
                let (store, is_done) = (store(), Arc::new(AtomicBool::new(false)));
                let (sim, done) = (store.sim.clone(), Arc::clone(&is_done));
                sim.spawn(async move {
                    super::$contract(&store).await;
                    done.store(true, Ordering::Relaxed);
                });
                see_through(sim, &is_done);
            }
        )+};
    }

    crate::each_contract!(the_simulator_keeps);
}
