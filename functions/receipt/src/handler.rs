//! HTTP in, HTTP out; what lies between is [`backbone::acceptance`].

use backbone::acceptance::{AcceptanceOutside, Refusal, accept, look_up};
use backbone::auth::{AuthRefusal, Gatekeeper, SignedRequest};
use backbone::error_chain::ErrorChain;
use backbone::error_code::ErrorCode;
use backbone::front_door::{FrontDoor, ORIGIN_HEADER};
use backbone::home::KnownHomes;
use backbone::id::Id;
use backbone::intake::request_id_in;
use backbone::limits::BODY_BYTES_MAX;
use backbone::metrics::Tally;
use backbone::receipt::StoredReceipt;
use backbone::stores::ReceiptStore;
use backbone::timestamp::to_iso;
use backbone_aws::auth_policy::auth_policy;
use backbone_aws::front_door::front_door;
use backbone_aws::http_api::{Answer, HttpEvent, HttpResponse, request_span};
use backbone_aws::peers::known_homes;
use backbone_aws::settings::{BACKBONE_VERSION, Settings, SettingsError};
use serde_json::json;
use tracing::Instrument;

const RECEIPTS_PATH: &str = "/v1/relay/delivery-receipts";
const HEALTH_PATH: &str = "/health";

/// All that this function needs from outside.
pub trait Outside: AcceptanceOutside + ReceiptStore {}

impl<O: AcceptanceOutside + ReceiptStore> Outside for O {}

/// What one instance keeps between invocations.
#[derive(Debug)]
pub struct ReceiptFunction {
    /// Who is let in.
    pub gatekeeper: Gatekeeper,
    /// Which senders' receipts go where.
    pub homes: KnownHomes,
    /// The deployed version, for `/health`.
    pub version: String,
    /// Which way requests may come.
    pub front_door: FrontDoor,
}

impl ReceiptFunction {
    /// The function as its environment describes it.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let version = settings.get(BACKBONE_VERSION).unwrap_or("unknown").to_owned();
        Ok(Self {
            gatekeeper: Gatekeeper::new(auth_policy(settings)?),
            homes: known_homes(settings)?,
            version,
            front_door: front_door(settings)?,
        })
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
    ) -> HttpResponse {
        let request_id = event.request_id(invocation_id);
        let answered =
            async { self.answer(outside, event, request_id, tally).await.into_response(request_id) };
        answered.instrument(request_span(request_id)).await
    }

    async fn answer<O: Outside>(
        &self,
        outside: &O,
        event: &HttpEvent,
        request_id: &str,
        tally: &Tally,
    ) -> Answer {
        match (event.request_context.http.method.as_str(), event.raw_path.as_str()) {
            // Also for those who look behind the front door: it tells nothing that is not for everybody.
            ("GET", HEALTH_PATH) => self.health(outside.now_ms()),
            _ if !self.front_door.admits(event.header(ORIGIN_HEADER)) => {
                refuse(&Refusal::Auth(AuthRefusal::Direct), request_id, &[], tally)
            }
            (method @ ("GET" | "POST"), RECEIPTS_PATH) => {
                self.receipts(outside, event, method, request_id, tally).await
            }
            _ => Answer::error(ErrorCode::NotFound, None, request_id),
        }
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
        let paths = [path.as_str()];
        let request = SignedRequest::read(method, &paths, &body, |name| event.header(name));
        let answer = if method == "POST" {
            accept(&self.gatekeeper, &self.homes, outside, &request, request_id, tally)
                .await
                .map(|()| Answer::new(202, json!({ "accepted": true })))
        } else {
            look_up(&self.gatekeeper, outside, &request, &event.raw_query_string, tally)
                .await
                .map(found_answer)
        };
        answer.unwrap_or_else(|refusal| refuse(&refusal, request_id, &body, tally))
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

fn refuse(refusal: &Refusal, request_id: &str, body: &[u8], tally: &Tally) -> Answer {
    let code = refusal.code();
    tally.refuse(code);
    let receipt_id = receipt_named_in(body);
    tracing::warn!(
        error.code = code.as_str(),
        receipt.id = receipt_id.map(tracing::field::display),
        "refused a request: {}",
        ErrorChain(refusal)
    );
    let mut answer = Answer::error(code, refusal.details(), request_id);
    answer.retry_after_s = refusal.retry_after_s();
    answer
}

/// The receipt that a refused body is about, for whoever looks for it in the log. Nothing of a body that is too large is
/// looked at.
fn receipt_named_in(body: &[u8]) -> Option<Id> {
    let is_small = body.len() <= BODY_BYTES_MAX;
    is_small.then(|| request_id_in(body))?
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
