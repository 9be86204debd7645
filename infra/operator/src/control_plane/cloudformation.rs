//! CloudFormation: what the stack is, and what belongs to it.

use std::collections::BTreeMap;

use super::{CallError, ControlPlane, Service, child_text, element_text, members};

const VERSION: &str = "2010-05-15";
/// Far more than a stack may have: at 100 resources a page, 500 resources at most.
const PAGES_MAX: usize = 20;

/// A deployed stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StackState {
    /// Such as `UPDATE_COMPLETE`.
    pub(crate) status: String,
    /// When it was last changed, as AWS writes it.
    pub(crate) changed_at: Option<String>,
    pub(crate) outputs: BTreeMap<String, String>,
}

/// A part of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// Its name in AWS.
    pub(crate) physical_id: String,
    /// Such as `AWS::CloudWatch::Alarm`.
    pub(crate) kind: String,
}

impl ControlPlane {
    pub(crate) async fn stack(&self, name: &str) -> Result<StackState, CallError> {
        const ACTION: &str = "DescribeStacks";
        let xml = self.query(Service::CloudFormation, VERSION, ACTION, &[("StackName", name)]).await?;
        stack_state(&xml).ok_or_else(|| unexpected(ACTION, "a stack"))
    }

    /// All resources of a stack.
    pub(crate) async fn resources(&self, stack: &str) -> Result<Vec<Resource>, CallError> {
        const ACTION: &str = "ListStackResources";
        let mut resources = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut parameters = vec![("StackName", stack)];
            parameters.extend(next.as_deref().map(|token| ("NextToken", token)));
            let xml = self.query(Service::CloudFormation, VERSION, ACTION, &parameters).await?;
            let document = roxmltree::Document::parse(&xml).map_err(|_| unexpected(ACTION, "XML"))?;
            resources.extend(members(&document, "StackResourceSummaries").filter_map(|node| {
                Some(Resource {
                    logical_id: child_text(node, "LogicalResourceId")?,
                    physical_id: child_text(node, "PhysicalResourceId")?,
                    kind: child_text(node, "ResourceType")?,
                })
            }));
            next = element_text(&xml, "NextToken");
            if next.is_none() {
                break;
            }
        }
        Ok(resources)
    }

    /// The template that a stack was made from, after SAM has transformed it.
    pub(crate) async fn template(&self, stack: &str) -> Result<String, CallError> {
        const ACTION: &str = "GetTemplate";
        let parameters = [("StackName", stack), ("TemplateStage", "Processed")];
        let xml = self.query(Service::CloudFormation, VERSION, ACTION, &parameters).await?;
        element_text(&xml, "TemplateBody").ok_or_else(|| unexpected(ACTION, "a template"))
    }
}

fn unexpected(action: &str, expected: &'static str) -> CallError {
    CallError::Unexpected { call: format!("cloudformation:{action}"), expected }
}

fn stack_state(xml: &str) -> Option<StackState> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let pairs = |list, key, value| {
        members(&document, list)
            .filter_map(|node| Some((child_text(node, key)?, child_text(node, value)?)))
            .collect::<BTreeMap<_, _>>()
    };
    Some(StackState {
        status: element_text(xml, "StackStatus")?,
        changed_at: element_text(xml, "LastUpdatedTime").or_else(|| element_text(xml, "CreationTime")),
        outputs: pairs("Outputs", "OutputKey", "OutputValue"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_read_with_its_outputs() {
        let xml = "<R xmlns='http://cloudformation.amazonaws.com/doc/2010-05-15/'><Stacks><member>
            <StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-03-31T23:33:20Z</CreationTime>
            <Outputs><member><OutputKey>A</OutputKey><OutputValue>1</OutputValue></member></Outputs>
            </member></Stacks></R>";
        let state = stack_state(xml).unwrap();
        assert_eq!(
            (state.status.as_str(), state.changed_at.as_deref()),
            ("CREATE_COMPLETE", Some("2026-03-31T23:33:20Z"))
        );
        assert_eq!(state.outputs["A"], "1");
        assert_eq!(stack_state("<R/>"), None);
    }
}
