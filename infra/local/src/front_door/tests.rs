use std::net::SocketAddr;

use axum::http::StatusCode;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{accept_hdr_async, connect_async};

use super::*;

mod limits;

const NO_LIMITS: Limits =
    Limits { frame_bytes: 0, message_bytes: 0, idle_ms: 0, life_ms: 0, loses_disconnects: false };

/// A door without limits in front of these two addresses; its own address.
async fn open_door(http_api: SocketAddr, websocket_api: SocketAddr) -> SocketAddr {
    open_limited_door(http_api, websocket_api, NO_LIMITS).await
}

async fn open_limited_door(http_api: SocketAddr, websocket_api: SocketAddr, limits: Limits) -> SocketAddr {
    let upstreams =
        Upstreams::new(&format!("http://{http_api}/api/$default"), &format!("ws://{websocket_api}/ws/local"));
    let upstreams = upstreams.unwrap().with_origin_secret("hush").unwrap();
    serve(router(Door::new(upstreams, limits, PUSHES_PER_SECOND))).await
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// An HTTP API that answers 418 with the request it saw.
async fn mirror() -> SocketAddr {
    serve(Router::new().fallback(async |request: axum::extract::Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let mut lines = vec![format!("{} {}", parts.method, parts.uri)];
        lines
            .extend(parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
        lines.push(String::from_utf8(body.into()).unwrap());
        (StatusCode::IM_A_TEAPOT, [("x-answer", "1")], lines.join("\n"))
    }))
    .await
}

/// A WebSocket API that echoes messages, answers `big` with 200,000 bytes, and closes with 4001 when told `close`. Records
/// what it is asked for in the handshake, and how the client leaves.
#[expect(clippy::result_large_err, reason = "tungstenite's callback type")]
async fn echo(targets: tokio::sync::mpsc::UnboundedSender<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let note = |request: &Request, response: Response| {
                let header = |name| request.headers().get(name).map_or("-", |value| value.to_str().unwrap());
                let (nonce, secret) = (header("x-claw-nonce"), header("x-origin-verify"));
                targets.send(format!("{} {nonce} {secret}", request.uri())).unwrap();
                Ok(response)
            };
            let mut socket = accept_hdr_async(stream, note).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && message.to_text().unwrap() == "close" {
                    let frame = CloseFrame { code: CloseCode::from(4001), reason: "told to".into() };
                    let _ = socket.close(Some(frame)).await;
                } else if message.is_text() && message.to_text().unwrap() == "big" {
                    socket.send(Message::text("x".repeat(200_000))).await.unwrap();
                } else if let Message::Close(frame) = message {
                    let code = frame.map(|frame| u16::from(frame.code));
                    targets.send(format!("closed {code:?}")).unwrap();
                } else if message.is_text() || message.is_binary() {
                    socket.send(message).await.unwrap();
                }
            }
        }
    });
    address
}

/// Sends raw bytes and reads the whole answer.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_request_arrives_as_it_was_sent() {
    let api = mirror().await;
    let door = open_door(api, api).await;
    let answer = raw(
        door,
        "POST /v1/relay/delivery-receipts?a=%3A&b=x+y&a=:&empty= HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\
         X-Claw-Nonce: n\r\nX-Origin-Verify: guess\r\nContent-Length: 4\r\n\r\nbody",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 418 "), "{answer}");
    assert!(answer.contains("x-answer: 1\r\n"), "{answer}");
    assert!(
        answer.contains("POST /api/$default/v1/relay/delivery-receipts?a=%3A&b=x+y&a=:&empty=\n"),
        "{answer}"
    );
    assert!(answer.contains("x-claw-nonce: n\n") && answer.contains("content-length: 4\n"), "{answer}");
    assert!(answer.contains(&format!("host: {api}\n")), "{answer}");
    assert!(answer.contains("x-origin-verify: hush\n") && !answer.contains("guess"), "{answer}");
    assert!(answer.ends_with("body"), "{answer}");
}

#[tokio::test]
async fn a_connect_without_upgrade_is_told_so() {
    let api = mirror().await;
    let door = open_door(api, api).await;
    let answer = raw(
        door,
        "GET /v1/relay/connect HTTP/1.1\r\nHost: front\r\nConnection: close\r\nX-Request-Id: request-1\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("x-request-id: request-1\r\n"), "{answer}");
    assert!(answer.contains("PROXY_RELAY_UPGRADE_REQUIRED"), "{answer}");
}

#[tokio::test]
async fn frames_pass_both_ways_and_the_close_code_too() {
    let (targets, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let api = echo(targets).await;
    let door = open_door(api, api).await;
    let mut handshake = format!("ws://{door}{CONNECT_PATH}?a=%3A").into_client_request().unwrap();
    handshake.headers_mut().insert("x-claw-nonce", "n".parse().unwrap());
    let (mut socket, _) = connect_async(handshake).await.unwrap();
    assert_eq!(seen.recv().await.unwrap(), "/ws/local?a=%3A n hush");

    for message in [Message::text("{}"), Message::binary(vec![0xff, 0]), Message::text("x".repeat(200_000))] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    socket.send(Message::text("close")).await.unwrap();
    let Message::Close(Some(close)) = socket.next().await.unwrap().unwrap() else {
        panic!("expected a close")
    };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4001, "told to"));
}

#[tokio::test]
async fn a_refused_handshake_keeps_its_status_except_500() {
    for (upstream, client) in [(403, 403), (401, 401), (500, 401), (502, 502)] {
        let api = serve(
            Router::new()
                .fallback(async move || (StatusCode::from_u16(upstream).unwrap(), r#"{"message":"no"}"#)),
        )
        .await;
        let door = open_door(api, api).await;
        let refused = connect_async(format!("ws://{door}{CONNECT_PATH}")).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(answer) = refused else { panic!("{refused}") };
        assert_eq!(answer.status(), client);
        assert_eq!(answer.body().as_deref(), Some(r#"{"message":"no"}"#.as_bytes()));
    }
}

#[tokio::test]
async fn an_api_that_is_not_there_is_a_502() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let door = open_door(nobody, nobody).await;
    let answer = raw(door, "GET /health HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[test]
fn an_upstream_is_a_plain_url() {
    assert!(Upstreams::new("http://a:1/", "ws://a:1/stage").is_ok());
    assert!(Upstreams::new("https://a:1/", "ws://a:1/stage").is_err());
    assert!(Upstreams::new("http://a:1/", "http://a:1/stage").is_err());
}
