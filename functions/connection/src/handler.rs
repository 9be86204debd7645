//! WebSocket events in, route answers out; what lies between is [`backbone::session`].
//!
//! No route but `$connect` may ever answer with an error or with text that is not a frame: either would end a
//! connector's session.

use backbone::connection::ConnectionRef;
use backbone::error_chain::ErrorChain;
use backbone::metrics::Tally;
use backbone::session::{answer_enqueue, answer_heartbeat, connect, disconnect, take_frame};
use backbone::stores::{Clock, ConnectionStore, DeliveryStore, Gateway, ReceiptQueue, TrustStore};
use backbone_aws::settings::{CONNECTION_LEASE_SECONDS, Settings, SettingsError};
use serde::Serialize;
use tracing::Instrument;

use crate::socket_event::{Route, SocketEvent};

/// All that this function needs from outside.
pub trait Outside:
    ConnectionStore + TrustStore + DeliveryStore + ReceiptQueue + Gateway + Clock + Sync
{
}

impl<O: ConnectionStore + TrustStore + DeliveryStore + ReceiptQueue + Gateway + Clock + Sync> Outside for O {}

/// The answer of a route. A body is sent to the client on the routes that have a route response.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteAnswer {
    /// The handshake's status; of no consequence on the other routes.
    pub status_code: u16,
    /// One frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// What one instance keeps between invocations.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFunction {
    /// How long a socket can live at most, in milliseconds.
    pub lease_ms: u64,
}

impl ConnectionFunction {
    /// The function as its environment describes it.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self { lease_ms: settings.number(CONNECTION_LEASE_SECONDS)?.saturating_mul(1_000) })
    }

    /// Handles one event.
    pub async fn handle<O: Outside>(&self, outside: &O, event: &SocketEvent, tally: &Tally) -> RouteAnswer {
        // An error's span, so that no level of logging leaves the id out.
        let span = tracing::error_span!("socket", correlation.id = event.correlation_id());
        self.answer(outside, event, tally).instrument(span).await
    }

    async fn answer<O: Outside>(&self, outside: &O, event: &SocketEvent, tally: &Tally) -> RouteAnswer {
        let now_ms = outside.now_ms();
        let answer = match (event.route(), event.connection()) {
            (Route::Heartbeat, _) => RouteAnswer::frame(answer_heartbeat(&event.text(), event.id(), now_ms)),
            (Route::Enqueue, _) => RouteAnswer::frame(answer_enqueue(&event.text(), event.id(), now_ms)),
            (Route::Connect, Some(newcomer)) => {
                self.connect(outside, &newcomer, event.correlation_id(), tally).await
            }
            (Route::Connect, None) => {
                tally.refuse_with(401);
                tracing::warn!("refused a socket: its event does not say what the authorizer has found out");
                RouteAnswer::status(401)
            }
            (Route::Disconnect, Some(connection)) => {
                if let Err(error) = disconnect(outside, &connection).await {
                    tracing::warn!("a closed socket was not forgotten: {}", ErrorChain(&error));
                }
                RouteAnswer::status(200)
            }
            (Route::Default, Some(connection)) => {
                let taken =
                    take_frame(outside, &connection, &event.text(), event.correlation_id(), tally).await;
                if let Err(error) = taken {
                    tracing::warn!("an acknowledgement was not kept: {}", ErrorChain(&error));
                }
                RouteAnswer::status(200)
            }
            (Route::Disconnect | Route::Default, None) => RouteAnswer::status(200),
        };
        tracing::debug!(route = ?event.route(), "handled a socket event");
        answer
    }

    async fn connect<O: Outside>(
        &self,
        outside: &O,
        newcomer: &ConnectionRef,
        correlation_id: &str,
        tally: &Tally,
    ) -> RouteAnswer {
        match connect(outside, newcomer, self.lease_ms, correlation_id, tally).await {
            Ok(()) => RouteAnswer::status(200),
            Err(refusal) => {
                tally.refuse_with(refusal.http_status());
                tracing::warn!(agent.did = %newcomer.agent, "refused a socket: {}", ErrorChain(&refusal));
                RouteAnswer::status(refusal.http_status())
            }
        }
    }
}

impl RouteAnswer {
    const fn status(status_code: u16) -> Self {
        Self { status_code, body: None }
    }

    const fn frame(text: String) -> Self {
        Self { status_code: 200, body: Some(text) }
    }
}
