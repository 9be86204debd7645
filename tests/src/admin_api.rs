//! Signed calls to services of the local AWS whose SDK would take longer to compile than it is worth.

mod configuration;

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::Client;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::connector::{HttpAnswer, NoAnswer, http_client};
use crate::stack::Stack;
use crate::stamp::now_ms;

/// How many log events one call returns at most.
const LOG_PAGE: usize = 10_000;

/// The administrator's view of the local AWS.
pub struct AdminApi {
    http: Client,
    endpoint: String,
    region: String,
    credentials: Credentials,
}

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There was no answer.
    #[error("the local AWS does not answer")]
    NoAnswer(#[from] NoAnswer),
    /// The answer was a refusal, or not what it should be.
    #[error("{call}: {status} {body}")]
    Unexpected {
        /// What was called.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The body as it came.
        body: String,
    },
}

/// What a function returned.
#[derive(Clone, Debug, PartialEq)]
pub enum Invoked {
    /// Its answer.
    Answered(Value),
    /// It failed; this is its error.
    Failed(Value),
}

impl AdminApi {
    /// The administrator of `stack`.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self {
            http: http_client(),
            endpoint: stack.aws_endpoint.trim_end_matches('/').to_owned(),
            region: stack.region.clone(),
            credentials: stack.credentials(),
        }
    }

    /// Every line a function has logged since `since_ms` (milliseconds since the Unix epoch), oldest first.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn log_lines(&self, function: &str, mut since_ms: u64) -> Result<Vec<String>, AdminError> {
        let mut lines = Vec::new();
        loop {
            let query = json!({
                "logGroupName": format!("/aws/lambda/{function}"), "startTime": since_ms, "limit": LOG_PAGE,
            });
            let answer = self.logs("FilterLogEvents", &query).await?;
            let events = answer["events"].as_array().map_or(&[][..], Vec::as_slice);
            // The local AWS gives no token for what does not fit. The last millisecond may have been cut in two, so it
            // is left to the next page.
            let next_ms =
                events.get(LOG_PAGE - 1).and_then(timestamp_ms).filter(|next_ms| *next_ms > since_ms);
            let whole = events.iter().filter(|event| next_ms.is_none() || timestamp_ms(event) < next_ms);
            lines.extend(whole.filter_map(|event| Some(event["message"].as_str()?.trim_end().to_owned())));
            match next_ms {
                Some(next_ms) => since_ms = next_ms,
                None => return Ok(lines),
            }
        }
    }

    /// Writes lines where those of a function named `function` would be, oldest first.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn put_log_lines(&self, function: &str, lines: &[String]) -> Result<(), AdminError> {
        let (group, stream) = (format!("/aws/lambda/{function}"), "planted");
        let events: Vec<_> =
            lines.iter().map(|line| json!({ "timestamp": now_ms(), "message": line })).collect();
        self.logs("CreateLogGroup", &json!({ "logGroupName": group })).await?;
        let place = json!({ "logGroupName": group, "logStreamName": stream });
        self.logs("CreateLogStream", &place).await?;
        let events = json!({ "logGroupName": group, "logStreamName": stream, "logEvents": events });
        self.logs("PutLogEvents", &events).await.map(drop)
    }

    /// The name of a function's role.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn function_role(&self, function: &str) -> Result<String, AdminError> {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        let answer = self.call("GET", "lambda", &path, &[], String::new()).await?;
        let role = answer.json["Role"].as_str().and_then(|arn| arn.rsplit('/').next());
        role.map(str::to_owned).ok_or_else(|| AdminError::Unexpected {
            call: format!("GetFunctionConfiguration {function}"),
            status: answer.status,
            body: answer.body.clone(),
        })
    }

    /// One inline policy of a role.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn role_policy(&self, role: &str, policy: &str) -> Result<Value, AdminError> {
        let call = [("Action", "GetRolePolicy"), ("RoleName", role), ("PolicyName", policy)];
        let answer = self.iam(&call).await?;
        // IAM percent-encodes the document inside its XML.
        let document = elements(&answer, "PolicyDocument").next().map(percent_decode);
        document.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| AdminError::Unexpected {
            call: format!("GetRolePolicy {role} {policy}"),
            status: 200,
            body: answer.clone(),
        })
    }

    /// Puts an inline policy on a role, over any of that name.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn put_role_policy(
        &self,
        role: &str,
        policy: &str,
        document: &Value,
    ) -> Result<(), AdminError> {
        let document = document.to_string();
        let call = [
            ("Action", "PutRolePolicy"),
            ("RoleName", role),
            ("PolicyName", policy),
            ("PolicyDocument", &document),
        ];
        self.iam(&call).await.map(drop)
    }

    /// Invokes a function and waits for what it returns.
    ///
    /// # Errors
    ///
    /// [`AdminError`]. A function that fails is [`Invoked::Failed`].
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Invoked, AdminError> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = self.call("POST", "lambda", &path, &[], event.to_string()).await?;
        let has_failed = answer.headers.contains_key("x-amz-function-error");
        Ok(if has_failed { Invoked::Failed(answer.json) } else { Invoked::Answered(answer.json) })
    }

    /// Gives a function new processes. The local AWS ends those that are in the middle of something, which AWS itself
    /// does not.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn restart(&self, function: &str) -> Result<(), AdminError> {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        let configuration = self.call("GET", "lambda", &path, &[], String::new()).await?.json;
        // Anything that a process starts with will do, unchanged too.
        let update = json!({ "Timeout": configuration["Timeout"] }).to_string();
        self.call("PUT", "lambda", &path, &[], update).await.map(drop)
    }

    async fn logs(&self, action: &str, query: &Value) -> Result<Value, AdminError> {
        let target = format!("Logs_20140328.{action}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)];
        Ok(self.call("POST", "logs", "/", &headers, query.to_string()).await?.json)
    }

    async fn iam(&self, parameters: &[(&str, &str)]) -> Result<String, AdminError> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Version", "2010-05-08")
            .extend_pairs(parameters)
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        Ok(self.call("POST", "iam", "/", &headers, body).await?.body)
    }

    async fn call(
        &self,
        method: &str,
        service: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<HttpAnswer, AdminError> {
        let request = self.signed(method, service, &format!("{}{path}", self.endpoint), headers, body);
        let answer = HttpAnswer::read(self.http.execute(request).await).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let call = format!("{service} {path}");
        Err(AdminError::Unexpected { call, status: answer.status, body: answer.body })
    }

    /// A request with a version 4 signature of the administrator.
    fn signed(
        &self,
        method: &str,
        service: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> reqwest::Request {
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .expect("all parameters are set")
            .into();
        let signable =
            SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()))
                .expect("the URL and the headers are ours");
        let (instructions, _) = sign(signable, &parameters).expect("a key is set").into_parts();
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).expect("the URL and the headers are ours");
        instructions.apply_to_request_http1x(&mut request);
        request.try_into().expect("an HTTP request stays one")
    }
}

fn timestamp_ms(event: &Value) -> Option<u64> {
    event["timestamp"].as_u64()
}

/// The contents of every `<name>` element. Enough for IAM's flat answers.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let contents: Vec<&str> = xml
        .split(open.as_str())
        .skip(1)
        .filter_map(|rest| rest.split_once(close.as_str()).map(|(content, _)| content.trim()))
        .collect();
    contents.into_iter()
}

fn percent_decode(text: &str) -> String {
    // A form's decoder, made not to read `+` as a space.
    let form = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(form.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_document_survives_its_encoding() {
        let xml = "<A><PolicyDocument>%7B%22a%22%3A%20%22b+c%26d=e%22%7D</PolicyDocument></A>";
        let document = elements(xml, "PolicyDocument").next().map(percent_decode).unwrap();
        assert_eq!(document, r#"{"a": "b+c&d=e"}"#);
    }
}
