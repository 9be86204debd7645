//! IAM: what a function's role allows.

use serde_json::Value;

use super::{CallError, ControlPlane, Service, element_text};

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
    fn a_document_is_decoded() {
        let xml = "<R xmlns='x'><PolicyDocument>%7B%22a%22%3A%20%22b+c%26d=e%22%7D</PolicyDocument></R>";
        assert_eq!(document(xml).unwrap()["a"], "b+c&d=e");
        assert_eq!(document("<R/>"), None);
    }
}
