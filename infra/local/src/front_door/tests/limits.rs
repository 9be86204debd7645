//! The limits, each at the door itself. What they mean for the stack is tested on the stack.

use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::*;

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A socket through a door with these limits, and what the API behind it notes.
async fn connect(limits: Limits) -> (Client, UnboundedReceiver<String>) {
    let (notes, mut noted) = unbounded_channel();
    let api = echo(notes).await;
    let door = open_limited_door(api, api, limits).await;
    let (socket, _) = connect_async(format!("ws://{door}{CONNECT_PATH}")).await.unwrap();
    assert_eq!(noted.recv().await.unwrap(), "/ws/local - hush");
    (socket, noted)
}

async fn close_code(socket: &mut Client) -> u16 {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("expected a close, not {other:?}"),
        }
    }
}

/// Sends one text message in frames of this size.
async fn send_in_frames(socket: &mut Client, frames: usize, size: usize) {
    for number in 1..=frames {
        let kind = if number == 1 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![b'x'; size], OpCode::Data(kind), number == frames);
        // A door that has closed already reads no more.
        if socket.send(Message::Frame(frame)).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn frames_up_to_32_kb_and_messages_up_to_128_kb_pass() {
    let (mut socket, _) = connect(Limits::default()).await;
    socket.send(Message::text("x".repeat(32 * 1024))).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().len(), 32 * 1024);
    send_in_frames(&mut socket, 4, 32 * 1024).await;
    assert_eq!(socket.next().await.unwrap().unwrap().len(), 128 * 1024);
}

#[tokio::test]
async fn a_larger_frame_closes_with_1009() {
    for size in [32 * 1024 + 1, 1024 * 1024] {
        let (mut socket, mut noted) = connect(Limits::default()).await;
        // What the door reads no more may fail to be sent.
        drop(socket.send(Message::text("x".repeat(size))).await);
        assert_eq!(close_code(&mut socket).await, 1009, "{size}");
        assert_eq!(
            noted.recv().await.unwrap(),
            "closed Some(1009)",
            "the API is told, and gets no part of it"
        );
    }
}

#[tokio::test]
async fn a_larger_message_closes_with_1009_either_way() {
    let (mut socket, _) = connect(Limits::default()).await;
    send_in_frames(&mut socket, 5, 32 * 1024).await;
    assert_eq!(close_code(&mut socket).await, 1009);
    let (mut socket, _) = connect(Limits::default()).await;
    socket.send(Message::text("big")).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1009);
}

#[tokio::test]
async fn a_socket_is_closed_when_it_is_idle_and_at_the_end_of_its_life() {
    for limits in [Limits { idle_ms: 50, ..Limits::default() }, Limits { life_ms: 50, ..Limits::default() }] {
        let (mut socket, mut noted) = connect(limits).await;
        assert_eq!(close_code(&mut socket).await, 1001);
        assert_eq!(noted.recv().await.unwrap(), "closed Some(1001)");
    }
}

#[tokio::test]
async fn a_lost_disconnect_leaves_the_api_in_the_dark() {
    let (mut socket, mut noted) =
        connect(Limits { life_ms: 50, loses_disconnects: true, ..Limits::default() }).await;
    assert_eq!(close_code(&mut socket).await, 1001);
    while socket.next().await.is_some() {}
    assert!(noted.try_recv().is_err(), "the API has not been told when the client is long gone");
}

#[tokio::test]
async fn calls_about_connections_keep_host_and_path() {
    let api = mirror().await;
    let door = open_door(api, api).await;
    let answer = raw(
        door,
        "POST /_aws/execute-api/abc/local/@connections/x%3D HTTP/1.1\r\nHost: signed:1\r\nConnection: close\r\n\
         Authorization: AWS4\r\nContent-Length: 4\r\n\r\nbody",
    )
    .await;
    assert!(answer.contains("POST /_aws/execute-api/abc/local/@connections/x%3D\n"), "{answer}");
    assert!(answer.contains("host: signed:1\n") && answer.contains("authorization: AWS4\n"), "{answer}");
    assert!(!answer.contains("hush"), "{answer}");
    assert!(answer.ends_with("body"), "{answer}");
}

#[tokio::test]
async fn too_large_and_too_many_pushes_are_refused() {
    let api = mirror().await;
    let door = open_limited_door(api, api, Limits::default()).await;
    let push = |size: usize| {
        let body = "x".repeat(size);
        format!(
            "POST /_aws/execute-api/abc/local/@connections/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Content-Length: {size}\r\n\r\n{body}"
        )
    };
    assert!(raw(door, &push(128 * 1024)).await.starts_with("HTTP/1.1 418 "), "the mirror's answer");
    assert!(raw(door, &push(128 * 1024 + 1)).await.starts_with("HTTP/1.1 413 "));
    let order = r#"{"connectionId":"x","times":1}"#;
    let length = order.len();
    let throttle = format!(
        "POST /dev/throttle HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{order}"
    );
    assert!(raw(door, &throttle).await.starts_with("HTTP/1.1 204 "));
    assert!(raw(door, &push(1)).await.starts_with("HTTP/1.1 429 "));
    assert!(raw(door, &push(1)).await.starts_with("HTTP/1.1 418 "));
}

#[tokio::test]
async fn another_door_can_be_opened_with_limits_of_its_own() {
    let (notes, _noted) = unbounded_channel();
    let api = echo(notes).await;
    let door = open_limited_door(api, api, Limits::default()).await;
    let order = r#"{"lifeMs":50}"#;
    let length = order.len();
    let request = format!(
        "POST /dev/doors HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{order}"
    );
    let answer = raw(door, &request).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let opened: serde_json::Value = serde_json::from_str(body).unwrap();
    let address = opened["proxyUrl"].as_str().unwrap().replacen("http", "ws", 1);
    let (mut socket, _) = connect_async(format!("{address}{CONNECT_PATH}")).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1001);
}
