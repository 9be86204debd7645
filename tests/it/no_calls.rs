//! What is answered without asking anybody: `/health`, heartbeats, and messages that are not relayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acceptance::connector::frame_rules;
use acceptance::stamp;
use backbone::metrics::{Metric, Tally};
use backbone_aws::Aws;
use backbone_aws::http_api::HttpEvent;
use backbone_aws::settings::{self, Settings};
use connection::handler::ConnectionFunction;
use connection::socket_event::SocketEvent;
use receipt::handler::ReceiptFunction;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const FAR_AWAY_MS: u64 = u64::MAX;

/// A process of ours for which AWS and the registry are one address that counts who calls.
struct Process {
    aws: Aws,
    calls: Arc<AtomicUsize>,
}

impl Process {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            // Hangs up on everybody.
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let env = |name: &str| {
            let value = match name {
                settings::AWS_ENDPOINT_URL | settings::REGISTRY_URL | settings::CONNECTIONS_ENDPOINT => {
                    &address
                }
                settings::CRL_STALE_BEHAVIOR => "fail-open",
                settings::CRL_MAX_AGE_MS => "900000",
                settings::AGENT_RATE_LIMIT_REQUESTS_PER_MINUTE => "300",
                settings::CONNECTION_LEASE_SECONDS => "7500",
                settings::PROXY_ORIGIN => "https://proxy.example.com",
                settings::ALLOW_DIRECT => "yes",
                settings::BACKBONE_VERSION => "1.2.3",
                settings::AWS_CA_BUNDLE | settings::PEER_ORIGINS | settings::PEER_QUEUE_ARNS => return None,
                _ => "x",
            };
            Some(value.to_owned())
        };
        let required: Vec<_> = receipt::SETTINGS.into_iter().chain(connection::SETTINGS).collect();
        Self { aws: Aws::new(Settings::from_env(&env, &required).unwrap()).unwrap(), calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn http(&self, event: Value) -> (u64, Value) {
        let event: HttpEvent = serde_json::from_value(event).unwrap();
        let function = ReceiptFunction::from_settings(self.aws.settings()).unwrap();
        let invocation = self.aws.invocation("an-invocation", FAR_AWAY_MS);
        let answer = function.handle(&invocation, &event, "an-invocation", &Tally::default()).await;
        let answer = serde_json::to_value(answer).unwrap();
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    }

    async fn frame(&self, route: &str, frame: &Value) -> Value {
        let event: SocketEvent = serde_json::from_value(json!({
            "body": frame.to_string(),
            "requestContext": {
                "routeKey": route, "connectionId": "c=", "requestId": "r",
                "authorizer": { "agentDid": "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2" },
            },
        }))
        .unwrap();
        let function = ConnectionFunction::from_settings(self.aws.settings()).unwrap();
        let invocation = self.aws.invocation("an-invocation", FAR_AWAY_MS);
        let answer = function.handle(&invocation, &event, &Tally::default()).await;
        let text = answer.body.unwrap();
        assert!(frame_rules::rust(&text).is_ok() && frame_rules::typescript(&text).is_ok(), "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

#[tokio::test]
async fn nobody_is_asked() {
    let process = Process::start().await;
    let health = json!({ "rawPath": "/health", "requestContext": { "http": { "method": "GET" } } });
    let (status, body) = process.http(health).await;
    // This instance has seen neither keys nor a revocation list.
    let ages = json!({ "keysAgeSeconds": null, "crlAgeSeconds": null });
    assert_eq!((status, body), (200, json!({ "status": "ok", "version": "1.2.3", "registry": ages })));

    let (id, ts) = (stamp::new_ulid(), stamp::now_iso());
    let heartbeat = json!({ "v": 1, "type": "heartbeat", "id": id, "ts": ts });
    assert_eq!(process.frame("heartbeat", &heartbeat).await["ackId"], id.as_str());
    let enqueue = json!({
        "v": 1, "type": "enqueue", "id": id, "ts": ts, "payload": {},
        "toAgentDid": "did:cdi:a.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7",
    });
    let refused = process.frame("enqueue", &enqueue).await;
    assert_eq!((&refused["accepted"], &refused["ackId"]), (&json!(false), &json!(id)));
    assert_eq!(process.calls(), 0);
}

/// The count counts: whatever needs AWS is seen to ask for it.
#[tokio::test]
async fn whoever_asks_is_noticed() {
    let process = Process::start().await;
    let invocation = process.aws.invocation("an-invocation", process.aws.now_ms() + 3_000);
    let did = backbone::did::AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
    assert!(backbone::stores::TrustStore::agent_revoked(&invocation, &did).await.is_err());
    assert!(process.calls() > 0);
}

/// A refused socket is an answer and no error of the function's: unless it is counted, nobody hears of it.
#[tokio::test]
async fn a_socket_that_cannot_be_kept_is_counted_as_a_failure() {
    let process = Process::start().await;
    let function = ConnectionFunction::from_settings(process.aws.settings()).unwrap();
    let known = json!({ "agentDid": "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2" });
    for (authorizer, status, failed, refused) in [(known, 503, 1, 0), (Value::Null, 401, 0, 1)] {
        let event = json!({
            "requestContext": {
                "routeKey": "$connect", "connectionId": "c=", "requestId": "r", "authorizer": authorizer,
            },
        });
        let event: SocketEvent = serde_json::from_value(event).unwrap();
        let invocation = process.aws.invocation("an-invocation", process.aws.now_ms() + 3_000);
        let tally = Tally::default();
        assert_eq!(function.handle(&invocation, &event, &tally).await.status_code, status);
        let kinds = [Metric::RequestRefused, Metric::DependencyFailed, Metric::AuthRefused];
        assert_eq!(kinds.map(|metric| tally.of(metric)), [1, failed, refused], "{status}");
    }
}
