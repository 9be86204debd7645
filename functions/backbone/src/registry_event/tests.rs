use serde_json::{Value, json};

use super::*;

const AUTHORITY: &str = "registry.clawdentity.com";
const INITIATOR: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";
const RESPONDER: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";

fn parse(event: &Value) -> Result<RegistryEvent, EventDefect> {
    RegistryEvent::parse(&event.to_string(), AUTHORITY)
}

fn enveloped(kind: &str, data: &Value) -> Value {
    json!({ "id": "3f0c9a52-7b0e-4d37-9c58-0d6f4b8f2a11", "type": kind, "version": "v1",
        "timestampUtc": "2026-03-31T23:33:20.000Z", "initiatedByAccountId": null, "data": data })
}

fn revoked(reason: &str, metadata: &Value) -> Value {
    enveloped(
        "agent.auth.revoked",
        &json!({ "agentId": "01KN0HGEG0QK6E4CV6JTD76TK7", "sessionId": "s", "reason": reason, "metadata": metadata }),
    )
}

fn pair() -> Value {
    json!({ "type": "pair.accepted", "initiatorAgentDid": INITIATOR, "responderAgentDid": RESPONDER,
        "responderProfile": { "agentName": "beta", "humanName": "Ira", "proxyOrigin": "https://beta.proxy.example" },
        "issuerProxyOrigin": "https://proxy.clawdentity.com", "eventTimestampUtc": "2026-04-01T01:33:20+02:00",
        "message": "You are paired with beta now." })
}

fn joined() -> Value {
    enveloped(
        "group.member.joined",
        &json!({ "recipientAgentDid": INITIATOR, "joinedAgentDid": RESPONDER, "joinedAgentName": "beta",
            "groupId": "grp_01KN0HGEG0M57J3WY9JHERFJJ3", "groupName": "crew", "role": "member",
            "joinedAt": "2026-03-31T23:33:20.000Z" }),
    )
}

#[test]
fn an_agent_is_named_by_its_did_or_by_its_ulid() {
    let responder = AgentDid::parse(RESPONDER).unwrap();
    let event = RegistryEvent::AgentRevoked(responder.clone());
    assert_eq!(parse(&revoked("agent_revoked", &json!({ "agentDid": format!(" {RESPONDER} ") }))), Ok(event));
    let ended = RegistryEvent::SessionEnded { agent: responder, at_ms: Some(1_775_000_000_000) };
    for reason in ["owner_auth_revoke", "refresh_token_expired"] {
        assert_eq!(parse(&revoked(reason, &json!(null))), Ok(ended.clone()), "{reason}");
    }
    let other = revoked("agent_revoked", &json!({ "agentDid": INITIATOR }));
    assert_eq!(parse(&other), Ok(RegistryEvent::AgentRevoked(AgentDid::parse(INITIATOR).unwrap())));
}

#[test]
fn a_session_has_ended_when_the_envelope_says_so_if_it_can_be_read() {
    let at_ms = |time: Value| {
        let mut event = revoked("owner_auth_revoke", &json!(null));
        event["timestampUtc"] = time;
        let Ok(RegistryEvent::SessionEnded { at_ms, .. }) = parse(&event) else { panic!("no end") };
        at_ms
    };
    assert_eq!(at_ms(json!("2026-04-01T01:33:20.5+02:00")), Some(1_775_000_000_500));
    for unusable in [json!(null), json!(1_775_000_000), json!("2026-03-31"), json!(" 2026-03-31T23:33:20Z")] {
        assert_eq!(at_ms(unusable.clone()), None, "{unusable}");
    }
    let mut bare = revoked("owner_auth_revoke", &json!(null));
    bare.as_object_mut().unwrap().remove("timestampUtc");
    assert!(matches!(parse(&bare), Ok(RegistryEvent::SessionEnded { at_ms: None, .. })));
}

#[test]
fn only_a_revocation_is_acted_on_among_the_events_of_a_session() {
    let data = json!({ "agentId": "01KN0HGEG0QK6E4CV6JTD76TK7", "reason": "invalid_refresh_token" });
    for kind in ["agent.auth.refreshed", "agent.auth.refresh_rejected"] {
        assert_eq!(parse(&enveloped(kind, &data)), Ok(RegistryEvent::Unremarkable), "{kind}");
    }
    assert_eq!(parse(&enveloped("agent.auth.issued", &json!({}))), Ok(RegistryEvent::Issued));
}

