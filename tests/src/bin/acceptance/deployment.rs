//! The stack under test: what it puts out, and the way to its tables.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_dynamodb::Client;
use aws_smithy_http_client::Builder as HttpClientBuilder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use serde::Deserialize;

/// A deployed stack.
pub(crate) struct Deployment {
    pub(crate) environment: String,
    pub(crate) proxy_url: String,
    pub(crate) registry_url: String,
    pub(crate) http_api_url: String,
    pub(crate) websocket_url: String,
    pub(crate) trust_table: String,
    pub(crate) nonces_table: String,
    pub(crate) receipts_table: String,
    pub(crate) connections_table: String,
    config: SdkConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    output_key: String,
    output_value: String,
}

impl Deployment {
    /// Reads the stack's outputs, and takes credentials and Region from the environment or the profile.
    ///
    /// # Errors
    ///
    /// Says which output is missing.
    pub(crate) async fn read(outputs: &Path, proxy_url: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let listing: Vec<Output> = serde_json::from_slice(&fs::read(outputs)?)?;
        let outputs: BTreeMap<_, _> =
            listing.into_iter().map(|output| (output.output_key, output.output_value)).collect();
        let output =
            |key: &str| outputs.get(key).cloned().ok_or_else(|| format!("the stack has no output {key}"));
        let tls = Provider::Rustls(CryptoMode::Ring);
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(HttpClientBuilder::new().tls_provider(tls).build_https())
            .load()
            .await;
        let proxy_url = match proxy_url {
            Some(url) => url.to_owned(),
            None => output("ProxyUrl").map_err(|problem| format!("{problem}: say --proxy-url"))?,
        };
        Ok(Self {
            environment: output("WebSocketStage")?,
            proxy_url,
            registry_url: output("RegistryUrl")?,
            http_api_url: output("HttpApiUrl")?,
            websocket_url: output("WebSocketUrl")?,
            trust_table: output("TrustTable")?,
            nonces_table: output("NoncesTable")?,
            receipts_table: output("ReceiptsTable")?,
            connections_table: output("ConnectionsTable")?,
            config,
        })
    }

    pub(crate) fn is_production(&self) -> bool {
        self.environment == "prod"
    }

    pub(crate) fn dynamodb(&self) -> Client {
        Client::new(&self.config)
    }

    /// The environment in which the operators' command line works on this stack.
    ///
    /// # Errors
    ///
    /// If there are no credentials or no Region.
    pub(crate) async fn operator_environment(&self) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
        let provider = self.config.credentials_provider().ok_or("no AWS credentials")?;
        let credentials = provider.provide_credentials().await?;
        let region = self.config.region().ok_or("no AWS Region: set AWS_REGION or choose a profile")?;
        let mut environment = vec![
            ("TRUST_TABLE", self.trust_table.clone()),
            ("AWS_REGION", region.to_string()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key().to_owned()),
        ];
        environment.extend(credentials.session_token().map(|token| ("AWS_SESSION_TOKEN", token.to_owned())));
        environment.extend(self.config.endpoint_url().map(|url| ("AWS_ENDPOINT_URL", url.to_owned())));
        Ok(environment)
    }
}
