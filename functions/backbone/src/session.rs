//! One socket from `$connect` to `$disconnect`: what `connection` does (design 5).

use crate::connection::{Admission, ConnectionRef, admit};
use crate::error_chain::ErrorChain;
use crate::frame::{ClientFrame, ServerFrame};
use crate::id::Id;
use crate::intake::trimmed_reason;
use crate::limits::{CONNECTED_DELAY_S, CONNECTION_OPENING_RETRY_S};
use crate::metrics::{Metric, Tally};
use crate::queue_message::{DeliveryRefusal, QueueMessage};
use crate::stores::{
    Claimed, Clock, Closed, ConnectionStore, DeliveryStore, Gateway, ReceiptQueue, StoreError, TrustStore,
};
use crate::system_delivery::DeliveryKey;

/// How often a newcomer tries to become the agent's connection while others try the same.
const CLAIM_ATTEMPTS_MAX: usize = 5;

/// What the sender of an `enqueue` frame is told while this stack does not relay messages.
const NO_RELAY_REASON: &str =
    "this proxy carries delivery receipts and does not relay messages; the message was not taken";

/// Why a socket was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConnectRefusal {
    /// The agent was revoked while it connected.
    #[error("agent is revoked")]
    Revoked,
    /// Two connectors of the agent keep evicting each other.
    #[error("two connectors of one agent evict each other; newcomers are refused for {left_ms} ms more")]
    Braked {
        /// How much longer, in milliseconds.
        left_ms: u64,
    },
    /// A newer socket of the agent was accepted meanwhile.
    #[error("a newer socket of this agent has been accepted")]
    Outrun,
    /// A store did not answer, so nothing could be promised.
    #[error("the connection could not be kept")]
    Store(#[from] StoreError),
}

impl ConnectRefusal {
    /// The status of the refused handshake.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Revoked => 401,
            Self::Braked { .. } => 429,
            Self::Outrun => 409,
            Self::Store(_) => 503,
        }
    }
}

/// Accepts a socket: its row first, then whatever could speak against it, then the message that drains the mailbox,
/// then the end of the socket it displaces.
///
/// # Errors
///
/// A [`ConnectRefusal`]; the row does not name the newcomer then, unless the store did not answer when it was claimed or
/// cleared, in which case the next 410 clears it; if that write lands only after it was looked for, the displaced socket
/// stays open until its time is over.
pub async fn connect<O>(
    outside: &O,
    newcomer: &ConnectionRef,
    lease_ms: u64,
    correlation_id: &str,
    tally: &Tally,
) -> Result<(), ConnectRefusal>
where
    O: ConnectionStore + TrustStore + ReceiptQueue + Gateway + Clock,
{
    let displaced = claim(outside, newcomer, lease_ms, tally).await?;
    let confirmed = confirm(outside, newcomer, correlation_id, tally).await;
    // Whether or not the newcomer stays, the row does not name the displaced socket any more: nobody would push to it,
    // or cut it when its agent is revoked.
    if let Some(displaced) = displaced {
        tally.count(Metric::Superseded);
        close_displaced(outside, displaced, correlation_id, tally).await;
    }
    if let Err(refusal) = confirmed {
        outside.clear_connection(&newcomer.agent, &newcomer.connection_id).await?;
        return Err(refusal);
    }
    tally.count(Metric::Connected);
    Ok(())
}

/// Makes the newcomer the agent's connection and returns the one it displaces.
async fn claim<O: ConnectionStore>(
    outside: &O,
    newcomer: &ConnectionRef,
    lease_ms: u64,
    tally: &Tally,
) -> Result<Option<ConnectionRef>, ConnectRefusal> {
    for _ in 0..CLAIM_ATTEMPTS_MAX {
        let row = outside.connection(&newcomer.agent).await?;
        let (history, displaced) = match admit(newcomer, &row) {
            Admission::Admit { history, displaced } => (history, displaced),
            Admission::Outrun => return Err(ConnectRefusal::Outrun),
            Admission::Brake { left_ms } => {
                tally.count(Metric::ConnectBraked);
                return Err(ConnectRefusal::Braked { left_ms });
            }
        };
        let lease_expires_at_ms = newcomer.connected_at_ms.saturating_add(lease_ms);
        match outside.claim_connection(newcomer, lease_expires_at_ms, &history, &row).await {
            Ok(Claimed::Claimed) => return Ok(displaced),
            Ok(Claimed::Changed) => {}
            // It may have been written all the same, and then nobody else would close the displaced socket.
            Err(error) => {
                tracing::warn!("a socket's row was not known to be written: {}", ErrorChain(&error));
                let live = outside.connection(&newcomer.agent).await?.live;
                let is_ours = live.is_some_and(|live| live.connection_id == newcomer.connection_id);
                return if is_ours { Ok(displaced) } else { Err(error.into()) };
            }
        }
    }
    Err(ConnectRefusal::Outrun)
}

/// Looks, after the row is written, whether the agent has been revoked: a revocation writes its row first and reads
/// the connection after, so that whichever comes second sees the other. Then announces the connection.
async fn confirm<O: TrustStore + ReceiptQueue>(
    outside: &O,
    newcomer: &ConnectionRef,
    correlation_id: &str,
    tally: &Tally,
) -> Result<(), ConnectRefusal> {
    if outside.agent_revoked(&newcomer.agent).await? {
        tally.count(Metric::ConnectRevoked);
        return Err(ConnectRefusal::Revoked);
    }
    let connected = QueueMessage::Connected(newcomer.clone());
    Ok(outside.send(&connected, correlation_id, CONNECTED_DELAY_S).await?)
}

