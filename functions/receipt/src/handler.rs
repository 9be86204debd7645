//! HTTP in, HTTP out; what lies between is [`backbone::acceptance`].

use backbone::acceptance::{Refusal, accept, look_up};
use backbone::auth::{Gatekeeper, ProofHeaders, SignedRequest};
use backbone::error_chain::ErrorChain;
use backbone::error_code::ErrorCode;
use backbone::metrics::{Metric, Tally};
use backbone::receipt::StoredReceipt;
use backbone::stores::{Clock, NonceStore, ReceiptQueue, ReceiptStore, Registry, TrustStore};
use backbone::timestamp::to_iso;
use backbone_aws::auth_policy::auth_policy;
use backbone_aws::settings::{BACKBONE_VERSION, Settings, SettingsError};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::HeaderValue;
use serde_json::{Value, json};

use crate::http_event::HttpEvent;

const RECEIPTS_PATH: &str = "/v1/relay/delivery-receipts";
const HEALTH_PATH: &str = "/health";

/// All that this function needs from outside.
pub trait Outside: TrustStore + NonceStore + Registry + ReceiptQueue + ReceiptStore + Clock + Sync {}

impl<O: TrustStore + NonceStore + Registry + ReceiptQueue + ReceiptStore + Clock + Sync> Outside for O {}

/// What one instance keeps between invocations.
#[derive(Debug)]
pub struct ReceiptFunction {
    /// Who is let in.
    pub gatekeeper: Gatekeeper,
    /// The deployed version, for `/health`.
    pub version: String,
}

/// An answer before it is written.
struct Answer {
    status: u16,
    body: Value,
    retry_after_s: Option<u64>,
}

impl ReceiptFunction {
    /// The function as its environment describes it.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let version = settings.get(BACKBONE_VERSION).unwrap_or("unknown").to_owned();
        Ok(Self { gatekeeper: Gatekeeper::new(auth_policy(settings)?), version })
    }

    /// Answers one request. Refusals are answers too: this never fails.
    ///
    /// `invocation_id` is the UUID of the invocation: the request's id unless the client brought a usable one.
    pub async fn handle<O: Outside>(
        &self,
        outside: &O,
        event: &HttpEvent,
        invocation_id: &str,
        tally: &Tally,
    ) -> ApiGatewayV2httpResponse {
        let request_id = event.header("x-request-id").filter(|id| is_request_id(id)).unwrap_or(invocation_id);
        let answer = match (event.request_context.http.method.as_str(), event.raw_path.as_str()) {
            ("GET", HEALTH_PATH) => self.health(outside.now_ms()),
            (method @ ("GET" | "POST"), RECEIPTS_PATH) => {
                self.receipts(outside, event, method, request_id, tally).await
            }
            _ => error_answer(ErrorCode::NotFound, None, request_id),
        };
        tracing::debug!(correlation.id = request_id, http.status = answer.status, "answered a request");
        answer.into_response(request_id)
    }

    async fn receipts<O: Outside>(
        &self,
        outside: &O,
        event: &HttpEvent,
        method: &str,
        request_id: &str,
        tally: &Tally,
    ) -> Answer {
        let path = event.path_and_query();
        let body = event.body();
        let request = SignedRequest {
            method,
            paths: &[&path],
            authorization: event.header("authorization"),
            proof: ProofHeaders {
                timestamp: event.header("x-claw-timestamp"),
                nonce: event.header("x-claw-nonce"),
                body_hash: event.header("x-claw-body-sha256"),
                proof: event.header("x-claw-proof"),
            },
            access_token: event.header("x-claw-agent-access"),
            body: &body,
        };
        let answer = if method == "POST" {
            accept(&self.gatekeeper, outside, &request, request_id, tally)
                .await
                .map(|()| Answer::new(202, json!({ "accepted": true })))
        } else {
            look_up(&self.gatekeeper, outside, &request, &event.raw_query_string, tally)
                .await
                .map(found_answer)
        };
        answer.unwrap_or_else(|refusal| refuse(&refusal, request_id, tally))
    }

    /// Tells a load balancer, and a person, that this instance runs. It asks nobody, so it costs nothing and cannot be
    /// used to hammer anything.
    fn health(&self, now_ms: u64) -> Answer {
        let ages = self.gatekeeper.registry_ages(now_ms);
        let seconds = |age_ms: Option<u64>| age_ms.map(|age_ms| age_ms / 1_000);
        let body = json!({
            "status": "ok",
            "version": self.version,
            "registry": { "keysAgeSeconds": seconds(ages.keys_ms), "crlAgeSeconds": seconds(ages.crl_ms) },
        });
        Answer::new(200, body)
    }
}

