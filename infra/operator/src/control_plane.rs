//! AWS's own APIs about the deployment: fourteen calls of seven services, signed here.
//!
//! Their SDKs would be right, and are three times as large as all others that are compiled here together (see the decision
//! `the-operator-signs-its-own-calls`).

mod cloudformation;
mod cloudwatch;
mod events;
mod gateway;
mod iam;
mod lambda;
mod logs;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::Value;

pub(crate) use self::cloudformation::Resource;
pub(crate) use self::cloudwatch::Alarm;
pub(crate) use self::lambda::{EventSource, Function};
pub(crate) use self::logs::LogEvent;
use crate::http::{Http, HttpAnswer, NoAnswer};

const ATTEMPTS_MAX: u32 = 4;
const BACK_OFF_FIRST: Duration = Duration::from_millis(200);

/// The account's control plane in one Region.
#[derive(Clone, Debug)]
pub(crate) struct ControlPlane {
    http: Http,
    credentials: Credentials,
    region: String,
    /// Where all services answer, if not at AWS.
    endpoint: Option<String>,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    CloudFormation,
    CloudWatch,
    Events,
    /// API Gateway's `@connections`, which has an endpoint of its own in every stack.
    Gateway,
    Iam,
    Lambda,
    Logs,
}

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// There was no answer.
    #[error("{call} was not answered")]
    NoAnswer {
        /// Service and action.
        call: String,
        /// The cause.
        #[source]
        source: NoAnswer,
    },
    /// The answer was no.
    #[error("{call} was refused with {status} {code}: {message}")]
    Refused {
        /// Service and action.
        call: String,
        /// The HTTP status.
        status: u16,
        /// AWS's name for the reason.
        code: String,
        /// In its words.
        message: String,
    },
    /// The answer is not what it should be.
    #[error("{call} was answered with something else than {expected}")]
    Unexpected {
        /// Service and action.
        call: String,
        /// What was expected.
        expected: &'static str,
    },
}

impl CallError {
    /// Whether what it is about does not exist.
    pub(crate) fn is_no_such_thing(&self) -> bool {
        match self {
            // CloudFormation has no code of its own for a stack that is not there.
            Self::Refused { code, message, .. } if code == "ValidationError" => {
                message.contains("does not exist")
            }
            Self::Refused { status, code, .. } => *status == 404 || code == "ResourceNotFoundException",
            Self::NoAnswer { .. } | Self::Unexpected { .. } => false,
        }
    }

    /// Whether the credentials lack the permission.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Refused { status: 403, .. })
            || matches!(self, Self::Refused { code, .. } if code.contains("AccessDenied"))
    }
}

/// A call under way.
struct Call {
    service: Service,
    action: &'static str,
    method: &'static str,
    /// Where it is sent, if not to where its service answers.
    origin: Option<String>,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Service {
    /// The name in signatures and host names.
    const fn name(self) -> &'static str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::CloudWatch => "monitoring",
            Self::Events => "events",
            Self::Gateway => "execute-api",
            Self::Iam => "iam",
            Self::Lambda => "lambda",
            Self::Logs => "logs",
        }
    }

    /// Where it answers, and the Region that its signatures name. IAM has one place in each partition.
    fn at(self, region: &str) -> (String, String) {
        let (suffix, global) = match region.split_once('-') {
            Some(("cn", _)) => ("amazonaws.com.cn", "cn-north-1"),
            Some(_) | None => ("amazonaws.com", "us-east-1"),
        };
        match self {
            Self::Iam if global == "us-east-1" => (format!("https://iam.{suffix}"), global.to_owned()),
            Self::Iam => (format!("https://iam.{global}.{suffix}"), global.to_owned()),
            Self::CloudFormation
            | Self::CloudWatch
            | Self::Events
            | Self::Gateway
            | Self::Lambda
            | Self::Logs => (format!("https://{}.{region}.{suffix}", self.name()), region.to_owned()),
        }
    }
}

impl Call {
    fn name(&self) -> String {
        format!("{}:{}", self.service.name(), self.action)
    }

    fn unexpected(&self, expected: &'static str) -> CallError {
        CallError::Unexpected { call: self.name(), expected }
    }

    /// What a refusal says, in either of AWS's forms.
    fn refused(&self, answer: &HttpAnswer) -> CallError {
        let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text =
            |names: [&str; 2]| names.iter().find_map(|name| json.get(name)?.as_str().map(str::to_owned));
        let code = text(["__type", "code"]).or_else(|| element_text(&answer.body, "Code"));
        let code = code.unwrap_or_default();
        CallError::Refused {
            call: self.name(),
            status: answer.status,
            code: code.rsplit('#').next().unwrap_or_default().to_owned(),
            message: text(["message", "Message"])
                .or_else(|| element_text(&answer.body, "Message"))
                .unwrap_or_default(),
        }
    }
}

impl ControlPlane {
    pub(crate) fn new(http: Http, credentials: Credentials, region: &str, endpoint: Option<&str>) -> Self {
        let endpoint = endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        Self { http, credentials, region: region.to_owned(), endpoint }
    }

