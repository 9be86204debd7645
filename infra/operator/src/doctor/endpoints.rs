//! What connectors and functions call: the HTTP API, the WebSocket API, and `@connections`.

use backbone::error_chain::ErrorChain;
use backbone_aws::settings::CONNECTIONS_ENDPOINT;
use serde_json::Value;

use super::{Finding, Patient};
use crate::http::{Http, HttpAnswer, NoAnswer};

const HEALTH_PATH: &str = "/health";
const SEE_ADDRESS: &str = "see whether the address is this stack's (its outputs name them); if it is and was changed by hand, \
     docs/upgrade.md#what-was-changed-by-hand";

pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let deployment = patient.deployment;
    let mut findings = Vec::new();
    for (name, origin) in [
        ("front door", deployment.proxy_url.as_deref()),
        ("HTTP API", deployment.outputs.get("HttpApiUrl").map(String::as_str)),
    ] {
        if let Some(origin) = origin {
            let answer =
                deployment.http().get(&format!("{}{HEALTH_PATH}", origin.trim_end_matches('/'))).await;
            findings.push(health(&format!("{name} {origin}"), answer));
        }
    }
    if let Some(url) = deployment.outputs.get("WebSocketUrl") {
        findings.push(web_socket(deployment.http(), url).await);
    }
    findings.extend(connections(patient).await);
    findings
}

fn health(check: &str, answer: Result<HttpAnswer, NoAnswer>) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Finding::fault(check, ErrorChain(&error).to_string(), SEE_ADDRESS),
    };
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match (answer.status, body["version"].as_str()) {
        (200, Some(version)) => Finding::fine(check, format!("answers, version {version}")),
        (status, _) => {
            Finding::fault(check, format!("answers {HEALTH_PATH} with {status} and no version"), SEE_ADDRESS)
        }
    }
}

/// Knocks without a token. Whoever refuses that is there.
async fn web_socket(http: &Http, url: &str) -> Finding {
    let check = format!("WebSocket API {url}");
    let handshake = http::Request::get(url.replacen("ws", "http", 1))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "b3BlcmF0b3IgZG9jdG9yIQ==")
        .body(String::new());
    let answer = match handshake {
        Ok(request) => http.send(request).await,
        Err(_) => Err(NoAnswer::Request(url.to_owned())),
    };
    handshake_finding(check, url, answer)
}

/// AWS answers a refusal with 401, and with 500 if the authorizer does not come to one. MiniStack, which has no TLS,
/// answers a refusal with 500.
fn handshake_finding(check: String, url: &str, answer: Result<HttpAnswer, NoAnswer>) -> Finding {
    match answer {
        Ok(HttpAnswer { status: 401, .. }) => Finding::fine(check, "refuses a handshake without a token"),
        Ok(HttpAnswer { status: 500, .. }) if url.starts_with("ws://") => {
            Finding::fine(check, "refuses a handshake without a token")
        }
        Ok(HttpAnswer { status: 500, .. }) => Finding::fault(
            check,
            "answers a handshake without a token with 500: its authorizer fails",
            "read the authorizer's log; docs/runbook.md#authorizer-crashes",
        ),
        Ok(HttpAnswer { status, .. }) => {
            Finding::fault(check, format!("answers a handshake without a token with {status}"), SEE_ADDRESS)
        }
        Err(error) => Finding::fault(check, ErrorChain(&error).to_string(), SEE_ADDRESS),
    }
}

/// The endpoint that the functions use must be this stack's, and know API Gateway's answers.
async fn connections(patient: &Patient<'_>) -> Vec<Finding> {
    let expected = patient.deployment.outputs.get("ConnectionsEndpoint");
    let mut findings = Vec::new();
    for (endpoint, functions) in patient.variable_values(CONNECTIONS_ENDPOINT) {
        let check = format!("@connections {endpoint}");
        if expected.is_some_and(|expected| *expected != endpoint) {
            let found = format!("{} push to it, and it is not this stack's", functions.join(" and "));
            let remedy = format!(
                "set the function's variable {CONNECTIONS_ENDPOINT} back to {} (docs/upgrade.md#what-was-changed-by-hand)",
                expected.map_or("", |url| url)
            );
            findings.push(Finding::fault(&check, found, remedy));
        }
        findings.push(match patient.control_plane.made_up_connection(&endpoint).await {
            Ok(status @ (400 | 410)) => {
                Finding::fine(check, format!("says {status} of a connection that is none"))
            }
            Ok(403) => Finding::hidden(
                check,
                "refuses your credentials",
                "to have it looked at, allow yourself execute-api:ManageConnections on GET/@connections/*",
            ),
            Ok(status) => Finding::fault(
                check,
                format!("says {status} of a connection that is none, and not 410"),
                SEE_ADDRESS,
            ),
            Err(error) => Finding::fault(check, ErrorChain(&error).to_string(), SEE_ADDRESS),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_authorizer_that_fails_is_no_refusal_on_aws() {
        let verdict = |url: &str, status| {
            let answer = HttpAnswer { status, date: None, body: String::new() };
            handshake_finding("x".to_owned(), url, Ok(answer)).verdict
        };
        for (url, status, expected) in [
            ("wss://a/dev", 401, Verdict::Fine),
            ("wss://a/dev", 500, Verdict::Fault),
            ("ws://127.0.0.1:1/local", 500, Verdict::Fine),
            ("ws://127.0.0.1:1/local", 403, Verdict::Fault),
        ] {
            assert_eq!(verdict(url, status), expected, "{url} {status}");
        }
    }

    #[test]
    fn whoever_answers_must_be_ours() {
        let answer = |status, body: &str| Ok(HttpAnswer { status, date: None, body: body.to_owned() });
        let fine = health("x", answer(200, r#"{"status":"ok","version":"0.1.0"}"#));
        assert_eq!((fine.verdict, fine.found.as_str()), (Verdict::Fine, "answers, version 0.1.0"));
        assert_eq!(health("x", answer(200, "<html>")).verdict, Verdict::Fault);
        assert_eq!(health("x", answer(503, r#"{"version":"0.1.0"}"#)).verdict, Verdict::Fault);
    }
}
