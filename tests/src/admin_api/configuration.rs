//! What somebody may change by hand in a deployed stack.

use serde_json::{Value, json};

use super::{AdminApi, AdminError};

impl AdminApi {
    /// Sets a function's variable and returns its value from before. The function gets new processes.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn set_variable(&self, function: &str, name: &str, value: &str) -> Result<String, AdminError> {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        let configuration = self.call("GET", "lambda", &path, &[], String::new()).await?.json;
        let mut variables = configuration["Environment"]["Variables"].clone();
        let before = variables[name].as_str().unwrap_or_default().to_owned();
        variables[name] = value.into();
        let update = json!({ "Environment": { "Variables": variables } }).to_string();
        self.call("PUT", "lambda", &path, &[], update).await?;
        Ok(before)
    }

    /// The ids of what feeds a function.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn event_sources(&self, function: &str) -> Result<Vec<String>, AdminError> {
        let path = format!("/2015-03-31/event-source-mappings/?FunctionName={function}");
        let answer = self.call("GET", "lambda", &path, &[], String::new()).await?.json;
        let sources = answer["EventSourceMappings"].as_array().cloned().unwrap_or_default();
        Ok(sources.iter().filter_map(|source| source["UUID"].as_str().map(str::to_owned)).collect())
    }

    /// Stops or starts what feeds a function.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn enable_event_source(&self, id: &str, enabled: bool) -> Result<(), AdminError> {
        let path = format!("/2015-03-31/event-source-mappings/{id}");
        let update = json!({ "Enabled": enabled }).to_string();
        self.call("PUT", "lambda", &path, &[], update).await.map(drop)
    }

    /// Arms or disarms an alarm.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn arm_alarm(&self, name: &str, armed: bool) -> Result<(), AdminError> {
        let action = if armed { "EnableAlarmActions" } else { "DisableAlarmActions" };
        let target = format!("GraniteServiceVersion20100801.{action}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", &target)];
        let body: Value = json!({ "AlarmNames": [name] });
        self.call("POST", "monitoring", "/", &headers, body.to_string()).await.map(drop)
    }
}
