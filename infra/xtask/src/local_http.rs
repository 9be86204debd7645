//! Just enough HTTP to ask a part of the stack whether it is there.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(2);

/// Whether `GET path` on that port of 127.0.0.1 is answered with a 2xx.
pub(crate) fn answers(port: u16, path: &str) -> bool {
    status_class(port, path).is_ok_and(|class| class == b'2')
}

/// Whether anybody listens on that port of 127.0.0.1.
pub(crate) fn listens(port: u16) -> bool {
    connect(port).is_ok()
}

/// The first digit of the answer's status.
fn status_class(port: u16, path: &str) -> std::io::Result<u8> {
    const BEFORE_STATUS: &[u8] = b"HTTP/1.1 ";
    let mut stream = connect(port)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; BEFORE_STATUS.len() + 1];
    stream.read_exact(&mut start)?;
    Ok(start[BEFORE_STATUS.len()])
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    Ok(stream)
}
