//! `EventBridge`: the rules by which functions are called.

use serde_json::json;

use super::{Call, CallError, ControlPlane, Service};

impl ControlPlane {
    /// The state of a rule: `ENABLED` or `DISABLED`.
    pub(crate) async fn rule_state(&self, name: &str) -> Result<String, CallError> {
        let headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", "AWSEvents.DescribeRule".to_owned()),
        ];
        let (service, action, method, path) = (Service::Events, "DescribeRule", "POST", "/".to_owned());
        let body = json!({ "Name": name }).to_string();
        let answer = self.json(Call { service, action, method, origin: None, path, headers, body }).await?;
        Ok(answer["State"].as_str().unwrap_or_default().to_owned())
    }
}
