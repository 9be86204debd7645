//! HTTP/1.1 by hand, as far as the SDK speaks it: a server that keeps to the rules could not break them.

use std::io;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fault::{Named, Refusal};

const HEADERS_MAX: usize = 64;
const NO_CONTENT: u16 = 204;

/// A request with its body.
pub(super) type Request = http::Request<Vec<u8>>;

/// An answer with its body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Reads one request, `None` if the other side has closed the connection instead.
pub(super) async fn read_request(socket: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    loop {
        if let Some((head, head_length)) = parse_head(&bytes)? {
            let length: usize = head
                .headers()
                .get(CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .unwrap_or_default();
            // The SDK waits for an answer before it sends the next request, so nothing follows the body.
            let mut body = bytes.split_off(head_length);
            let received = body.len();
            body.resize(length.max(received), 0);
            socket.read_exact(&mut body[received..]).await?;
            return Ok(Some(head.map(|()| body)));
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// The head of a request and how many bytes it has, `None` if it is not complete.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(http::Request<()>, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let parsed = head.parse(bytes).map_err(io::Error::other)?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let mut request =
        http::Request::builder().method(head.method.unwrap_or_default()).uri(head.path.unwrap_or_default());
    for header in head.headers {
        request = request.header(header.name, header.value);
    }
    Ok(Some((request.body(()).map_err(io::Error::other)?, length)))
}

/// The request as it is to be sent to `endpoint`.
pub(super) async fn send(request: Request, client: &Client, endpoint: &str) -> io::Result<Answer> {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("{endpoint}{}", parts.uri).parse().map_err(io::Error::other)?;
    for hop_by_hop in [CONNECTION, CONTENT_LENGTH] {
        parts.headers.remove(hop_by_hop);
    }
    let request = http::Request::from_parts(parts, body).try_into().map_err(io::Error::other)?;
    let answer = client.execute(request).await.map_err(io::Error::other)?;
    let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
    for hop_by_hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(hop_by_hop);
    }
    let body = answer.bytes().await.map_err(io::Error::other)?.to_vec();
    Ok(Answer { status, headers, body })
}

impl Answer {
    pub(super) async fn write(&self, socket: &mut TcpStream) -> io::Result<()> {
        self.write_head(socket, self.body.len()).await?;
        socket.write_all(&self.body).await
    }

    /// Writes a head that promises a body of `length` bytes.
    pub(super) async fn write_head(&self, socket: &mut TcpStream, length: usize) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} -\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
        if self.status != NO_CONTENT {
            head.extend_from_slice(format!("{CONTENT_LENGTH}: {length}\r\n").as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        socket.write_all(&head).await
    }
}

impl From<Refusal> for Answer {
    fn from(Refusal { status, named }: Refusal) -> Self {
        let mut headers = HeaderMap::new();
        let body = match named {
            Named::Nowhere => "<html>".to_owned(),
            Named::InBody(error) => format!(r#"{{"__type":"{error}","message":"no"}}"#),
            Named::InHeader(error) => {
                let name = HeaderName::from_static("x-amzn-errortype");
                headers.insert(name, HeaderValue::from_static(error));
                r#"{"message":"no"}"#.to_owned()
            }
        };
        Self { status, headers, body: body.into_bytes() }
    }
}
