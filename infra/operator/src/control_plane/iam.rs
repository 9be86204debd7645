//! IAM: what a function's role allows.

use serde_json::Value;

use super::{CallError, ControlPlane, Service, child_text, element_text, members};

const VERSION: &str = "2010-05-08";

impl ControlPlane {
    /// An inline policy of a role.
    pub(crate) async fn role_policy(&self, role: &str, policy: &str) -> Result<Value, CallError> {
        const ACTION: &str = "GetRolePolicy";
        let parameters = [("RoleName", role), ("PolicyName", policy)];
        let xml = self.query(Service::Iam, VERSION, ACTION, &parameters).await?;
        document(&xml).ok_or_else(|| CallError::Unexpected {
            call: format!("iam:{ACTION}"),
            expected: "a policy document",
        })
    }
}

impl ControlPlane {
    /// The names of a role's inline policies. A page holds a hundred, which is more than a role's text may be.
    pub(crate) async fn inline_policies(&self, role: &str) -> Result<Vec<String>, CallError> {
        let call = "ListRolePolicies";
        let xml = self.query(Service::Iam, VERSION, call, &[("RoleName", role)]).await?;
        names(&xml, "PolicyNames", |node| node.text().map(str::to_owned)).ok_or_else(|| no_xml(call))
    }

    /// The names of the managed policies that are attached to a role, of which there are twenty at most.
    pub(crate) async fn attached_policies(&self, role: &str) -> Result<Vec<String>, CallError> {
        let call = "ListAttachedRolePolicies";
        let xml = self.query(Service::Iam, VERSION, call, &[("RoleName", role)]).await?;
        names(&xml, "AttachedPolicies", |node| child_text(node, "PolicyName")).ok_or_else(|| no_xml(call))
    }
}

fn no_xml(action: &str) -> CallError {
    CallError::Unexpected { call: format!("iam:{action}"), expected: "a list of policies" }
}

/// What the members of a list are called.
fn names(
    xml: &str,
    list: &str,
    name: impl Fn(roxmltree::Node<'_, '_>) -> Option<String>,
) -> Option<Vec<String>> {
    let document = roxmltree::Document::parse(xml).ok()?;
    Some(members(&document, list).filter_map(name).collect())
}

/// IAM percent-encodes the document inside its XML.
fn document(xml: &str) -> Option<Value> {
    let encoded = element_text(xml, "PolicyDocument")?;
    // A form's decoder, made to take `+`, `&` and `=` as they are.
    let form = encoded.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let decoded = form_urlencoded::parse(form.as_bytes()).next()?.0.into_owned();
    serde_json::from_str(&decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_by_their_names() {
        let xml = "<R xmlns='x'><PolicyNames><member>a</member><member>b</member></PolicyNames></R>";
        assert_eq!(names(xml, "PolicyNames", |node| node.text().map(str::to_owned)).unwrap(), ["a", "b"]);
        let xml = "<R xmlns='x'><AttachedPolicies><member><PolicyName>c</PolicyName><PolicyArn>arn:c</PolicyArn>\
                   </member></AttachedPolicies></R>";
        assert_eq!(names(xml, "AttachedPolicies", |node| child_text(node, "PolicyName")).unwrap(), ["c"]);
    }

    #[test]
    fn a_document_is_decoded() {
        let xml = "<R xmlns='x'><PolicyDocument>%7B%22a%22%3A%20%22b+c%26d=e%22%7D</PolicyDocument></R>";
        assert_eq!(document(xml).unwrap()["a"], "b+c&d=e");
        assert_eq!(document("<R/>"), None);
    }
}
