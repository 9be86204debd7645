//! A proxy in front of the local AWS that loses requests, loses answers and spoils answers on purpose.
//!
//! It passes everything on until it is told otherwise ([`FaultProxy::inject`]), and counts what it is asked. The real
//! SDK behind it sees what it would see of a failing network or a failing AWS, down to TCP.

mod fault;
mod http1;
mod rules;

use std::io;
use std::sync::Arc;

use reqwest::Client;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use self::fault::{Fault, Refusal, Silence, Spoiling};
use self::http1::{Answer, Request, read_request, send};
pub use self::rules::{Operation, Seen};
use self::rules::{Rule, Rules};
use crate::connector::http_client;

/// One proxy. Dropping it ends all its connections.
pub struct FaultProxy {
    url: String,
    rules: Arc<Rules>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on the loopback and passes requests on to `endpoint`.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn before(endpoint: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let rules = Arc::new(Rules::default());
        let way = Way { endpoint: endpoint.into(), client: http_client(), rules: Arc::clone(&rules) };
        Ok(Self { url, rules, accepting: tokio::spawn(accept(listener, way)) })
    }

    /// Its origin, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Does `fault` to the next `requests` that ask for `operation`.
    pub fn inject(&self, operation: Operation, fault: Fault, requests: usize) {
        self.inject_after(operation, 0, fault, requests);
    }

    /// The same, after `spared` requests that nothing is done to.
    pub fn inject_after(&self, operation: Operation, spared: usize, fault: Fault, requests: usize) {
        self.rules.add(Rule { operation, about: String::new(), fault, spared, left: requests });
    }

    /// The same, but only to requests that name `about` in their path or body.
    pub fn inject_about(&self, operation: Operation, about: &str, fault: Fault, requests: usize) {
        self.rules.add(Rule { operation, about: about.to_owned(), fault, spared: 0, left: requests });
    }

    /// What has been asked for `operation` so far.
    #[must_use]
    pub fn seen(&self, operation: Operation) -> Seen {
        self.rules.seen(operation)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What every connection of a proxy needs.
#[derive(Clone)]
struct Way {
    endpoint: Arc<str>,
    client: Client,
    rules: Arc<Rules>,
}

async fn accept(listener: TcpListener, way: Way) {
    // Aborted together with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((socket, _)) = listener.accept() => {
                let way = way.clone();
                connections.spawn(async move { way.serve(socket).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Way {
    /// Serves one connection until either side ends it. A client that gives up is none of the proxy's business.
    async fn serve(&self, mut socket: TcpStream) {
        // Answers are written in small pieces.
        let _ = socket.set_nodelay(true);
        while let Ok(Some(request)) = read_request(&mut socket).await {
            if !matches!(self.answer(&mut socket, request).await, Ok(After::KeepAlive)) {
                return;
            }
        }
    }

    async fn answer(&self, socket: &mut TcpStream, request: Request) -> io::Result<After> {
        let operation = Operation::of(&request);
        match operation.and_then(|operation| self.rules.take(operation, &request)) {
            None => {
                self.forward(operation, request).await?.write(socket).await?;
                Ok(After::KeepAlive)
            }
            Some(Fault::Refused(refusal)) => {
                Answer::from(refusal).write(socket).await?;
                Ok(After::KeepAlive)
            }
            Some(Fault::Lost(silence)) => silence.keep(socket).await,
            Some(Fault::Unanswered(silence)) => {
                self.forward(operation, request).await?;
                silence.keep(socket).await
            }
            Some(Fault::Spoiled(spoiling)) => {
                let answer = self.forward(operation, request).await?;
                spoiling.write(answer, socket).await
            }
        }
    }

    async fn forward(&self, operation: Option<Operation>, request: Request) -> io::Result<Answer> {
        let answer = send(request, &self.client, &self.endpoint).await?;
        if let Some(operation) = operation {
            self.rules.note_forwarded(operation);
        }
        Ok(answer)
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    KeepAlive,
    /// Dropped, and with it closed.
    End,
}

#[cfg(test)]
mod tests;
