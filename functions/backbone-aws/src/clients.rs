//! The SDK's clients: each made on first use, all over one connector.
//!
//! Timeouts and retries are set so that an operation that AWS does not answer ends before its invocation does. The
//! SDK's own defaults wait for ever and begin again after seconds.

use std::sync::OnceLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, ConfigBag, Intercept, Region, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{disable_interceptor, dyn_dispatch_hint};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use backbone::limits::OPERATION_MS_MAX;

use crate::settings::{
    AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_REGION, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
    CONNECTIONS_ENDPOINT, Settings, SettingsError,
};
use crate::tls::{CaBundle, Trust, connector};

/// The longest AWS may be silent.
const READ_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long SQS may wait for messages to come. An answer that was waited for in vain has hidden what it held.
pub(crate) const LONG_POLL: Duration = Duration::from_secs(1);
const _: () = assert!(LONG_POLL.as_millis() < READ_TIMEOUT.as_millis());
/// The longest one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest an operation may take, all its attempts together.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_millis(OPERATION_MS_MAX);
const ATTEMPTS_MAX: u32 = 4;
const BACK_OFF_FIRST: Duration = Duration::from_millis(25);
const BACK_OFF_MAX: Duration = Duration::from_millis(400);

/// The clients of one process.
#[derive(Debug)]
pub(crate) struct Clients {
    region: Region,
    credentials: Credentials,
    endpoint: Option<String>,
    connections_endpoint: Option<String>,
    trust: Trust,
    config: OnceLock<SdkConfig>,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    sqs: OnceLock<aws_sdk_sqs::Client>,
    connections: OnceLock<aws_sdk_apigatewaymanagement::Client>,
}

impl Clients {
    pub(crate) fn new(settings: &Settings, bundle: Option<&CaBundle>) -> Result<Self, SettingsError> {
        let credentials = Credentials::new(
            settings.text(AWS_ACCESS_KEY_ID)?,
            settings.text(AWS_SECRET_ACCESS_KEY)?,
            settings.get(AWS_SESSION_TOKEN).map(str::to_owned),
            None,
            "environment",
        );
        let endpoint = settings.get(AWS_ENDPOINT_URL);
        let connections_endpoint = settings.get(CONNECTIONS_ENDPOINT);
        let trust_at = |endpoint| Trust::at(endpoint, bundle, Trust::Amazon);
        let trust = match (trust_at(endpoint), connections_endpoint) {
            (Trust::Nobody, Some(other)) => trust_at(Some(other)),
            (trust, _) => trust,
        };
        Ok(Self {
            region: Region::new(settings.text(AWS_REGION)?.to_owned()),
            credentials,
            endpoint: endpoint.map(str::to_owned),
            connections_endpoint: connections_endpoint.map(str::to_owned),
            trust,
            config: OnceLock::new(),
            dynamodb: OnceLock::new(),
            sqs: OnceLock::new(),
            connections: OnceLock::new(),
        })
    }

    pub(crate) fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        self.dynamodb.get_or_init(|| {
            let config = aws_sdk_dynamodb::config::Builder::from(self.config()).interceptor(NoUserAgent);
            aws_sdk_dynamodb::Client::from_conf(config.build())
        })
    }

    pub(crate) fn sqs(&self) -> &aws_sdk_sqs::Client {
        self.sqs.get_or_init(|| {
            let config = aws_sdk_sqs::config::Builder::from(self.config()).interceptor(NoUserAgent);
            aws_sdk_sqs::Client::from_conf(config.build())
        })
    }

    /// The client that speaks to API Gateway about connections, `None` if this function has no business there.
    pub(crate) fn connections(&self) -> Option<&aws_sdk_apigatewaymanagement::Client> {
        let endpoint = self.connections_endpoint.as_deref()?;
        Some(self.connections.get_or_init(|| {
            let config = aws_sdk_apigatewaymanagement::config::Builder::from(self.config());
            let config = config.endpoint_url(endpoint).interceptor(NoUserAgent);
            aws_sdk_apigatewaymanagement::Client::from_conf(config.build())
        }))
    }

    fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| {
            // The SDK would make a connector, and parse the roots, once for every client.
            let connector = connector(self.trust.clone(), READ_TIMEOUT);
            let mut config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(self.region.clone())
                .credentials_provider(SharedCredentialsProvider::new(self.credentials.clone()))
                .http_client(http_client_fn(move |_, _| connector.clone()))
                .retry_config(retries())
                .timeout_config(timeouts())
                // Bodies are small and come at once; the attempt timeout covers them.
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            config.set_endpoint_url(self.endpoint.clone());
            config.build()
        })
    }
}

/// Leaves out the SDK's user agent: 21,000 instructions of each call, to say what the lock file says as well. AWS knows a
/// function by its role.
#[derive(Debug)]
struct NoUserAgent;

#[dyn_dispatch_hint]
impl Intercept for NoUserAgent {
    fn name(&self) -> &'static str {
        "NoUserAgent"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let none = disable_interceptor::<UserAgentInterceptor>("it costs more than it tells");
        config.interceptor_state().store_put(none);
        Ok(())
    }
}

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(BACK_OFF_FIRST)
        .with_max_backoff(BACK_OFF_MAX)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}
