//! What API Gateway does not let through, and the emulator does.

use clap::Args;
use serde::Deserialize;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The limits of one door. Those of API Gateway unless told otherwise; 0 lifts a limit.
///
/// The figures are AWS's quotas for WebSocket APIs.
#[derive(Clone, Debug, Args, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Largest frame a client may send, in bytes; a larger one closes the socket with 1009
    #[arg(long, default_value_t = 32 * 1024)]
    pub frame_bytes: usize,
    /// Largest message either way, in bytes; a larger one closes the socket with 1009
    #[arg(long, default_value_t = 128 * 1024)]
    pub message_bytes: usize,
    /// Milliseconds without a message either way after which a socket is closed with 1001
    #[arg(long, default_value_t = 10 * 60 * 1_000)]
    pub idle_ms: u64,
    /// Milliseconds after which a socket is closed with 1001, whatever happens on it
    #[arg(long, default_value_t = 2 * 60 * 60 * 1_000)]
    pub life_ms: u64,
    /// Do not tell the API when a client has gone or was cut: its `$disconnect` is lost
    #[arg(long)]
    pub loses_disconnects: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 32 * 1024,
            message_bytes: 128 * 1024,
            idle_ms: 10 * 60 * 1_000,
            life_ms: 2 * 60 * 60 * 1_000,
            loses_disconnects: false,
        }
    }
}

impl Limits {
    /// The largest message, if there is one.
    pub(super) fn message_bytes_max(&self) -> usize {
        limit(self.message_bytes).unwrap_or(usize::MAX)
    }

    /// How the client's side of a socket is read.
    pub(super) fn of_client(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .max_frame_size(limit(self.frame_bytes))
            .max_message_size(limit(self.message_bytes))
    }
}

fn limit(bytes: usize) -> Option<usize> {
    (bytes > 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        limits: Limits,
    }

    #[test]
    fn the_limits_are_the_same_however_they_are_given() {
        let by_command_line = Arguments::parse_from(["front-door"]).limits;
        let by_request: Limits = serde_json::from_str("{}").unwrap();
        assert_eq!(format!("{by_command_line:?}"), format!("{by_request:?}"));
        assert_eq!((by_request.frame_bytes, by_request.message_bytes), (32_768, 131_072));
        assert_eq!((by_request.idle_ms, by_request.life_ms), (600_000, 7_200_000));
        assert!(!by_request.loses_disconnects);
        assert!(serde_json::from_str::<Limits>(r#"{"lifeSeconds":1}"#).is_err(), "a misspelt limit is none");
    }
}
