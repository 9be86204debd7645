//! Items of the receipts table, key `senderAgentDid` and `item`.
//!
//! | `item` | holds |
//! |---|---|
//! | `<requestId>` | the latest state of a receipt; `pushedAt` (ms) once API Gateway has taken its frame |
//! | `waiting#<processedAt, 13 digits>#<requestId>#<frameId>` | a state that its sender has not been sent |
//!
//! Both hold the whole receipt: `requestId`, `recipientAgentDid`, `status`, `reason` if there is one, `processedAt`
//! (ms), `frameId`, and `expiresAt` (s). The digits make the mailbox's order by text its order in time. Without the frame
//! id in the key, two states of one receipt accepted in the same millisecond would overwrite each other.

use backbone::did::AgentDid;
use backbone::id::Id;
use backbone::receipt::{Receipt, ReceiptKey, Status, StoredReceipt};
use backbone::stores::{StoreError, Waiting};

use crate::attributes::{Item, Row, item, number, text};
use crate::batch_read::ItemKey;

/// The partition key.
pub(crate) const SENDER: &str = "senderAgentDid";
/// The sort key.
pub(crate) const ITEM: &str = "item";
/// What the sort keys of a mailbox begin with.
pub(crate) const WAITING_PREFIX: &str = "waiting#";

/// When a state was accepted.
pub(crate) const PROCESSED_AT: &str = "processedAt";
/// The id of the frame that carries a state.
pub(crate) const FRAME_ID: &str = "frameId";
/// The id under which a waiting receipt is followed.
pub(crate) const CORRELATION_ID: &str = "correlationId";

const PUSHED_AT: &str = "pushedAt";
const EXPIRES_AT: &str = "expiresAt";

/// Where a receipt's latest state is.
pub(crate) fn stored_key<'a>(table: &'a str, key: &ReceiptKey) -> ItemKey<'a> {
    ItemKey::new(table, [(SENDER, key.sender.to_string()), (ITEM, key.request_id.to_string())])
}

/// The sort key of a waiting receipt.
pub(crate) fn waiting_item_name(receipt: &Receipt) -> String {
    let Receipt { processed_at_ms, request_id, .. } = receipt;
    format!("{WAITING_PREFIX}{processed_at_ms:013}#{request_id}#{}", receipt.frame_id())
}

/// The item of a receipt's latest state.
pub(crate) fn stored_item(stored: &StoredReceipt) -> Item {
    let mut item = receipt_item(&stored.receipt, stored.receipt.request_id.to_string(), stored.expires_at_s);
    item.extend(stored.pushed_at_ms.map(|pushed_at_ms| (PUSHED_AT.to_owned(), number(pushed_at_ms))));
    item
}

/// The item of a waiting receipt.
pub(crate) fn waiting_item(waiting: &Waiting) -> Item {
    let mut item = receipt_item(&waiting.receipt, waiting_item_name(&waiting.receipt), waiting.expires_at_s);
    item.extend(waiting.correlation_id.as_deref().map(|id| (CORRELATION_ID.to_owned(), text(id))));
    item
}

fn receipt_item(receipt: &Receipt, name: String, expires_at_s: u64) -> Item {
    let mut item = item([
        (SENDER, text(receipt.sender.as_str())),
        (ITEM, text(name)),
        ("requestId", text(receipt.request_id.to_string())),
        ("recipientAgentDid", text(receipt.recipient.as_str())),
        ("status", text(receipt.status.as_str())),
        (PROCESSED_AT, number(receipt.processed_at_ms)),
        (FRAME_ID, text(receipt.frame_id().to_string())),
        (EXPIRES_AT, number(expires_at_s)),
    ]);
    item.extend(receipt.reason.as_deref().map(|reason| ("reason".to_owned(), text(reason))));
    item
}

/// Reads a receipt's latest state.
pub(crate) fn stored_receipt(row: Row<'_>) -> Result<StoredReceipt, StoreError> {
    Ok(StoredReceipt {
        receipt: receipt(row)?,
        pushed_at_ms: row.optional_number(PUSHED_AT)?,
        expires_at_s: row.number(EXPIRES_AT)?,
    })
}

/// Reads a waiting receipt.
pub(crate) fn waiting_receipt(row: Row<'_>) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        receipt: receipt(row)?,
        expires_at_s: row.number(EXPIRES_AT)?,
        correlation_id: row.find_text(CORRELATION_ID).map(str::to_owned),
    })
}

fn receipt(row: Row<'_>) -> Result<Receipt, StoreError> {
    Ok(Receipt {
        request_id: row.parse("requestId", Id::parse)?,
        sender: row.parse(SENDER, AgentDid::parse)?,
        recipient: row.parse("recipientAgentDid", AgentDid::parse)?,
        status: row.parse("status", Status::parse)?,
        reason: row.find_text("reason").map(str::to_owned),
        processed_at_ms: row.number(PROCESSED_AT)?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn receipt(reason: Option<&str>) -> Receipt {
        let did = |ulid| AgentDid::parse(&format!("did:cdi:a.com:agent:{ulid}")).unwrap();
        Receipt {
            request_id: Id::parse("01KN33X0KRM9Q3MFS6RVPP6F7F").unwrap(),
            sender: did("01KN0HGEG0G5PGG168DAWPBYT2"),
            recipient: did("01KN0HGEG0QK6E4CV6JTD76TK7"),
            status: Status::DeadLettered,
            reason: reason.map(str::to_owned),
            processed_at_ms: 1_775_000_000_123,
        }
    }

    fn row(item: &Item) -> Row<'_> {
        Row { operation: "test", item }
    }

    #[test]
    fn receipts_are_read_back() {
        for (reason, pushed_at_ms) in [(Some("gone\n\u{1f980}"), Some(7)), (None, None)] {
            let stored = StoredReceipt { receipt: receipt(reason), pushed_at_ms, expires_at_s: 9 };
            assert_eq!(stored_receipt(row(&stored_item(&stored))).unwrap(), stored);
            let correlation_id = reason.map(|_| "c-1".to_owned());
            let waiting = Waiting { receipt: receipt(reason), expires_at_s: 9, correlation_id };
            assert_eq!(waiting_receipt(row(&waiting_item(&waiting))).unwrap(), waiting);
        }
    }

    #[test]
    fn a_mailbox_is_in_the_order_of_time() {
        let at = |processed_at_ms| waiting_item_name(&Receipt { processed_at_ms, ..receipt(None) });
        let expected =
            format!("waiting#1775000000123#01KN33X0KRM9Q3MFS6RVPP6F7F#{}", receipt(None).frame_id());
        assert_eq!(at(1_775_000_000_123), expected);
        assert!(at(999) < at(1_000));
    }

    #[test]
    fn every_attribute_of_a_state_is_checked() {
        let stored = StoredReceipt { receipt: receipt(None), pushed_at_ms: Some(7), expires_at_s: 9 };
        for name in ["requestId", "recipientAgentDid", "status", "processedAt", "expiresAt", "pushedAt"] {
            let mut broken = stored_item(&stored);
            broken.insert(name.to_owned(), text("?"));
            let error = stored_receipt(row(&broken)).unwrap_err();
            assert_eq!(error.to_string(), format!("test found an item that cannot be read: {name}"));
        }
    }
}
