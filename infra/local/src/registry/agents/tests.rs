use ed25519_dalek::{Signature, VerifyingKey};

use super::*;

const NOW_MS: u64 = 1_775_000_000_000;
const NOW_S: u64 = NOW_MS / 1000;

fn register() -> (Agents, Registered) {
    let mut agents = Agents::new("http://127.0.0.1:4600", Entropy::from_seed("test"));
    let registered = agents.register(new_agent("alpha"), NOW_MS).unwrap();
    (agents, registered)
}

fn new_agent(name: &str) -> NewAgent {
    NewAgent { name: name.to_owned(), public_key_x: URL_SAFE_NO_PAD.encode([7; 32]) }
}

/// Header and claims of a token whose signature holds under the published key.
fn verified(agents: &Agents, jwt: &str) -> (Value, Value) {
    let key = agents.keys();
    let x = URL_SAFE_NO_PAD.decode(key["keys"][0]["x"].as_str().unwrap()).unwrap();
    let key = VerifyingKey::from_bytes(&x.try_into().unwrap()).unwrap();
    let (signing_input, signature) = jwt.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    key.verify_strict(signing_input.as_bytes(), &signature).unwrap();
    let (header, claims) = signing_input.split_once('.').unwrap();
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (read(header), read(claims))
}

#[test]
fn a_passport_has_exactly_the_claims_of_the_contract() {
    let (agents, agent) = register();
    let (header, claims) = verified(&agents, &agent.ait);
    assert_eq!(header, json!({"alg": "EdDSA", "typ": "AIT", "kid": tokens::KEY_ID}));
    assert_eq!(
        claims,
        json!({
            "iss": "http://127.0.0.1:4600",
            "sub": agent.agent_did,
            "ownerDid": agent.owner_did,
            "name": "alpha",
            "framework": "generic",
            "cnf": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([7; 32])}},
            "iat": NOW_S,
            "nbf": NOW_S,
            "exp": NOW_S + AIT_LIFE_S,
            "jti": agent.jti,
        })
    );
    assert!(agent.agent_did.starts_with("did:cdi:127.0.0.1:agent:"));
    assert!(agent.owner_did.starts_with("did:cdi:127.0.0.1:human:"));
    assert!(agent.access_token.starts_with("clw_agt_"));
}

#[test]
fn there_is_no_revocation_list_without_a_revocation() {
    let (mut agents, agent) = register();
    assert_eq!(agents.crl(NOW_MS), None);
    agents.revoke(&agent.agent_did, NOW_MS).unwrap();
    agents.revoke(&agent.agent_did, NOW_MS + 1000).unwrap();
    let crl = agents.crl(NOW_MS + 5000).unwrap();
    let (header, claims) = verified(&agents, &crl);
    assert_eq!(header["typ"], "CRL");
    assert_eq!(claims["iss"], "http://127.0.0.1:4600");
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW_S + 5), &json!(NOW_S + 395)));
    assert_eq!(
        claims["revocations"],
        json!([{"jti": agent.jti, "agentDid": agent.agent_did, "revokedAt": NOW_S}])
    );
}

#[test]
fn a_reissued_passport_replaces_the_old_one() {
    let (mut agents, old) = register();
    let new = agents.reissue(&old.agent_did, NOW_MS).unwrap();
    assert!(!agents.is_valid_session(&old.agent_did, &old.jti, &old.access_token));
    assert!(agents.is_valid_session(&old.agent_did, &new.jti, &new.access_token));
    let crl = agents.crl(NOW_MS).unwrap();
    let (_, claims) = verified(&agents, &crl);
    assert_eq!(claims["revocations"][0]["jti"], old.jti);
    assert_eq!(claims["revocations"][0]["reason"], "reissued");
}

#[test]
fn a_session_is_agent_passport_and_token_together() {
    let (mut agents, agent) = register();
    let other = agents.register(new_agent("beta"), NOW_MS).unwrap();
    assert!(agents.is_valid_session(&agent.agent_did, &agent.jti, &agent.access_token));
    assert!(!agents.is_valid_session(&agent.agent_did, &other.jti, &agent.access_token));
    assert!(!agents.is_valid_session(&agent.agent_did, &agent.jti, &other.access_token));
    agents.revoke(&agent.agent_did, NOW_MS).unwrap();
    assert!(!agents.is_valid_session(&agent.agent_did, &agent.jti, &agent.access_token));
    assert_eq!(agents.reissue(&agent.agent_did, NOW_MS).unwrap_err(), Rejected::Revoked);
    assert_eq!(agents.revoke("did:cdi:127.0.0.1:agent:x", NOW_MS), Err(Rejected::UnknownAgent));
}

#[test]
fn what_no_reader_would_accept_is_not_issued() {
    let (mut agents, _) = register();
    for name in ["", "a/b", "ä", &"a".repeat(65)] {
        assert_eq!(agents.register(new_agent(name), NOW_MS).unwrap_err(), Rejected::Name, "{name}");
    }
    for public_key_x in ["", "AAAA", &format!("{}=", URL_SAFE_NO_PAD.encode([7; 32]))] {
        let new = NewAgent { name: "beta".to_owned(), public_key_x: public_key_x.to_owned() };
        assert_eq!(agents.register(new, NOW_MS).unwrap_err(), Rejected::PublicKey, "{public_key_x}");
    }
}

#[test]
fn a_seed_makes_everything_repeatable() {
    let (first, second) = (register(), register());
    assert_eq!(first.1.ait, second.1.ait);
    assert_eq!(first.1.access_token, second.1.access_token);
    let other = Agents::new("http://127.0.0.1:4600", Entropy::from_seed("other"));
    assert_ne!(first.0.keys(), other.keys());
}

#[test]
fn the_list_names_everybody_and_holds_no_token() {
    let (mut agents, agent) = register();
    agents.revoke(&agent.agent_did, NOW_MS).unwrap();
    let listed = serde_json::to_value(agents.list()).unwrap();
    assert_eq!(listed, json!([{ "agentDid": agent.agent_did, "name": "alpha", "active": false }]));
}

#[test]
fn an_ended_session_leaves_the_passport_as_it_is() {
    let (mut agents, agent) = register();
    agents.end_session(&agent.agent_did).unwrap();
    assert!(!agents.is_valid_session(&agent.agent_did, &agent.jti, &agent.access_token));
    assert_eq!(agents.crl(NOW_MS), None);
    assert_eq!(agents.end_session("did:cdi:127.0.0.1:agent:nobody"), Err(Rejected::UnknownAgent));
    let renewed = agents.reissue(&agent.agent_did, NOW_MS).unwrap();
    assert!(agents.is_valid_session(&agent.agent_did, &renewed.jti, &renewed.access_token));
}
