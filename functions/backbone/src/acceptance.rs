//! Taking receipts in and answering look-ups: what `receipt` does, without HTTP around it (contract 1.2 and 1.3).

use serde_json::{Value, json};
use tracing::Instrument;

use crate::auth::{AitError, AuthOutside, AuthRefusal, Gatekeeper, ProofError, Purpose, SignedRequest};
use crate::delivery::settle::bury;
use crate::error_code::ErrorCode;
use crate::home::{Home, KnownHomes, ProxyOrigin};
use crate::intake::{IntakeError, PostedReceipt, parse_look_up};
use crate::limits::{BODY_BYTES_MAX, PROOF_SKEW_S_MAX};
use crate::metrics::{Metric, Tally};
use crate::queue_message::{MESSAGE_VERSION, QueueMessage};
use crate::reason_code::ReasonCode;
use crate::receipt::{Receipt, ReceiptKey, StoredReceipt};
use crate::stores::{
    Clock, DeadLetter, DeadLetters, PeerQueues, ReceiptQueue, ReceiptStore, SourceQueue, StoreError,
};
use crate::trail;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The body is larger than anything we take; nothing of it was looked at.
    #[error("body has {bytes} bytes")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// The caller was not let in.
    #[error(transparent)]
    Auth(#[from] AuthRefusal),
    /// The body is not a receipt.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The caller is not the recipient whom the receipt names.
    #[error("caller is not the recipient")]
    NotTheRecipient,
    /// The two agents are not paired on this proxy.
    #[error("agents are not paired")]
    NotPaired,
    /// The receipt is on no queue, as far as we know.
    #[error("receipt was not queued")]
    Queue(#[source] StoreError),
    /// A query parameter is missing.
    #[error("query parameter {0} is missing")]
    Query(&'static str),
    /// The receipt could not be read.
    #[error("receipt could not be read")]
    Read(#[source] StoreError),
}

impl Refusal {
    /// What the caller is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::ReceiptTooLarge,
            Self::Auth(refusal) => refusal.code(),
            Self::Intake(_) => ErrorCode::ReceiptInvalidInput,
            Self::NotTheRecipient => ErrorCode::ReceiptForbidden,
            Self::NotPaired => ErrorCode::AuthForbidden,
            Self::Queue(_) => ErrorCode::ReceiptQueueFailed,
            Self::Query(_) => ErrorCode::ReceiptInvalidQuery,
            Self::Read(_) => ErrorCode::ReceiptReadFailed,
        }
    }

    /// What else the caller may know; never anything of the inside (contract 1.4).
    #[must_use]
    pub fn details(&self) -> Option<Value> {
        match self {
            Self::Auth(AuthRefusal::Proof(ProofError::Skew { .. })) => {
                Some(json!({ "maxSkewSeconds": PROOF_SKEW_S_MAX }))
            }
            Self::Auth(AuthRefusal::Unknown(agent)) => Some(json!({ "agentDid": agent })),
            Self::Auth(AuthRefusal::RateLimited { retry_after_s, .. }) => {
                Some(json!({ "retryAfterSeconds": retry_after_s }))
            }
            Self::Intake(error) => error.field().map(|field| json!({ "field": field })),
            Self::Query(parameter) => Some(json!({ "parameter": parameter })),
            Self::TooLarge { .. } => Some(json!({ "maxBytes": BODY_BYTES_MAX })),
            Self::Auth(_) | Self::NotTheRecipient | Self::NotPaired | Self::Queue(_) | Self::Read(_) => None,
        }
    }

    /// When repeating may help, in seconds, where we know it.
    #[must_use]
    pub const fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Auth(AuthRefusal::RateLimited { retry_after_s, .. }) => Some(*retry_after_s),
            Self::Auth(_)
            | Self::TooLarge { .. }
            | Self::Intake(_)
            | Self::NotTheRecipient
            | Self::NotPaired
            | Self::Queue(_)
            | Self::Query(_)
            | Self::Read(_) => None,
        }
    }
}

impl From<AitError> for Refusal {
    fn from(error: AitError) -> Self {
        Self::Auth(error.into())
    }
}

/// All that taking a receipt in needs from outside.
pub trait AcceptanceOutside: AuthOutside + ReceiptQueue + PeerQueues + DeadLetters {}

impl<O: AuthOutside + ReceiptQueue + PeerQueues + DeadLetters> AcceptanceOutside for O {}