#[test]
fn defects_are_told_apart() {
    let code = |event: &Value| parse(event).unwrap_err().reason_code().as_str();
    assert_eq!(RegistryEvent::parse("{\n ", AUTHORITY), Err(EventDefect::NotJson { line: 2, column: 1 }));
    for event in [json!([]), json!({}), json!({ "type": 7 }), enveloped("agent.auth.revoke", &json!({}))] {
        assert_eq!(code(&event), "unknown_type", "{event}");
    }
    assert_eq!(code(&revoked("bad_mood", &json!({}))), "unknown_reason");
    let wrong = |event: &Value| parse(event).unwrap_err().field();
    assert_eq!(wrong(&enveloped("agent.auth.revoked", &json!(7))), Some("data"));
    assert_eq!(wrong(&enveloped("agent.auth.revoked", &json!({}))), Some("data.reason"));
    let foreign = json!({ "agentDid": "did:web:x" });
    assert_eq!(wrong(&revoked("agent_revoked", &foreign)), Some("data.metadata.agentDid"));
    let nameless = enveloped("agent.auth.revoked", &json!({ "reason": "agent_revoked", "agentId": "x" }));
    assert_eq!(wrong(&nameless), Some("data.agentId"));
}

#[test]
fn each_field_of_a_pair_is_checked() {
    for (pointer, value, field) in [
        ("/initiatorAgentDid", json!("x"), "initiatorAgentDid"),
        ("/responderAgentDid", json!(null), "responderAgentDid"),
        ("/responderProfile/agentName", json!(" "), "responderProfile.agentName"),
        ("/responderProfile/humanName", json!(7), "responderProfile.humanName"),
        ("/responderProfile/proxyOrigin", json!("ftp://x"), "responderProfile.proxyOrigin"),
        ("/issuerProxyOrigin", json!("proxy"), "issuerProxyOrigin"),
        ("/eventTimestampUtc", json!("yesterday"), "eventTimestampUtc"),
        ("/message", json!(7), "message"),
    ] {
        let mut event = pair();
        *event.pointer_mut(pointer).unwrap() = value;
        assert_eq!(parse(&event), Err(EventDefect::InvalidField(field)));
    }
}

#[test]
fn each_field_of_a_join_is_checked() {
    for (name, value, field) in [
        ("recipientAgentDid", json!("x"), "data.recipientAgentDid"),
        ("joinedAgentDid", json!("x"), "data.joinedAgentDid"),
        ("joinedAgentName", json!(""), "data.joinedAgentName"),
        ("groupId", json!("01KN0HGEG0M57J3WY9JHERFJJ3"), "data.groupId"),
        ("groupName", json!(null), "data.groupName"),
        ("role", json!("owner"), "data.role"),
        ("joinedAt", json!("2026-03-31"), "data.joinedAt"),
        ("message", json!([]), "data.message"),
    ] {
        let mut event = joined();
        event["data"][name] = value;
        assert_eq!(parse(&event), Err(EventDefect::InvalidField(field)));
    }
}

#[test]
fn a_pair_is_read_and_normalised() {
    let Ok(RegistryEvent::PairAccepted(pair)) = parse(&pair()) else { panic!("no pair") };
    assert_eq!((pair.initiator.as_str(), pair.responder.as_str()), (INITIATOR, RESPONDER));
    assert_eq!(pair.issuer_proxy_origin, "https://proxy.clawdentity.com");
    assert_eq!(pair.responder_profile.proxy_origin, "https://beta.proxy.example");
    assert_eq!(pair.event_at_ms, 1_775_000_000_000);
    assert_eq!(pair.message.as_deref(), Some("You are paired with beta now."));
    let mut silent = self::pair();
    silent["message"] = json!(" ");
    silent["issuerProxyOrigin"] = json!("HTTPS://Proxy.Clawdentity.com:443/");
    let Ok(RegistryEvent::PairAccepted(silent)) = parse(&silent) else { panic!("no pair") };
    assert_eq!((silent.message, silent.issuer_proxy_origin), (None, pair.issuer_proxy_origin));
}

#[test]
fn a_join_is_read() {
    let Ok(RegistryEvent::MemberJoined(member)) = parse(&joined()) else { panic!("no join") };
    assert_eq!((member.recipient.as_str(), member.joined.as_str()), (INITIATOR, RESPONDER));
    assert_eq!(member.group_id, "grp_01KN0HGEG0M57J3WY9JHERFJJ3");
    assert_eq!((member.role.as_str(), member.joined_at_ms), ("member", 1_775_000_000_000));
}
