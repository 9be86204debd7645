//! AWS and the registry as the functions call them: fixed answers, every call counted.

mod calls;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::calls::head_bytes;
pub(crate) use self::calls::{Calls, Operation};
use self::world::World;
pub(crate) use self::world::{Scene, TABLES};
use crate::{Result, tls};

/// The stage of the WebSocket API, and so the start of every path of `@connections`.
pub(crate) const STAGE: &str = "prod";

/// The stub. It stops when it is dropped.
pub(crate) struct Aws {
    /// Its origin.
    pub(crate) url: String,
    /// The file with the root that vouches for it, if it speaks TLS.
    pub(crate) bundle: Option<PathBuf>,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

/// What the functions have asked for.
#[derive(Default)]
struct Seen {
    calls: BTreeMap<Operation, Calls>,
    /// What nobody has foreseen. A function may swallow the error that it gets; its figures are those of an error then.
    unforeseen: Vec<Operation>,
}

impl Aws {
    /// `keys` is the registry's key set. If the scene is one over TLS, the file with the root is put into `folder`.
    pub(crate) async fn start(scene: Scene, keys: &Value, folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::<Mutex<Seen>>::default();
        let state = (World::new(scene, keys), Arc::clone(&seen));
        let router = Router::new().fallback(answer).with_state(state);
        if scene.over_tls {
            let (listener, bundle) = tls::listen(listener, folder)?;
            let serving =
                tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
            return Ok(Self {
                url: format!("https://localhost:{port}"),
                bundle: Some(bundle),
                seen,
                serving,
            });
        }
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url: format!("http://127.0.0.1:{port}"), bundle: None, seen, serving })
    }

    /// What was called since this was asked last.
    ///
    /// # Errors
    ///
    /// If anything was, ever, to which there is no answer here.
    pub(crate) fn take_calls(&self) -> Result<BTreeMap<Operation, Calls>> {
        let mut seen = lock(&self.seen);
        if let Some(operation) = seen.unforeseen.first() {
            let calls = seen.unforeseen.len();
            return Err(format!("{calls} calls that the bench has no answer to, first {operation}").into());
        }
        Ok(std::mem::take(&mut seen.calls))
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State((world, seen)): State<(World, Arc<Mutex<Seen>>)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let operation = Operation::of(&method, &headers, uri.path());
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut seen = lock(&seen);
    let Some(answer) = world.act(&operation, &request) else {
        seen.unforeseen.push(operation);
        return (StatusCode::NOT_IMPLEMENTED, String::new());
    };
    let (status, text) = if answer.is_null() {
        (StatusCode::NO_CONTENT, String::new())
    } else {
        (StatusCode::OK, answer.to_string())
    };
    let sent = head_bytes(&method, &uri, &headers) + body.len();
    let mut calls = Calls::of(&operation, &request, &answer);
    (calls.bytes_sent, calls.bytes_answered) = (sent, text.len());
    *seen.calls.entry(operation).or_default() += calls;
    (status, text)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use serde_json::json;

    use super::*;

    async fn call(aws: &Aws, operation: &str, body: &'static str) -> String {
        let address = aws.url.trim_start_matches("http://").to_owned();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: aws\r\nx-amz-target: DynamoDB_20120810.{operation}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let exchange = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }

    #[tokio::test]
    async fn a_call_that_nobody_has_foreseen_is_not_forgotten() {
        let aws = Aws::start(Scene::default(), &json!({}), Path::new(".")).await.unwrap();
        assert!(call(&aws, "PutItem", "{}").await.starts_with("HTTP/1.1 200"));
        let calls = aws.take_calls().unwrap();
        let [(operation, put)] = &calls.into_iter().collect::<Vec<_>>()[..] else { panic!("one call") };
        assert_eq!((operation.name(), put.count, put.bytes_answered), ("PutItem", 1, 2));
        assert!(put.bytes_sent > 100, "the head is sent, too");
        assert!(call(&aws, "Scan", "{}").await.starts_with("HTTP/1.1 501"));
        for _ in 0..2 {
            let objection = aws.take_calls().unwrap_err().to_string();
            assert!(objection.contains("Scan"), "{objection}");
        }
    }
}
