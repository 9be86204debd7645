//! Which deployment a command is about, and how to get at it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use backbone::stores::Clock;
use backbone_aws::settings::{
    AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_REGION, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
    CONNECTIONS_ENDPOINT, CONNECTIONS_TABLE, DELIVERIES_TABLE, RECEIPTS_TABLE, Settings, TRUST_TABLE,
};
use backbone_aws::{Aws, Invocation};
use clap::Args;
use serde::Deserialize;

use crate::control_plane::ControlPlane;
use crate::failure::Failure;
use crate::http::Http;

/// Access key and secret of the local AWS's administrator. Another access key is another account.
const LOCAL_ADMINISTRATOR: &str = "test";
/// The longest one call may take with all its repetitions, in milliseconds.
const CALL_LIMIT_MS: u64 = 30_000;
/// What the functions' settings are called among the stack's outputs.
const SETTINGS: [(&str, &str); 5] = [
    (TRUST_TABLE, "TrustTable"),
    (RECEIPTS_TABLE, "ReceiptsTable"),
    (DELIVERIES_TABLE, "DeliveriesTable"),
    (CONNECTIONS_TABLE, "ConnectionsTable"),
    (CONNECTIONS_ENDPOINT, "ConnectionsEndpoint"),
];

/// Which deployment.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// The stack's name in CloudFormation.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) stack: Option<String>,
    /// The file that describes the running local stack, as `cargo xtask up` prints it. `--stack` wins.
    #[arg(long, global = true, value_name = "FILE", env = "BACKBONE_STACK")]
    pub(crate) local: Option<PathBuf>,
    /// The Region, instead of the profile's.
    #[arg(long, global = true)]
    pub(crate) region: Option<String>,
    /// The profile, instead of `AWS_PROFILE` or the default one.
    #[arg(long, global = true)]
    pub(crate) profile: Option<String>,
}

/// A deployment and the right to work on it.
pub(crate) struct Deployment {
    /// The stack's name.
    pub(crate) stack: String,
    /// What the stack puts out.
    pub(crate) outputs: BTreeMap<String, String>,
    /// The one URL that connectors know, where it is known here.
    pub(crate) proxy_url: Option<String>,
    access: Access,
    aws: Aws,
}

/// With what to speak to AWS.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) http: Http,
    region: String,
    credentials: Credentials,
    endpoint: Option<String>,
}

/// The description of a local stack, as far as it is read here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    aws_endpoint: String,
    region: String,
    stack_name: String,
    proxy_url: Option<String>,
    access_key: Option<String>,
    outputs: BTreeMap<String, String>,
}

impl Access {
    /// What the environment, the profile, or whatever else AWS's tools look at, gives.
    pub(crate) async fn ordinary(place: &Where) -> Result<Self, Failure> {
        let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https);
        if let Some(profile) = &place.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &place.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let missing = |missing| Failure::NoCredentials { missing, source: None };
        let region = config.region().ok_or_else(|| missing("no Region is set"))?.to_string();
        let provider = config.credentials_provider().ok_or_else(|| missing("there are no credentials"))?;
        let credentials = provider.provide_credentials().await.map_err(|error| Failure::NoCredentials {
            missing: "there are no credentials",
            source: Some(error.into()),
        })?;
        let endpoint = config.endpoint_url().map(str::to_owned);
        Ok(Self { http: Http::new(), region, credentials, endpoint })
    }

    fn local(description: &Description) -> Self {
        let key = description.access_key.as_deref().unwrap_or(LOCAL_ADMINISTRATOR);
        let secret = LOCAL_ADMINISTRATOR;
        Self {
            http: Http::new(),
            region: description.region.clone(),
            credentials: Credentials::new(key, secret, None, None, "local stack"),
            endpoint: Some(description.aws_endpoint.clone()),
        }
    }

    pub(crate) fn control_plane(&self) -> ControlPlane {
        ControlPlane::new(self.http.clone(), self.credentials.clone(), &self.region, self.endpoint.as_deref())
    }

    /// The stores of a deployment with these outputs.
    pub(crate) fn stores(&self, outputs: &BTreeMap<String, String>) -> Result<Aws, Failure> {
        let known: Vec<_> = SETTINGS.iter().filter(|(_, output)| outputs.contains_key(*output)).collect();
        let env = |name: &str| match name {
            AWS_REGION => Some(self.region.clone()),
            AWS_ACCESS_KEY_ID => Some(self.credentials.access_key_id().to_owned()),
            AWS_SECRET_ACCESS_KEY => Some(self.credentials.secret_access_key().to_owned()),
            AWS_SESSION_TOKEN => self.credentials.session_token().map(str::to_owned),
            AWS_ENDPOINT_URL => self.endpoint.clone(),
            name => match known.iter().find(|(setting, _)| *setting == name) {
                Some((_, output)) => outputs.get(*output).cloned(),
                None => std::env::var(name).ok(),
            },
        };
        let names: Vec<&'static str> = known.iter().map(|(setting, _)| *setting).collect();
        Ok(Aws::new(Settings::from_env(&env, &names)?)?)
    }
}

impl Deployment {
    /// Finds the deployment that `place` names.
    pub(crate) async fn find(place: &Where) -> Result<Self, Failure> {
        match (&place.stack, &place.local) {
            (Some(stack), _) => {
                let access = Access::ordinary(place).await?;
                let state = access.control_plane().stack(stack).await?;
                Self::new(stack.clone(), state.outputs, None, access)
            }
            (None, Some(path)) => {
                let description = Description::read(path)?;
                let access = Access::local(&description);
                Self::new(description.stack_name, description.outputs, description.proxy_url, access)
            }
            (None, None) => Err(Failure::NoDeployment),
        }
    }

    fn new(
        stack: String,
        outputs: BTreeMap<String, String>,
        proxy_url: Option<String>,
        access: Access,
    ) -> Result<Self, Failure> {
        let aws = access.stores(&outputs)?;
        let proxy_url = proxy_url.or_else(|| outputs.get("ProxyUrl").cloned());
        Ok(Self { stack, outputs, proxy_url, access, aws })
    }

    /// The names of the stack's functions, by the keys of their outputs.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.outputs.iter().filter_map(|(key, name)| Some((key.strip_suffix("Function")?, name.as_str())))
    }

    /// The stores, for the time of one call.
    pub(crate) fn stores(&self) -> Invocation<'_> {
        call(&self.aws)
    }

    /// The stores alone, for as long as they are wanted.
    pub(crate) fn into_stores(self) -> Aws {
        self.aws
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.stores().now_ms()
    }

    pub(crate) fn control_plane(&self) -> ControlPlane {
        self.access.control_plane()
    }

    pub(crate) fn http(&self) -> &Http {
        &self.access.http
    }
}

/// `aws`, for the time of one call.
pub(crate) fn call(aws: &Aws) -> Invocation<'_> {
    aws.invocation("operator", aws.now_ms().saturating_add(CALL_LIMIT_MS))
}

impl Description {
    fn read(path: &Path) -> Result<Self, Failure> {
        let unusable = |source| Failure::Description { path: path.display().to_string(), source };
        let text = fs::read(path).map_err(|error| unusable(error.into()))?;
        serde_json::from_slice(&text).map_err(|error| unusable(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_guessed() {
        let nowhere = Where { stack: None, local: None, region: None, profile: None };
        let found = Deployment::find(&nowhere).await;
        assert!(matches!(found, Err(Failure::NoDeployment)));
        let found = Deployment::find(&Where { local: Some("no such file".into()), ..nowhere }).await;
        assert!(found.is_err_and(|failure| failure.to_string().contains("no such file")));
    }
}
