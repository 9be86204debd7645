//! The events that the functions are given: those of `tests/events`, with who sends them and what they say.
//!
//! Keys and ids come from seeds, so that two runs differ in their times and signatures only, and no event in length.

use acceptance::connector::{Identity, Receipt, Request, SignedRequest, Status};
use acceptance::load::QueuedReceipt;
use acceptance::{registry_event, stamp};
use ed25519_dalek::SigningKey;
use local::registry::{Agents, Entropy, NewAgent};
use serde_json::{Value, json};

use crate::Result;

/// The registry of the bench, as the functions are told and as every token names it.
pub(crate) const ISSUER: &str = "https://registry.clawdentity.com";
/// What the front door adds to each request, and the functions are told to expect.
pub(crate) const ORIGIN_SECRET: &str = "0123456789abcdef0123456789abcdef";
const CONNECT_PATH: &str = "/v1/relay/connect";
const LIFE_OF_A_TOKEN_MS: u64 = 3_600_000;

/// The agents, and the registry that vouches for them.
pub(crate) struct Cast {
    /// The registry's published keys.
    pub(crate) keys: Value,
    agents: Vec<Identity>,
    /// With a key of its own, from a registry of the same name that has another key, too.
    impostor: Identity,
}

/// What is wrong with a POST, in the order in which it comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The token is missing.
    NoToken,
    /// The proof's timestamp is none, beside a good token.
    Timestamp,
    /// The token is signed by somebody else.
    AitSignature,
    /// The proof is signed by somebody else.
    Proof,
}

impl Fault {
    /// How it is refused, by the contract.
    pub(crate) const fn error_code(self) -> &'static str {
        match self {
            Self::NoToken => "PROXY_AUTH_MISSING_TOKEN",
            Self::Timestamp => "PROXY_AUTH_INVALID_TIMESTAMP",
            Self::AitSignature => "PROXY_AUTH_INVALID_AIT",
            Self::Proof => "PROXY_AUTH_INVALID_PROOF",
        }
    }
}

impl Cast {
    /// So many agents of one registry, all with pairs and sessions.
    pub(crate) fn of(agents: usize) -> Result<Self> {
        let now_ms = stamp::now_ms() - LIFE_OF_A_TOKEN_MS;
        let mut registry = Agents::new(ISSUER, Entropy::from_seed("bench"));
        let mut impostors = Agents::new(ISSUER, Entropy::from_seed("impostor"));
        let identities =
            (0..agents).map(|number| register(&mut registry, number, now_ms)).collect::<Result<_>>()?;
        let impostor = register(&mut impostors, agents, now_ms)?;
        Ok(Self { keys: registry.keys(), agents: identities, impostor })
    }

    fn agent(&self, index: usize) -> &Identity {
        &self.agents[index % self.agents.len()]
    }

    /// The POST of a new receipt by the agent `index` about a message of the one after it.
    pub(crate) fn post(&self, index: usize) -> String {
        http_event(&self.request(index).sign(self.agent(index)))
    }

    /// The same with something wrong.
    pub(crate) fn post_with(&self, fault: Fault) -> String {
        let request = self.request(0);
        let agent = self.agent(0);
        let signed = match fault {
            Fault::NoToken => request.without_header("Authorization").sign(agent),
            Fault::Timestamp => request.timestamp("177500000x").sign(agent),
            Fault::AitSignature => request.sign(&self.impostor),
            Fault::Proof => {
                let Identity { agent_did, ait, access_token, jti, .. } = agent.clone();
                request.sign(&Identity::new(agent_did, ait, access_token, jti, self.impostor.key().clone()))
            }
        };
        http_event(&signed)
    }

    fn request(&self, index: usize) -> Request {
        // A nonce of one length, and a body too: both are signed.
        Request::post_receipt(&self.receipt(index, index + 1)).nonce(&stamp::new_ulid())
    }

    fn receipt(&self, recipient: usize, sender: usize) -> Receipt {
        Receipt {
            request_id: stamp::new_ulid(),
            sender_agent_did: self.agent(sender).agent_did.clone(),
            recipient_agent_did: self.agent(recipient).agent_did.clone(),
            status: Status::DeliveredToWebhook,
            reason: None,
        }
    }

    /// A batch of `size` new receipts for the agents from `first` on, `senders` of them in turn.
    pub(crate) fn batch(&self, size: usize, first: usize, senders: usize) -> String {
        let mut event = json_of(include_str!("../../events/consumer.json"));
        let record = event["Records"][0].clone();
        let records = (0..size).map(|number| {
            let sender = first + number % senders;
            let mut record = record.clone();
            record["messageId"] = Value::from(format!("059f36b4-87a3-44ab-83d2-{number:012}"));
            record["body"] =
                Value::from(QueuedReceipt::accepted_now(&self.receipt(sender + 1, sender)).body());
            record
        });
        event["Records"] = records.collect();
        event.to_string()
    }

