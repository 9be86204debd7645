//! Plain HTTP: to AWS's own APIs, once signed, and to whatever `doctor` asks without a signature.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// The longest a connection may take to open, and another side be silent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Far above most answers that are asked for here: a deployed template has 50 KB.
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
    /// There is more of it than is read.
    #[error("{url} answers with more than {bytes_max} bytes")]
    TooLong {
        /// What was asked.
        url: String,
        /// How much is read.
        bytes_max: usize,
    },
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
        self.get_up_to(url, BODY_BYTES_MAX).await
    }

    /// The same for an answer that may have other than the usual length.
    pub(crate) async fn get_up_to(&self, url: &str, bytes_max: usize) -> Result<HttpAnswer, NoAnswer> {
        let request = http::Request::get(url).body(String::new());
        self.answer(request.map_err(|_| NoAnswer::Request(url.to_owned()))?, bytes_max).await
    }

    pub(crate) async fn send(&self, request: http::Request<String>) -> Result<HttpAnswer, NoAnswer> {
        self.answer(request, BODY_BYTES_MAX).await
    }

    async fn answer(&self, request: http::Request<String>, bytes_max: usize) -> Result<HttpAnswer, NoAnswer> {
        let url = request.uri().to_string();
        let transport = |source| NoAnswer::Transport { url: url.clone(), source };
        let request =
            HttpRequest::try_from(request.map(SdkBody::from)).map_err(|_| NoAnswer::Request(url.clone()))?;
        let response = self.0.call(request).await.map_err(|error| transport(error.into()))?;
        let status = response.status().as_u16();
        let date = response.headers().get("date").map(str::to_owned);
        let body = Limited::new(response.into_body(), bytes_max).collect().await.map_err(|source| {
            if source.is::<LengthLimitError>() {
                NoAnswer::TooLong { url: url.clone(), bytes_max }
            } else {
                transport(source)
            }
        })?;
        Ok(HttpAnswer { status, date, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
    }
}
