//! What a store of system deliveries must do.

use backbone::stores::{DeliveryStore, Kept, TurnNote};
use backbone::system_delivery::{DeliverySource, StoredDelivery, SystemDelivery};
use serde_json::json;

use super::{EXPIRES_AT_S, agent, id};

/// The same delivery again changes nothing, unless it is put back as one that was given up.
pub async fn a_delivery_is_kept_once_and_restored_anew(store: &impl DeliveryStore) {
    let kept = kept(store, 1).await;
    assert_eq!(store.keep_delivery(&kept.delivery, 7).await.expect("an answer"), Kept::Known);
    assert_eq!(find(store, &kept).await, Some(kept.clone()));
    let noted = noted(store, &kept).await;
    assert_eq!(store.keep_delivery(&kept.delivery, 7).await.expect("an answer"), Kept::Known);
    assert_eq!(find(store, &kept).await, Some(noted));
    for now_ms in [90, 80] {
        store.restore_delivery(&kept.delivery, EXPIRES_AT_S, now_ms).await.expect("an answer");
        assert_eq!(find(store, &kept).await, Some(StoredDelivery { next_at_ms: now_ms, ..kept.clone() }));
    }
}

/// Of two turns that have seen the same row the first is noted; a note about a delivery that is gone makes none.
pub async fn whoever_notes_a_turn_first_is_right(store: &impl DeliveryStore) {
    let kept = kept(store, 1).await;
    let noted = noted(store, &kept).await;
    let late = TurnNote { attempts: 9, pushed_to: None, next_at_ms: 99 };
    store.note_turn(&kept, &late).await.expect("an answer");
    assert_eq!(find(store, &kept).await, Some(noted.clone()));
    store.note_turn(&noted, &late).await.expect("an answer");
    let expected = StoredDelivery { attempts: 9, next_at_ms: 99, ..noted };
    assert_eq!(find(store, &kept).await, Some(expected.clone()), "who was pushed to is remembered");
    store.acknowledge(&agent(1), kept.delivery.delivery_id).await.expect("an answer");
    store.note_turn(&expected, &late).await.expect("an answer");
    assert_eq!(find(store, &kept).await, None);
}

/// What is given up goes only if it is as it was seen.
pub async fn a_delivery_that_has_moved_on_is_not_removed(store: &impl DeliveryStore) {
    let kept = kept(store, 1).await;
    let noted = noted(store, &kept).await;
    store.remove_delivery(&kept).await.expect("an answer");
    assert_eq!(find(store, &kept).await, Some(noted.clone()));
    for _ in 0..2 {
        store.remove_delivery(&noted).await.expect("an answer");
        assert_eq!(find(store, &kept).await, None);
    }
}

/// Nobody acknowledges what somebody else was sent.
pub async fn an_acknowledgement_is_its_own_agents(store: &impl DeliveryStore) {
    let (one, other) = (kept(store, 1).await, kept(store, 2).await);
    store.acknowledge(&agent(2), one.delivery.delivery_id).await.expect("an answer");
    assert_eq!(find(store, &one).await, Some(one.clone()));
    for _ in 0..2 {
        store.acknowledge(&agent(1), one.delivery.delivery_id).await.expect("an answer");
        assert_eq!(find(store, &one).await, None);
    }
    assert_eq!(find(store, &other).await, Some(other));
}

/// Pages hold an agent's deliveries by id, each once, and no other agent's.
pub async fn deliveries_are_read_in_pages(store: &impl DeliveryStore) {
    let mut all = Vec::new();
    for number in [3, 1, 5, 2, 4] {
        all.push(kept(store, number).await);
    }
    all.sort_by_key(|stored| stored.delivery.delivery_id);
    let stranger = SystemDelivery { recipient: agent(9), ..all[0].delivery.clone() };
    assert_eq!(store.keep_delivery(&stranger, EXPIRES_AT_S).await.expect("an answer"), Kept::New);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.deliveries(&agent(1), after, 2).await.expect("an answer");
        assert!(page.deliveries.len() <= 2);
        found.extend(page.deliveries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, all);
}

/// A delivery of this number to the first agent, kept in a store that did not have it.
async fn kept(store: &impl DeliveryStore, number: usize) -> StoredDelivery {
    let delivery = SystemDelivery {
        delivery_id: id(number),
        recipient: agent(1),
        from: agent(2),
        source: DeliverySource::PairAccepted,
        payload: json!({ "number": number, "odd": "\u{1f980}\u{0}" }),
        created_at_ms: 5,
    };
    assert_eq!(store.keep_delivery(&delivery, EXPIRES_AT_S).await.expect("an answer"), Kept::New);
    let stored =
        StoredDelivery { delivery, attempts: 0, pushed_to: None, next_at_ms: 0, expires_at_s: EXPIRES_AT_S };
    assert_eq!(find(store, &stored).await.as_ref(), Some(&stored));
    stored
}

/// The delivery after a turn that has pushed it.
async fn noted(store: &impl DeliveryStore, seen: &StoredDelivery) -> StoredDelivery {
    let note = TurnNote { attempts: 1, pushed_to: Some("c1".to_owned()), next_at_ms: 70 };
    store.note_turn(seen, &note).await.expect("an answer");
    let TurnNote { attempts, pushed_to, next_at_ms } = note;
    let noted = StoredDelivery { attempts, pushed_to, next_at_ms, ..seen.clone() };
    assert_eq!(find(store, seen).await.as_ref(), Some(&noted));
    noted
}

async fn find(store: &impl DeliveryStore, stored: &StoredDelivery) -> Option<StoredDelivery> {
    store.find_delivery(&stored.delivery.key()).await.expect("an answer")
}
