//! What can be done to a request.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::After;
use super::http1::Answer;

/// In how many pieces a slow body comes.
const SLOW_PIECES: u8 = 8;

/// What happens to one request. All of it has been read by then, so a client knows nothing about its effect.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// AWS never gets it.
    Lost(Silence),
    /// AWS carries it out, and the answer is lost.
    Unanswered(Silence),
    /// AWS carries it out, and the answer is spoiled on its way.
    Spoiled(Spoiling),
    /// It is not carried out, and this is the answer.
    Refused(Refusal),
}

/// How there is no answer.
#[derive(Clone, Copy, Debug)]
pub enum Silence {
    /// The connection is reset.
    Reset,
    /// The connection is closed in order.
    Close,
    /// The connection stays open and nothing comes.
    Hang,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug)]
pub enum Spoiling {
    /// Its body takes this long to come, in pieces, and is whole in the end.
    Slow(Duration),
    /// Head and half of the body come, then nothing more.
    Stalled,
    /// Head and half of the body come, then the connection is closed.
    Truncated,
    /// The body is not JSON.
    NotJson,
}

/// An answer that says no.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    pub(super) status: u16,
    pub(super) named: Named,
}

/// Where an answer names its error, which differs between the protocols of AWS.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named {
    /// Nowhere: the answer of a load balancer.
    Nowhere,
    /// In the body, as DynamoDB and SQS do.
    InBody(&'static str),
    /// In a header, as API Gateway does.
    InHeader(&'static str),
}

impl Refusal {
    /// A status and nothing that says why.
    #[must_use]
    pub const fn bare(status: u16) -> Self {
        Self { status, named: Named::Nowhere }
    }

    /// An error as DynamoDB and SQS write it: `error` is its name with its namespace.
    #[must_use]
    pub const fn in_body(status: u16, error: &'static str) -> Self {
        Self { status, named: Named::InBody(error) }
    }

    /// An error as API Gateway writes it.
    #[must_use]
    pub const fn in_header(status: u16, error: &'static str) -> Self {
        Self { status, named: Named::InHeader(error) }
    }
}

impl Silence {
    pub(super) async fn keep(self, socket: &mut TcpStream) -> io::Result<After> {
        match self {
            Self::Reset => socket.set_zero_linger()?,
            Self::Close => {}
            Self::Hang => hang(socket).await?,
        }
        Ok(After::End)
    }
}

impl Spoiling {
    pub(super) async fn write(self, mut answer: Answer, socket: &mut TcpStream) -> io::Result<After> {
        let length = answer.body.len();
        match self {
            Self::Slow(duration) => {
                answer.write_head(socket, length).await?;
                // A length that does not divide evenly makes fewer pieces, each of which takes longer.
                let pieces = answer.body.chunks(length.div_ceil(usize::from(SLOW_PIECES)).max(1));
                let pause = duration / u32::try_from(pieces.len().max(1)).unwrap_or(u32::MAX);
                for piece in pieces {
                    tokio::time::sleep(pause).await;
                    socket.write_all(piece).await?;
                }
                Ok(After::KeepAlive)
            }
            Self::Stalled | Self::Truncated => {
                // Even of an empty body something can be missing.
                answer.write_head(socket, length + 1).await?;
                socket.write_all(&answer.body[..length / 2]).await?;
                let silence = if matches!(self, Self::Stalled) { Silence::Hang } else { Silence::Close };
                silence.keep(socket).await
            }
            Self::NotJson => {
                answer.body = b"<html>".to_vec();
                answer.write(socket).await?;
                Ok(After::KeepAlive)
            }
        }
    }
}

/// Waits until the other side gives up.
async fn hang(socket: &mut TcpStream) -> io::Result<()> {
    let mut nothing = [0; 64];
    while socket.read(&mut nothing).await? > 0 {}
    Ok(())
}