/// Takes one receipt in: to the receipts queue, to the peer at which its sender is at home, or, if nobody here knows
/// that home, to the dead-letter queue. `Ok` means that it is durable there.
///
/// # Errors
///
/// The first [`Refusal`] in the contract's order. The body is parsed within the chain, so that its pair is read together
/// with everything else that the chain asks; what is wrong with it is told only to an authenticated caller.
pub async fn accept<O: AcceptanceOutside>(
    gatekeeper: &Gatekeeper,
    homes: &KnownHomes,
    outside: &O,
    request: &SignedRequest<'_>,
    correlation_id: &str,
    tally: &Tally,
) -> Result<(), Refusal> {
    if request.body.len() > BODY_BYTES_MAX {
        return Err(Refusal::TooLarge { bytes: request.body.len() });
    }
    let proven = gatekeeper.prove(outside, request, tally).await?;
    let posted = PostedReceipt::parse(request.body);
    let purpose = Purpose::Receipt { peer: posted.as_ref().ok().map(PostedReceipt::sender) };
    let caller = gatekeeper.admit(outside, proven, purpose, tally).await?;
    let posted = posted?;
    if posted.recipient() != caller.agent() {
        return Err(Refusal::NotTheRecipient);
    }
    if !caller.is_paired() {
        return Err(Refusal::NotPaired);
    }
    // Both agents agreed to the pair and what it says of their homes; of the body only one of them knows.
    let home = caller.home_of(posted.sender()).or(posted.sender_home()).cloned();
    let receipt = posted.accepted_at(outside.now_ms());
    let receipt_id = receipt.request_id;
    let home = homes.locate(home.as_ref());
    let step = match &home {
        Home::Here => trail::QUEUED,
        Home::Peer(_) => trail::FORWARDED,
        Home::Unknown(_) => trail::KEPT_DEAD,
    };
    let sent = match home {
        Home::Here => outside.send(&QueueMessage::DeliveryReceipt(receipt), correlation_id, 0).await,
        Home::Peer(peer) => {
            let forwarded = outside.forward(peer, &receipt, correlation_id).await;
            forwarded.inspect(|()| tally.count(Metric::ReceiptForwarded))
        }
        Home::Unknown(origin) => bury_homeless(outside, homes, receipt, origin, correlation_id, tally).await,
    };
    sent.map_err(Refusal::Queue)?;
    tally.count(Metric::ReceiptAccepted);
    tracing::debug!(step, receipt.id = %receipt_id, "accepted a receipt");
    Ok(())
}

/// Keeps a receipt that this stack cannot send on. A connector would repeat a refused one for ever; here it waits for
/// an operator, with all that the peer would want to know once there is one.
async fn bury_homeless<O: DeadLetters + Clock>(
    outside: &O,
    homes: &KnownHomes,
    receipt: Receipt,
    origin: &ProxyOrigin,
    correlation_id: &str,
    tally: &Tally,
) -> Result<(), StoreError> {
    let letter = DeadLetter {
        queue: SourceQueue::Receipts,
        body: QueueMessage::DeliveryReceipt(receipt).to_body(),
        version: Some(MESSAGE_VERSION.to_owned()),
        origin_proxy: homes.own().map(ToString::to_string),
        reason_code: ReasonCode::UnknownOrigin,
        reason: format!("the sender is at home at {origin}, which is no peer of this stack"),
        receive_count: 0,
        // It has never been on a queue.
        original_message_id: correlation_id.to_owned(),
        first_seen_ms: outside.now_ms(),
        correlation_id: correlation_id.to_owned(),
    };
    let span = tracing::error_span!("homeless_receipt", proxy.origin = origin.as_str());
    bury(outside, &letter, tally).instrument(span).await?;
    tally.count(Metric::UnknownOrigin);
    Ok(())
}

/// Looks one receipt up for the sender of its message. `None` if there is none, or its retention is over.
///
/// # Errors
///
/// The first [`Refusal`] in the contract's order.
pub async fn look_up<O: AuthOutside + ReceiptStore>(
    gatekeeper: &Gatekeeper,
    outside: &O,
    request: &SignedRequest<'_>,
    raw_query: &str,
    tally: &Tally,
) -> Result<Option<StoredReceipt>, Refusal> {
    let asked = parse_look_up(raw_query);
    let purpose = Purpose::Receipt { peer: asked.as_ref().ok().and_then(|asked| asked.recipient.as_ref()) };
    let caller = gatekeeper.authenticate(outside, request, purpose, tally).await?;
    let asked = asked.map_err(Refusal::Query)?;
    if !caller.is_paired() {
        return Err(Refusal::NotPaired);
    }
    let Some(request_id) = asked.request_id else { return Ok(None) };
    let key = ReceiptKey { sender: caller.agent().clone(), request_id };
    let found = outside.find(&key).await.map_err(Refusal::Read)?;
    Ok(found.filter(|stored| !stored.is_expired(outside.now_ms() / 1_000)))
}