    /// The question of the agent `index` for a receipt that there is not.
    pub(crate) fn look_up(&self, index: usize) -> String {
        let recipient = &self.agent(index + 1).agent_did;
        let signed = Request::get_receipt(&stamp::new_ulid(), recipient)
            .nonce(&stamp::new_ulid())
            .sign(self.agent(index));
        let mut event = json_of(&http_event(&signed));
        let (path, query) = signed.path_and_query.split_once('?').unwrap_or((&signed.path_and_query, ""));
        let route = format!("GET {path}");
        event["routeKey"] = Value::from(route.as_str());
        event["rawQueryString"] = Value::from(query);
        event["requestContext"]["routeKey"] = Value::from(route);
        event["requestContext"]["http"]["method"] = Value::from("GET");
        event["body"] = Value::Null;
        event.to_string()
    }

    /// The message that the socket of the agent `index` is open.
    pub(crate) fn opened(&self, index: usize) -> String {
        let mut event = json_of(include_str!("../../events/consumer-connected.json"));
        let body = &mut event["Records"][0]["body"];
        let mut opened = json_of(body.as_str().expect("a message's body is text"));
        opened["agentDid"] = Value::from(self.agent(index).agent_did.clone());
        *body = Value::from(opened.to_string());
        event.to_string()
    }

    /// The registry's event that revokes the agent `index`.
    pub(crate) fn revocation(&self, index: usize) -> String {
        let mut event = json_of(include_str!("../../events/registry-events.json"));
        let revoked = registry_event::revoked(&self.agent(index).agent_did, "agent_revoked");
        event["Records"][0]["body"] = Value::from(revoked.to_string());
        event.to_string()
    }

    /// The handshake of the agent `index`.
    pub(crate) fn handshake(&self, index: usize) -> String {
        let mut event = json_of(include_str!("../../events/authorizer.json"));
        put_headers(&mut event, &Request::get(CONNECT_PATH).sign(self.agent(index)), str::to_owned);
        event["multiValueHeaders"] = event["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), json!([value])))
            .collect::<serde_json::Map<_, _>>()
            .into();
        event.to_string()
    }

    /// The opening, a heartbeat or the closing of the socket of the agent `index`, as API Gateway names its route.
    pub(crate) fn socket(&self, index: usize, route: &str) -> String {
        let mut event = json_of(include_str!("../../events/connection-heartbeat.json"));
        let context = &mut event["requestContext"];
        context["routeKey"] = Value::from(route);
        context["connectedAt"] = Value::from(stamp::now_ms());
        context["authorizer"]["agentDid"] = Value::from(self.agent(index).agent_did.clone());
        if route != "heartbeat" {
            event["body"] = Value::Null;
        }
        event.to_string()
    }
}

fn register(registry: &mut Agents, number: usize, now_ms: u64) -> Result<Identity> {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let key = SigningKey::from_bytes(&seed);
    let new = NewAgent { name: format!("agent-{number:06}"), public_key_x: Identity::public_key_x(&key) };
    let registered =
        registry.register(new, now_ms).map_err(|rejected| format!("not registered: {rejected:?}"))?;
    Ok(Identity::new(registered.agent_did, registered.ait, registered.access_token, registered.jti, key))
}

fn http_event(signed: &SignedRequest) -> String {
    let mut event = json_of(include_str!("../../events/receipt.json"));
    put_headers(&mut event, signed, str::to_ascii_lowercase);
    event["body"] = Value::from(String::from_utf8_lossy(&signed.body));
    event.to_string()
}

/// Replaces what a client sends by what this one sends, or does not.
fn put_headers(event: &mut Value, signed: &SignedRequest, name: fn(&str) -> String) {
    let Some(headers) = event["headers"].as_object_mut() else { return };
    headers.retain(|name, _| {
        let name = name.to_ascii_lowercase();
        name != "authorization" && !name.starts_with("x-claw-")
    });
    headers.extend(signed.headers.iter().map(|(header, value)| (name(header), Value::from(value.as_str()))));
    headers.insert(name("X-Origin-Verify"), Value::from(ORIGIN_SECRET));
}

fn json_of(event: &str) -> Value {
    serde_json::from_str(event).expect("an event of this repository is JSON")
}
