//! Plain HTTP: to AWS's own APIs, once signed, and to whatever `doctor` asks without a signature.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Limited};

/// The longest a connection may take to open, and another side be silent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Far above any answer that is asked for here: a deployed template has 50 KB.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A client with a pool of connections. It trusts whom the system trusts.
#[derive(Clone, Debug)]
pub(crate) struct Http(SharedHttpConnector);

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    /// The `date` header, as it came.
    pub(crate) date: Option<String>,
    pub(crate) body: String,
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The URL is none.
    #[error("{0} is not a URL that can be asked")]
    Request(String),
    /// Nobody is there, or nobody answers in time.
    #[error("{url} does not answer")]
    Transport {
        /// What was asked.
        url: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Http {
    pub(crate) fn new() -> Self {
        let timeouts =
            HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT);
        let connector = Connector::builder()
            .connector_settings(timeouts.build())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build();
        Self(SharedHttpConnector::new(connector))
    }

    pub(crate) async fn get(&self, url: &str) -> Result<HttpAnswer, NoAnswer> {
        self.send(http::Request::get(url).body(String::new()).map_err(|_| NoAnswer::Request(url.to_owned()))?)
            .await
    }

    pub(crate) async fn send(&self, request: http::Request<String>) -> Result<HttpAnswer, NoAnswer> {
        let url = request.uri().to_string();
        let transport = |source| NoAnswer::Transport { url: url.clone(), source };
        let request =
            HttpRequest::try_from(request.map(SdkBody::from)).map_err(|_| NoAnswer::Request(url.clone()))?;
        let response = self.0.call(request).await.map_err(|error| transport(error.into()))?;
        let status = response.status().as_u16();
        let date = response.headers().get("date").map(str::to_owned);
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await.map_err(transport)?;
        Ok(HttpAnswer { status, date, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
    }
}
