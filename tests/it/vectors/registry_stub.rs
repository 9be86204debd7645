//! A registry that answers what a vector says.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The registry of one vector; it stops when it is dropped.
pub(super) struct RegistryStub {
    pub(super) url: String,
    serving: JoinHandle<()>,
}

impl RegistryStub {
    /// Answers with these keys and this list, 503 for what is `None`, 404 for a list that is `missing`, and with
    /// `validate_status` about every access token.
    pub(super) async fn start(
        keys: Option<Value>,
        crl: Option<Value>,
        crl_is_missing: bool,
        validate_status: u16,
    ) -> Self {
        let without_crl =
            if crl_is_missing { StatusCode::NOT_FOUND } else { StatusCode::SERVICE_UNAVAILABLE };
        let keys = answer(keys, StatusCode::SERVICE_UNAVAILABLE);
        let crl = answer(crl, without_crl);
        let validated = StatusCode::from_u16(validate_status).unwrap();
        let router = Router::new()
            .route("/.well-known/claw-keys.json", get(async move || keys))
            .route("/v1/crl", get(async move || crl))
            .route("/v1/agents/auth/validate", post(async move || validated));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, serving }
    }
}

fn answer(body: Option<Value>, otherwise: StatusCode) -> (StatusCode, String) {
    body.map_or((otherwise, String::new()), |body| (StatusCode::OK, body.to_string()))
}

impl Drop for RegistryStub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
