//! The description of the stack, and what its outputs say by their names.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_smithy_http_client::Builder as HttpClientBuilder;
use aws_types::SdkConfig;
use backbone_aws::Aws;
use backbone_aws::settings::{
    AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_REGION, AWS_SECRET_ACCESS_KEY, Settings,
};
use serde::Deserialize;

/// Access key and secret that administer MiniStack, which knows no others.
const ADMIN: &str = "test";

/// Where the parts of a running stack are, as `cargo xtask` writes it down.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackDescription {
    pub(super) aws_endpoint: String,
    pub(super) region: String,
    pub(super) stack_name: String,
    pub(super) proxy_url: String,
    pub(super) registry_url: String,
    outputs: BTreeMap<String, String>,
}

/// A queue and where its messages go that cannot be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueuePair {
    /// `receipts`, `events` and so on.
    pub(super) name: String,
    pub(super) url: String,
    pub(super) dlq_url: String,
}

impl StackDescription {
    /// Reads the description from a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is something else.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let stack: Self = serde_json::from_slice(&fs::read(path)?)?;
        for table in [Self::RECEIPTS_TABLE, Self::CONNECTIONS_TABLE, Self::TRUST_TABLE] {
            if !stack.outputs.contains_key(table) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("no output {table}")));
            }
        }
        Ok(stack)
    }

    pub(super) const RECEIPTS_TABLE: &str = "ReceiptsTable";
    pub(super) const CONNECTIONS_TABLE: &str = "ConnectionsTable";
    pub(super) const TRUST_TABLE: &str = "TrustTable";

    /// The value of an output; empty if there is none, which [`StackDescription::from_file`] has ruled out for tables.
    pub(super) fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }

    /// Every queue with a dead-letter queue: outputs `<Name>QueueUrl` and `<Name>DlqUrl`.
    pub(super) fn queues(&self) -> Vec<QueuePair> {
        let pair = |(output, dlq_url): (&String, &String)| {
            let stem = output.strip_suffix("DlqUrl")?;
            let url = self.outputs.get(&format!("{stem}QueueUrl"))?;
            let (name, dlq_url) = (stem.to_ascii_lowercase(), dlq_url.clone());
            Some(QueuePair { name, url: url.clone(), dlq_url })
        };
        self.outputs.iter().filter_map(pair).collect()
    }

    /// Every function: outputs `<Name>Function`.
    pub(super) fn functions(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().filter(|(output, _)| output.ends_with("Function")).map(|(_, name)| name.as_str())
    }

    /// MiniStack's SQS, with its administrator's rights, as operators reach that of AWS.
    pub(super) fn aws(&self) -> Aws {
        let value = |name: &str| match name {
            AWS_REGION => Some(self.region.clone()),
            AWS_ACCESS_KEY_ID | AWS_SECRET_ACCESS_KEY => Some(ADMIN.to_owned()),
            AWS_ENDPOINT_URL => Some(self.aws_endpoint.clone()),
            _ => None,
        };
        let settings = Settings::from_env(&value, &[]).expect("it names no setting that could be missing");
        Aws::new(settings).expect("Region, keys and endpoint are there")
    }

    /// How to reach MiniStack, with its administrator's rights.
    pub(super) fn sdk_config(&self) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                ADMIN,
                ADMIN,
                None,
                None,
                "local stack",
            )))
            .endpoint_url(&self.aws_endpoint)
            .http_client(HttpClientBuilder::new().build_http())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_and_functions_are_known_by_their_outputs() {
        let stack: StackDescription = serde_json::from_value(serde_json::json!({
            "awsEndpoint": "http://a", "region": "r", "stackName": "s", "proxyUrl": "p", "registryUrl": "g",
            "outputs": {
                "ReceiptsQueueUrl": "q", "ReceiptsDlqUrl": "d", "ReceiptsDlqArn": "arn", "LoneDlqUrl": "l",
                "ConsumerFunction": "c", "ReceiptFunction": "r", "ReceiptsTable": "t",
            },
        }))
        .unwrap();
        let receipts = QueuePair { name: "receipts".into(), url: "q".into(), dlq_url: "d".into() };
        assert_eq!(stack.queues(), [receipts]);
        assert_eq!(stack.functions().collect::<Vec<_>>(), ["c", "r"]);
        assert_eq!((stack.output("ReceiptsTable"), stack.output("Nothing")), ("t", ""));
    }
}
