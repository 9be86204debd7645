//! Tables that no other test can see.

use std::thread;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use super::Stack;
use crate::stamp;

/// The key of a table; both parts are text.
#[derive(Clone, Copy, Debug)]
pub struct TableKeys {
    name: &'static str,
    partition: &'static str,
    sort: Option<&'static str>,
}

impl TableKeys {
    /// One row per agent.
    pub const CONNECTIONS: Self = Self { name: "connections", partition: "agentDid", sort: None };
    /// Receipts and waiting items of a sender.
    pub const RECEIPTS: Self = Self { name: "receipts", partition: "senderAgentDid", sort: Some("item") };
    /// System deliveries of a recipient.
    pub const DELIVERIES: Self =
        Self { name: "deliveries", partition: "recipientAgentDid", sort: Some("deliveryId") };
    /// Pairs, revocations, registry keys.
    pub const TRUST: Self = Self { name: "trust", partition: "key", sort: None };
    /// Nonces, access tokens and rates of an agent.
    pub const NONCES: Self = Self { name: "nonces", partition: "agentDid", sort: Some("what") };
}

/// A table of one test. Dropping it deletes it, as far as that works.
pub struct PrivateTable {
    stack: Stack,
    /// Its physical name.
    pub name: String,
}

impl PrivateTable {
    /// Makes an empty table with these keys under a name of its own.
    ///
    /// # Errors
    ///
    /// Says why the local AWS did not make it.
    pub async fn create(stack: &Stack, keys: TableKeys) -> Result<Self, aws_sdk_dynamodb::Error> {
        let name = format!("test-{}-{}", keys.name, stamp::new_ulid());
        let mut request =
            stack.dynamodb().create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
        let hash = Some((keys.partition, KeyType::Hash));
        let range = keys.sort.map(|attribute| (attribute, KeyType::Range));
        for (attribute, kind) in hash.into_iter().chain(range) {
            let definition = AttributeDefinition::builder()
                .attribute_name(attribute)
                .attribute_type(ScalarAttributeType::S);
            let element = KeySchemaElement::builder().attribute_name(attribute).key_type(kind);
            request = request
                .attribute_definitions(definition.build().expect("name and type are set"))
                .key_schema(element.build().expect("name and type are set"));
        }
        request.send().await?;
        Ok(Self { stack: stack.clone(), name })
    }

    /// A client that may do anything with it.
    #[must_use]
    pub fn client(&self) -> Client {
        self.stack.dynamodb()
    }
}

impl Drop for PrivateTable {
    fn drop(&mut self) {
        // On a thread of its own: the test's runtime may be about to end. What stays behind is gone with the stack.
        let (stack, name) = (self.stack.clone(), self.name.clone());
        let deleting = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let deleted = runtime.block_on(stack.dynamodb().delete_table().table_name(name).send());
            Ok::<bool, std::io::Error>(deleted.is_ok())
        });
        let _ = deleting.join();
    }
}
