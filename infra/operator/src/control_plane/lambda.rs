//! Lambda: how a function is configured, and what feeds it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Call, CallError, ControlPlane, Service};

/// A deployed function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// `Active` once it can be invoked.
    pub(crate) state: String,
    /// `Successful` unless its last change failed or is under way.
    pub(crate) last_update: String,
    /// As AWS writes it.
    pub(crate) changed_at: String,
    /// Where it writes its lines.
    pub(crate) log_group: String,
    pub(crate) variables: BTreeMap<String, String>,
}

/// What feeds a function from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventSource {
    pub(crate) id: String,
    /// `Enabled` while it works.
    pub(crate) state: String,
    /// The queue's ARN.
    pub(crate) source: String,
}

impl ControlPlane {
    pub(crate) async fn function(&self, name: &str) -> Result<Function, CallError> {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let answer = self.lambda("GetFunctionConfiguration", path).await?;
        Ok(function(name, &answer))
    }

    /// How many of a function may run at once, if somebody has reserved a number.
    pub(crate) async fn reserved_concurrency(&self, name: &str) -> Result<Option<u64>, CallError> {
        let path = format!("/2019-09-30/functions/{name}/concurrency");
        let answer = self.lambda("GetFunctionConcurrency", path).await?;
        Ok(answer["ReservedConcurrentExecutions"].as_u64())
    }

    /// All event sources of a function. A function here has one or two, and a page holds a hundred.
    pub(crate) async fn event_sources(&self, function: &str) -> Result<Vec<EventSource>, CallError> {
        let path = format!("/2015-03-31/event-source-mappings/?FunctionName={function}");
        let answer = self.lambda("ListEventSourceMappings", path).await?;
        let sources = answer["EventSourceMappings"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(sources
            .iter()
            .map(|source| EventSource {
                id: text(&source["UUID"]),
                state: text(&source["State"]),
                source: text(&source["EventSourceArn"]),
            })
            .collect())
    }

    async fn lambda(&self, action: &'static str, path: String) -> Result<Value, CallError> {
        let (service, method) = (Service::Lambda, "GET");
        self.json(Call {
            service,
            action,
            method,
            origin: None,
            path,
            headers: Vec::new(),
            body: String::new(),
        })
        .await
    }
}

fn function(name: &str, answer: &Value) -> Function {
    let group = text(&answer["LoggingConfig"]["LogGroup"]);
    let variables = answer["Environment"]["Variables"].as_object().into_iter().flatten();
    Function {
        name: name.to_owned(),
        state: text(&answer["State"]),
        last_update: text(&answer["LastUpdateStatus"]),
        changed_at: text(&answer["LastModified"]),
        log_group: if group.is_empty() { format!("/aws/lambda/{name}") } else { group },
        variables: variables.map(|(name, value)| (name.clone(), text(value))).collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_function_is_read_with_its_log_group() {
        let answer = json!({
            "State": "Active", "LastUpdateStatus": "Successful",
            "Environment": { "Variables": { "REGISTRY_URL": "https://r" } },
        });
        let function = function("f", &answer);
        assert_eq!(function.log_group, "/aws/lambda/f");
        assert_eq!(function.variables["REGISTRY_URL"], "https://r");
    }
}
