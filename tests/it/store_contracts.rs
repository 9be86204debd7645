//! DynamoDB keeps the contracts that the simulated stores keep.

use std::collections::BTreeMap;

use acceptance::stack::{PrivateTable, Stack, TableKeys};
use backbone_aws::Aws;
use backbone_aws::settings::{self, Settings};
use simulator::contracts;

/// Tables with nothing in them.
struct Tables {
    aws: Aws,
    /// Deleted with this.
    _tables: Vec<PrivateTable>,
}

impl Tables {
    async fn create() -> Self {
        let stack = Stack::running();
        let mut values = BTreeMap::from([
            (settings::AWS_REGION, stack.region.clone()),
            (settings::AWS_ACCESS_KEY_ID, "test".to_owned()),
            (settings::AWS_SECRET_ACCESS_KEY, "test".to_owned()),
            (settings::AWS_ENDPOINT_URL, stack.aws_endpoint.clone()),
        ]);
        let mut tables = Vec::new();
        for (setting, keys) in [
            (settings::CONNECTIONS_TABLE, TableKeys::CONNECTIONS),
            (settings::RECEIPTS_TABLE, TableKeys::RECEIPTS),
            (settings::TRUST_TABLE, TableKeys::TRUST),
            (settings::NONCES_TABLE, TableKeys::NONCES),
            (settings::DELIVERIES_TABLE, TableKeys::DELIVERIES),
        ] {
            let table = PrivateTable::create(&stack, keys).await.unwrap();
            values.insert(setting, table.name.clone());
            tables.push(table);
        }
        let required: Vec<&'static str> = values.keys().copied().collect();
        let settings = Settings::from_env(&|name| values.get(name).cloned(), &required).unwrap();
        Self { aws: Aws::new(settings).unwrap(), _tables: tables }
    }
}

macro_rules! dynamodb_keeps {
    ($($contract:ident)+) => {$(
        #[tokio::test]
        async fn $contract() {
            let tables = Tables::create().await;
            contracts::$contract(&tables.aws.invocation("contract", u64::MAX)).await;
        }
    )+};
}

simulator::each_contract!(dynamodb_keeps);
