//! API Gateway's WebSocket events, as far as this function reads them.

use backbone::connection::ConnectionRef;
use backbone::did::AgentDid;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// One event of one socket. Every field may be missing: no event may make this function fail.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SocketEvent {
    request_context: RequestContext,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RequestContext {
    route_key: String,
    connection_id: String,
    /// Milliseconds since the Unix epoch. MiniStack gives the time of the event, so it is used in `$connect` only.
    connected_at: u64,
    request_id: String,
    authorizer: Option<AuthorizerContext>,
}

/// What the authorizer has found out; API Gateway adds it to every event of the socket.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthorizerContext {
    agent_did: String,
    correlation_id: Option<String>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A socket opens.
    Connect,
    /// A socket has closed.
    Disconnect,
    /// A frame of type `heartbeat`, which is answered.
    Heartbeat,
    /// A frame of type `enqueue`, which is answered.
    Enqueue,
    /// Any other message.
    Default,
}

impl SocketEvent {
    /// The route that the event came in by.
    #[must_use]
    pub fn route(&self) -> Route {
        match self.request_context.route_key.as_str() {
            "$connect" => Route::Connect,
            "$disconnect" => Route::Disconnect,
            "heartbeat" => Route::Heartbeat,
            "enqueue" => Route::Enqueue,
            _ => Route::Default,
        }
    }

    /// The socket and whose it is; `None` without the authorizer's word.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionRef> {
        let context = &self.request_context;
        let agent = AgentDid::parse(&context.authorizer.as_ref()?.agent_did)?;
        (!context.connection_id.is_empty()).then(|| ConnectionRef {
            agent,
            connection_id: context.connection_id.clone(),
            connected_at_ms: context.connected_at,
        })
    }

    /// API Gateway's id of this event, different from that of every other.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.request_context.request_id
    }

    /// The id that follows the socket through the logs, from its handshake on.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        let authorizer = self.request_context.authorizer.as_ref();
        authorizer.and_then(|context| context.correlation_id.as_deref()).unwrap_or(self.id())
    }

    /// The message as text. Bytes that are no text read as an empty message, which is no frame.
    #[must_use]
    pub fn text(&self) -> String {
        let body = self.body.as_deref().unwrap_or_default();
        if !self.is_base64_encoded {
            return body.to_owned();
        }
        STANDARD.decode(body).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> SocketEvent {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn without_the_authorizers_word_there_is_no_connection() {
        assert_eq!(event("{}").connection(), None);
        assert_eq!(event(r#"{"requestContext":{"connectionId":"c","authorizer":null}}"#).connection(), None);
        let known = event(
            r#"{"requestContext":{"connectionId":"c=","connectedAt":7,"routeKey":"$connect",
                "authorizer":{"agentDid":"did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2","principalId":"x"}}}"#,
        );
        assert_eq!(known.connection().unwrap().connected_at_ms, 7);
        assert_eq!(known.route(), Route::Connect);
    }

    #[test]
    fn messages_are_text_or_nothing() {
        assert_eq!(event(r#"{"body":"x"}"#).text(), "x");
        assert_eq!(event(r#"{"body":"eA==","isBase64Encoded":true}"#).text(), "x");
        assert_eq!(event(r#"{"body":"/w==","isBase64Encoded":true}"#).text(), "");
        assert_eq!(event(r#"{"body":null}"#).text(), "");
    }
}
