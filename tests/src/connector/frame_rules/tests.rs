use serde_json::json;

use super::*;

const ULID: &str = "01KN33X5G027E3J3NFDGEM863F";
const DID: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";

/// (accepted by the TypeScript rules, accepted by the Rust rules)
fn verdicts(frame: &Value) -> (bool, bool) {
    let text = frame.to_string();
    (typescript(&text).is_ok(), rust(&text).is_ok())
}

fn receipt_with(name: &str, value: Value) -> Value {
    let mut frame = json!({
        "v": 1, "type": "receipt", "id": ULID, "ts": "2026-03-31T23:33:20.000Z",
        "originalFrameId": ULID, "toAgentDid": DID, "status": "dead_lettered",
    });
    frame[name] = value;
    frame
}

#[test]
fn the_recorded_verdicts_are_reproduced() {
    let vectors: Value = serde_json::from_str(include_str!("../../../vectors.json")).unwrap();
    let frames = vectors["frames"].as_array().unwrap();
    assert!(!frames.is_empty());
    for frame in frames {
        let text = frame["text"].as_str().unwrap();
        assert_eq!(typescript(text).is_ok(), frame["tsParseFrame"], "TypeScript: {text}");
        assert_eq!(rust(text).is_ok(), frame["rustParseFrame"], "Rust: {text}");
    }
}

#[test]
fn the_two_connectors_differ_where_the_contract_says_so() {
    let did_at = |authority: &str| json!(format!("did:cdi:{authority}:agent:{ULID}"));
    for (name, value, expected) in [
        ("v", json!(1.0), (true, false)),
        ("extra", json!(1), (false, true)),
        ("reason", json!(null), (false, true)),
        ("reason", json!("  "), (false, false)),
        ("reason", json!(5), (false, false)),
        ("ts", json!("yesterday"), (false, true)),
        ("ts", json!(" "), (false, false)),
        ("ts", json!("2026-02-30T00:00:00Z"), (false, true)),
        ("ts", json!("2026-03-31T23:33:20+02:00"), (true, true)),
        ("ts", json!("2026-03-31 23:33:20Z"), (false, true)),
        ("ts", json!("2026-03-31T23:33:20.Z"), (false, true)),
        ("ts", json!("2026-03-31T23:33:20.0123456789Z"), (false, true)),
        ("id", json!(ULID.to_lowercase()), (false, true)),
        ("id", json!("01KN33X5G027E3J3NFDGEM863U"), (false, false)),
        ("status", json!("processed_by_openclaw"), (false, false)),
        ("toAgentDid", did_at("localhost"), (false, true)),
        ("toAgentDid", did_at("127.0.0.1"), (true, true)),
        ("toAgentDid", did_at("a.b:80"), (false, false)),
        ("toAgentDid", did_at(&format!("{}.com", "a".repeat(64))), (true, false)),
        ("toAgentDid", json!(DID.replace("agent", "human")), (false, false)),
    ] {
        let frame = receipt_with(name, value);
        assert_eq!(verdicts(&frame), expected, "{frame}");
    }
}

#[test]
fn a_payload_may_be_missing_for_one_of_them() {
    let deliver = json!({
        "v": 1, "type": "deliver", "id": ULID, "ts": "2026-03-31T23:33:20Z", "fromAgentDid": DID, "toAgentDid": DID,
    });
    assert_eq!(verdicts(&deliver), (true, false));
    for (name, value, expected) in [
        ("payload", json!(null), (true, true)),
        ("contentType", json!(""), (false, false)),
        ("replyTo", json!("no url"), (false, false)),
        ("groupId", json!(format!("grp_{ULID}")), (true, false)),
    ] {
        let mut frame = deliver.clone();
        frame[name] = value;
        assert_eq!(verdicts(&frame), expected, "{frame}");
    }
    let mut frame = deliver;
    frame["payload"] = json!(1);
    frame["contentType"] = json!("");
    frame["replyTo"] = json!("no url");
    assert_eq!(verdicts(&frame), (false, true));
}

#[test]
fn a_receipt_frame_can_be_read() {
    let frame = rust(&receipt_with("reason", json!("no webhook")).to_string()).unwrap();
    let receipt = frame.as_receipt().unwrap();
    assert_eq!((receipt.original_frame_id.as_str(), receipt.to_agent_did.as_str()), (ULID, DID));
    assert_eq!((receipt.status, receipt.reason.as_deref()), (Status::DeadLettered, Some("no webhook")));
}