fn refuse(refusal: &Refusal, request_id: &str, tally: &Tally) -> Answer {
    tally.count(Metric::RequestRefused);
    let code = refusal.code();
    tracing::warn!(
        correlation.id = request_id,
        error.code = code.as_str(),
        "refused a request: {}",
        ErrorChain(refusal)
    );
    let mut answer = error_answer(code, refusal.details(), request_id);
    answer.retry_after_s = refusal.retry_after_s();
    answer
}

fn error_answer(code: ErrorCode, details: Option<Value>, request_id: &str) -> Answer {
    let mut error = json!({ "code": code.as_str(), "message": code.message(), "requestId": request_id });
    if let Some(details) = details {
        error["details"] = details;
    }
    Answer::new(code.http_status(), json!({ "error": error }))
}

/// A look-up's answer. "Not found" is an answer and not an error: it has no envelope (contract 1.3).
fn found_answer(found: Option<StoredReceipt>) -> Answer {
    let Some(stored) = found else { return Answer::new(404, json!({ "found": false })) };
    let receipt = stored.receipt;
    let mut body = json!({
        "requestId": receipt.request_id,
        "deliveryId": receipt.frame_id(),
        "senderAgentDid": receipt.sender,
        "recipientAgentDid": receipt.recipient,
        "state": receipt.status.as_str(),
        "statusUpdatedAt": to_iso(receipt.processed_at_ms),
        "expiresAtMs": stored.expires_at_s.saturating_mul(1_000),
    });
    if let Some(reason) = receipt.reason {
        body["reason"] = reason.into();
    }
    Answer::new(200, json!({ "found": true, "receipt": body }))
}

/// Whether a client's own request id is taken over (contract 1.4).
fn is_request_id(text: &str) -> bool {
    (8..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

impl Answer {
    const fn new(status: u16, body: Value) -> Self {
        Self { status, body, retry_after_s: None }
    }

    fn into_response(self, request_id: &str) -> ApiGatewayV2httpResponse {
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = self.status.into();
        response.headers.insert("content-type", HeaderValue::from_static("application/json"));
        response.headers.insert("cache-control", HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            response.headers.insert("x-request-id", id);
        }
        if let Some(retry_after_s) = self.retry_after_s {
            response.headers.insert("retry-after", HeaderValue::from(retry_after_s));
        }
        // Much cheaper than through `Display`.
        let body = serde_json::to_string(&self.body).expect("what `json!` makes can be written");
        response.body = Some(body.into());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_request_id_is_taken_over_if_it_is_harmless() {
        assert!(is_request_id("abc.DEF_1:2-3"));
        for id in ["short", "has space in it", "line\nbreak--", &"x".repeat(129)] {
            assert!(!is_request_id(id), "{id}");
        }
    }

    #[test]
    fn the_envelope_is_the_contracts() {
        let answer = error_answer(ErrorCode::AuthTimestampSkew, Some(json!({"maxSkewSeconds": 300})), "id");
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body["error"]["code"], "PROXY_AUTH_TIMESTAMP_SKEW");
        assert_eq!(answer.body["error"]["details"], json!({"maxSkewSeconds": 300}));
        let plain = error_answer(ErrorCode::AuthReplay, None, "id");
        assert!(plain.body["error"].get("details").is_none());
    }
}