    /// A call of a service that takes forms and answers with XML.
    async fn query(
        &self,
        service: Service,
        version: &'static str,
        action: &'static str,
        parameters: &[(&str, &str)],
    ) -> Result<String, CallError> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", version)
            .extend_pairs(parameters)
            .finish();
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        let (method, path) = ("POST", "/".to_owned());
        let call = Call { service, action, method, origin: None, path, headers, body };
        Ok(self.make(&call).await?.body)
    }

    /// A call of a service that answers with JSON.
    async fn json(&self, call: Call) -> Result<Value, CallError> {
        let answer = self.make(&call).await?;
        serde_json::from_str(&answer.body).map_err(|_| call.unexpected("JSON"))
    }

    /// Makes a call, again if it was not answered or AWS is busy: all of them only read.
    async fn make(&self, call: &Call) -> Result<HttpAnswer, CallError> {
        let mut pause = BACK_OFF_FIRST;
        let mut attempt = 1;
        loop {
            let outcome = match self.http.send(self.signed(call)?).await {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(answer),
                Ok(answer) => Err(call.refused(&answer)),
                Err(source) => Err(CallError::NoAnswer { call: call.name(), source }),
            };
            let may_pass = match &outcome {
                Err(CallError::Refused { status, code, .. }) => {
                    *status == 429 || *status >= 500 || code.contains("Throttling")
                }
                Err(CallError::NoAnswer { .. }) => self.endpoint.is_none(),
                Ok(_) | Err(CallError::Unexpected { .. }) => false,
            };
            if !may_pass || attempt == ATTEMPTS_MAX {
                return outcome;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// The request with a version 4 signature.
    fn signed(&self, call: &Call) -> Result<http::Request<String>, CallError> {
        let (origin, region) = call.service.at(&self.region);
        let own = call.origin.as_deref().or(self.endpoint.as_deref());
        let url = format!("{}{}", own.unwrap_or(&origin), call.path);
        let unusable = || call.unexpected("a URL and headers that can be signed");
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(call.service.name())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| unusable())?
            .into();
        let headers = call.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let body = SignableBody::Bytes(call.body.as_bytes());
        let signable = SignableRequest::new(call.method, &url, headers.clone(), body);
        let (instructions, _) =
            sign(signable.map_err(|_| unusable())?, &parameters).map_err(|_| unusable())?.into_parts();
        let mut request = http::Request::builder().method(call.method).uri(&url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(call.body.clone()).map_err(|_| unusable())?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// The text of the first element of that name, whatever its namespace.
fn element_text(xml: &str, name: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let found = document.descendants().find(|node| node.tag_name().name() == name)?;
    Some(found.text().unwrap_or_default().trim().to_owned())
}

/// The text of a child element.
fn child_text(node: roxmltree::Node<'_, '_>, name: &str) -> Option<String> {
    let child = node.children().find(|child| child.tag_name().name() == name)?;
    Some(child.text().unwrap_or_default().trim().to_owned())
}

/// The `member` elements of the list `name`, in the whole document.
fn members<'a, 'input>(
    document: &'a roxmltree::Document<'input>,
    name: &'a str,
) -> impl Iterator<Item = roxmltree::Node<'a, 'input>> {
    document
        .descendants()
        .filter(move |node| node.tag_name().name() == name)
        .flat_map(|list| list.children())
        .filter(|child| child.tag_name().name() == "member")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_hosts() {
        let at = |service: Service, region| service.at(region);
        assert_eq!(
            at(Service::CloudWatch, "eu-west-1"),
            ("https://monitoring.eu-west-1.amazonaws.com".to_owned(), "eu-west-1".to_owned())
        );
        assert_eq!(
            at(Service::Iam, "eu-west-1"),
            ("https://iam.amazonaws.com".to_owned(), "us-east-1".to_owned())
        );
        assert_eq!(
            at(Service::Iam, "cn-northwest-1"),
            ("https://iam.cn-north-1.amazonaws.com.cn".to_owned(), "cn-north-1".to_owned())
        );
    }

    #[test]
    fn a_refusal_is_read_in_both_forms() {
        let call = Call {
            service: Service::Logs,
            action: "FilterLogEvents",
            method: "POST",
            origin: None,
            path: "/".to_owned(),
            headers: Vec::new(),
            body: String::new(),
        };
        let answer = |body: &str| HttpAnswer { status: 400, date: None, body: body.to_owned() };
        for body in [
            r#"{"__type":"com.amazonaws#AccessDeniedException","message":"not you"}"#,
            "<E xmlns='x'><Error><Code>AccessDeniedException</Code><Message>not you</Message></Error></E>",
        ] {
            let error = call.refused(&answer(body));
            assert!(error.is_denied());
            assert_eq!(
                error.to_string(),
                "logs:FilterLogEvents was refused with 400 AccessDeniedException: not you"
            );
        }
    }
}