/// Closes the displaced socket, now or through the queue. Nothing is pushed to it any more in either case.
async fn close_displaced<O: Gateway + ReceiptQueue + Clock>(
    outside: &O,
    displaced: ConnectionRef,
    correlation_id: &str,
    tally: &Tally,
) {
    let opening = displaced.may_be_opening(outside.now_ms());
    match outside.close(&displaced.connection_id).await {
        Ok(Closed::Closed) => return,
        Ok(Closed::Gone) if !opening => return,
        Ok(Closed::Gone) => {}
        Err(error) => tracing::warn!("a displaced socket was not closed: {}", ErrorChain(&error)),
    }
    tally.count(Metric::CloseRetried);
    let close = QueueMessage::Close(displaced);
    if let Err(error) = outside.send(&close, correlation_id, CONNECTION_OPENING_RETRY_S).await {
        tracing::error!("a displaced socket stays open until its lease is over: {}", ErrorChain(&error));
    }
}

/// Forgets a socket that has closed, unless a newer one has taken its place.
///
/// # Errors
///
/// [`StoreError`]; the lease and the next 410 clean up then.
pub async fn disconnect<O: ConnectionStore>(
    outside: &O,
    connection: &ConnectionRef,
) -> Result<(), StoreError> {
    outside.clear_connection(&connection.agent, &connection.connection_id).await
}

/// The answer to what came in on the `heartbeat` route. `event_id` makes the answer's own id; it must differ from
/// event to event.
#[must_use]
pub fn answer_heartbeat(text: &str, event_id: &str, now_ms: u64) -> String {
    let answer = match ClientFrame::parse(text) {
        Some(ClientFrame::Heartbeat { id }) => ServerFrame::HeartbeatAck { ack_id: id },
        Some(ClientFrame::Enqueue { .. } | ClientFrame::DeliverAck { .. } | ClientFrame::Other) | None => {
            ServerFrame::Heartbeat {}
        }
    };
    answer.to_text(Id::derive(now_ms, &[event_id]), now_ms)
}

/// The answer to what came in on the `enqueue` route. See [`answer_heartbeat`].
///
/// Silence would lose the message: told no, the connector gives it up and says so.
#[must_use]
pub fn answer_enqueue(text: &str, event_id: &str, now_ms: u64) -> String {
    let answer = match ClientFrame::parse(text) {
        Some(ClientFrame::Enqueue { id }) => {
            ServerFrame::EnqueueAck { ack_id: id, accepted: false, reason: Some(NO_RELAY_REASON.to_owned()) }
        }
        Some(ClientFrame::Heartbeat { .. } | ClientFrame::DeliverAck { .. } | ClientFrame::Other) | None => {
            ServerFrame::Heartbeat {}
        }
    };
    answer.to_text(Id::derive(now_ms, &[event_id]), now_ms)
}

/// Takes any other frame: a delivery that is acknowledged is forgotten, one that is refused is given up, everything else
/// is ignored.
///
/// # Errors
///
/// [`StoreError`] if the answer could not be kept; the delivery will be sent again.
pub async fn take_frame<O: DeliveryStore + ReceiptQueue>(
    outside: &O,
    connection: &ConnectionRef,
    text: &str,
    correlation_id: &str,
    tally: &Tally,
) -> Result<(), StoreError> {
    match ClientFrame::parse(text) {
        Some(ClientFrame::DeliverAck { ack_id, accepted: true, .. }) => {
            outside.acknowledge(&connection.agent, ack_id).await?;
            tally.count(Metric::DeliveryAcknowledged);
            Ok(())
        }
        Some(ClientFrame::DeliverAck { ack_id, accepted: false, reason }) => {
            let key = DeliveryKey { recipient: connection.agent.clone(), delivery_id: ack_id };
            let reason = reason.as_deref().and_then(trimmed_reason);
            let refusal = QueueMessage::DeliveryRefused(DeliveryRefusal { key, reason });
            outside.send(&refusal, correlation_id, 0).await
        }
        Some(ClientFrame::Heartbeat { .. } | ClientFrame::Enqueue { .. } | ClientFrame::Other) | None => {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const ENQUEUE: &str =
        r#"{"v":1,"type":"enqueue","id":"01KN33X5G0QQ3V325QXH1AJQGY","ts":"x","payload":1}"#;
    const HEARTBEAT: &str = r#"{"v":1,"type":"heartbeat","id":"01KN33X5G00NAWHJD24V8N73HX","ts":"x"}"#;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_heartbeat_is_acknowledged_by_its_id() {
        let answer = json(&answer_heartbeat(HEARTBEAT, "e1", 5));
        assert_eq!(answer["type"], "heartbeat_ack");
        assert_eq!(answer["ackId"], "01KN33X5G00NAWHJD24V8N73HX");
        assert_ne!(answer["id"], json(&answer_heartbeat(HEARTBEAT, "e2", 5))["id"]);
    }

    #[test]
    fn a_message_is_refused_with_a_reason() {
        let answer = json(&answer_enqueue(ENQUEUE, "e1", 5));
        assert_eq!((&answer["type"], &answer["accepted"]), (&json("\"enqueue_ack\""), &json("false")));
        assert!(!answer["reason"].as_str().unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_answered_gets_a_heartbeat() {
        for text in ["", "{}", r#"{"v":1,"type":"heartbeat","id":"x"}"#] {
            assert_eq!(json(&answer_heartbeat(text, "e", 5))["type"], "heartbeat");
            assert_eq!(json(&answer_enqueue(text, "e", 5))["type"], "heartbeat");
        }
    }
}
