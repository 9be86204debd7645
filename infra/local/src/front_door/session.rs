//! One WebSocket through the door, held to API Gateway's limits.
//!
//! Messages pass as they came: text, binary, and a close with its code. Pings are answered on either side, as API
//! Gateway does itself. When a limit ends a socket, what the API has already taken for the client is handed over
//! before the close frame.

use std::future;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};

use super::limits::Limits;
use super::sockets::{self, Fate};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How long either side may take to agree to a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Why a socket ends.
enum End {
    /// The client said so, or is gone without a word.
    Client(Option<CloseFrame>),
    /// The API said so, or is gone without a word.
    Api(Option<CloseFrame>),
    /// A limit is reached.
    Limit(CloseFrame),
}

struct Session {
    client: Socket,
    api: Socket,
    limits: Limits,
    /// This socket, as those who push to it see it.
    this: sockets::Socket,
}

/// Serves a socket whose two sides are open, to its end.
pub(super) async fn serve(client: Upgraded, api: Upgraded, limits: Limits, this: sockets::Socket) {
    let client = TokioIo::new(client);
    let client = WebSocketStream::from_raw_socket(client, Role::Server, Some(limits.of_client())).await;
    let api = WebSocketStream::from_raw_socket(TokioIo::new(api), Role::Client, None).await;
    let mut session = Session { client, api, limits, this };
    let end = session.pass_messages().await;
    session.this.has_ended();
    session.finish(end).await;
}

impl Session {
    async fn pass_messages(&mut self) -> End {
        let end_of_life = after(self.limits.life_ms);
        let mut end_of_patience = after(self.limits.idle_ms);
        loop {
            let passed = tokio::select! {
                message = self.client.next() => self.pass_to_api(message).await,
                message = self.api.next() => self.pass_to_client(message).await,
                () = at(end_of_life) => Err(End::Limit(close(CloseCode::Away, "connection duration limit"))),
                () = at(end_of_patience) => Err(End::Limit(close(CloseCode::Away, "idle timeout"))),
            };
            match passed {
                Ok(true) => end_of_patience = after(self.limits.idle_ms),
                Ok(false) => {}
                Err(end) => return end,
            }
        }
    }

    /// Whether it was a sign of life.
    async fn pass_to_api(&mut self, message: Option<Result<Message, Error>>) -> Result<bool, End> {
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                self.api.send(message).await.map_err(|_| End::Api(None))?;
                Ok(true)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(false),
            Some(Ok(Message::Close(frame))) => Err(End::Client(frame)),
            Some(Err(Error::Capacity(_))) => Err(End::Limit(too_large())),
            Some(Err(_)) | None => Err(End::Client(None)),
        }
    }

    /// Whether it was a sign of life.
    async fn pass_to_client(&mut self, message: Option<Result<Message, Error>>) -> Result<bool, End> {
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                if message.len() > self.limits.message_bytes_max() {
                    return Err(End::Limit(too_large()));
                }
                self.hand_over(message).await?;
                Ok(true)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(false),
            Some(Ok(Message::Close(frame))) => Err(End::Api(frame)),
            Some(Err(_)) | None => Err(End::Api(None)),
        }
    }

    async fn hand_over(&mut self, message: Message) -> Result<(), End> {
        let text = text_of(&message);
        let sent = self.client.send(message).await;
        let fate = if sent.is_ok() { Fate::Delivered } else { Fate::Gone };
        if let Some(text) = text {
            self.this.frame_came(&text, fate);
        }
        sent.map_err(|_| End::Client(None))
    }

    async fn finish(mut self, end: End) {
        match end {
            End::Api(frame) => say_goodbye(&mut self.client, frame).await,
            End::Client(frame) => {
                // Answers a close frame; a client that hung up does not wait for that.
                drop(self.client.flush().await);
                drop(self.client);
                if !self.limits.loses_disconnects {
                    drop(self.api.close(frame).await);
                }
                read_in_vain(&mut self.api, &self.this, self.limits.loses_disconnects).await;
            }
            End::Limit(frame) => {
                if !self.limits.loses_disconnects {
                    self.empty_api(&frame).await;
                }
                say_goodbye(&mut self.client, Some(frame)).await;
                drop(self.client);
                read_in_vain(&mut self.api, &self.this, self.limits.loses_disconnects).await;
            }
        }
    }

    /// Tells the API that the socket ends, and hands over what it has taken for the client until then.
    async fn empty_api(&mut self, frame: &CloseFrame) {
        if self.api.close(Some(frame.clone())).await.is_err() {
            return;
        }
        let deadline = Instant::now() + CLOSE_WITHIN;
        while let Ok(Some(Ok(message))) = tokio::time::timeout_at(deadline, self.api.next()).await {
            if message.len() <= self.limits.message_bytes_max()
                && matches!(message, Message::Text(_) | Message::Binary(_))
                && self.hand_over(message).await.is_err()
            {
                return;
            }
        }
    }
}

/// Reads what the API still sends to a client that has gone: until the API ends the socket, which it does only if it
/// was told.
async fn read_in_vain(api: &mut Socket, this: &sockets::Socket, untold: bool) {
    let read = async {
        while let Some(Ok(message)) = api.next().await {
            if let Some(text) = text_of(&message) {
                this.frame_came(&text, Fate::Gone);
            }
        }
    };
    if untold {
        read.await;
    } else {
        // An API that does not agree to the close loses its connection.
        drop(timeout(CLOSE_WITHIN, read).await);
    }
}

/// Sends a close frame and waits until the client has agreed.
///
/// A connection that is dropped with bytes unread is reset, and the client may then never see the frame. So what it is
/// still sending is read, after a message that was too large without looking at it.
async fn say_goodbye(client: &mut Socket, frame: Option<CloseFrame>) {
    let is_readable = frame.as_ref().is_none_or(|frame| frame.code != CloseCode::Size);
    if client.close(frame).await.is_err() {
        return;
    }
    let read = async {
        if is_readable {
            while let Some(Ok(_)) = client.next().await {}
        } else {
            let mut rest = vec![0; 64 * 1024];
            while matches!(client.get_mut().read(&mut rest).await, Ok(read) if read > 0) {}
        }
    };
    drop(timeout(CLOSE_WITHIN, read).await);
}

fn text_of(message: &Message) -> Option<Utf8Bytes> {
    if let Message::Text(text) = message { Some(text.clone()) } else { None }
}

fn too_large() -> CloseFrame {
    close(CloseCode::Size, "message too big")
}

fn close(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: Utf8Bytes::from_static(reason) }
}

/// `None` is never.
fn after(ms: u64) -> Option<Instant> {
    (ms > 0).then(|| Instant::now() + Duration::from_millis(ms))
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => future::pending().await,
    }
}
