//! The identity registry: there, and known to the functions.

use backbone::error_chain::ErrorChain;
use backbone::limits::{CRL_BYTES_MAX, KEYS_BYTES_MAX};
use backbone::stores::TrustStore;
use backbone_aws::settings::REGISTRY_URL;
use serde_json::Value;

use super::{Finding, Patient};
use crate::http::{HttpAnswer, NoAnswer};
use crate::when::span;

/// Three rounds of the function that renews the registry's rows every five minutes.
const ROWS_AGE_MS_MAX: u64 = 15 * 60 * 1_000;
/// The key of the output that names that function.
const RENEWER: &str = "RegistryEventsFunction";

pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (origin, functions) in patient.variable_values(REGISTRY_URL) {
        let http = patient.deployment.http();
        let keys = http.get_up_to(&format!("{origin}/.well-known/claw-keys.json"), KEYS_BYTES_MAX).await;
        findings.push(keys_finding(&format!("registry's keys {origin}"), keys, &functions));
        let crl = http.get_up_to(&format!("{origin}/v1/crl"), CRL_BYTES_MAX).await;
        findings.push(crl_finding(&format!("registry's revocations {origin}"), crl));
    }
    findings.extend(rows(patient).await);
    findings
}

fn keys_finding(check: &str, answer: Result<HttpAnswer, NoAnswer>, functions: &[&str]) -> Finding {
    let remedy = format!(
        "until it answers, agents whose access tokens are not remembered are refused with 503 by {}; see whether the \
         registry runs and whether RegistryUrl is its address",
        functions.join(" and ")
    );
    match answer {
        Ok(HttpAnswer { status: 200, body, .. }) => {
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            match body["keys"].as_array().map(Vec::len) {
                Some(1) => Finding::fine(check, "1 key"),
                Some(count @ 2..) => Finding::fine(check, format!("{count} keys")),
                Some(0) | None => Finding::fault(check, "answers without keys", remedy),
            }
        }
        Ok(HttpAnswer { status, .. }) => Finding::fault(check, format!("answers with {status}"), remedy),
        Err(error @ NoAnswer::TooLong { .. }) => Finding::fault(
            check,
            error.to_string(),
            "the functions do not read it either and go on with the keys that they know: it must be shorter, or KEYS_BYTES_MAX \
             (functions/backbone/src/limits.rs) larger",
        ),
        Err(error @ (NoAnswer::Request(_) | NoAnswer::Transport { .. })) => {
            Finding::fault(check, ErrorChain(&error).to_string(), remedy)
        }
    }
}

fn crl_finding(check: &str, answer: Result<HttpAnswer, NoAnswer>) -> Finding {
    let remedy = "revocations that no event announces take effect only when it answers again";
    match answer {
        Ok(HttpAnswer { status: 200, .. }) => Finding::fine(check, "published"),
        Ok(HttpAnswer { status: 404, .. }) => Finding::fine(check, "none yet"),
        Ok(HttpAnswer { status, .. }) => Finding::fault(check, format!("answers with {status}"), remedy),
        Err(error @ NoAnswer::TooLong { .. }) => {
            let remedy = "the functions do not read it either: revocations that no event announces take effect only when it is \
                          shorter, or when CRL_BYTES_MAX (functions/backbone/src/limits.rs) is larger";
            Finding::fault(check, error.to_string(), remedy)
        }
        Err(error @ (NoAnswer::Request(_) | NoAnswer::Transport { .. })) => {
            Finding::fault(check, ErrorChain(&error).to_string(), remedy)
        }
    }
}

/// The rows that spare every instance its own question.
async fn rows(patient: &Patient<'_>) -> Option<Finding> {
    let renewer = patient.deployment.outputs.get(RENEWER)?;
    let check = "registry's keys in the trust table";
    let remedy = format!("read the log of {renewer}, and see whether its schedule is enabled");
    let rows = match patient.deployment.stores().registry_rows().await {
        Ok(rows) => rows,
        Err(error) => return Some(Finding::not_read(check, &error, "dynamodb:BatchGetItem")),
    };
    if rows.keys.is_none() {
        return Some(Finding::fault(check, "never fetched", remedy));
    }
    let age_ms = patient.deployment.now_ms().saturating_sub(rows.keys_at_ms);
    let found = format!("fetched {} ago", span(age_ms));
    Some(if age_ms > ROWS_AGE_MS_MAX {
        Finding::fault(check, found, remedy)
    } else {
        Finding::fine(check, found)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn answer(status: u16, body: &str) -> HttpAnswer {
        HttpAnswer { status, date: None, body: body.to_owned() }
    }

    #[test]
    fn a_registry_without_keys_is_no_registry() {
        let verdict = |answer| keys_finding("x", answer, &["receipt"]).verdict;
        assert_eq!(verdict(Ok(answer(200, r#"{"keys":[{}]}"#))), Verdict::Fine);
        for (status, body) in [(200, r#"{"keys":[]}"#), (200, "hello"), (503, r#"{"keys":[{}]}"#)] {
            assert_eq!(verdict(Ok(answer(status, body))), Verdict::Fault, "{status} {body}");
        }
        assert_eq!(verdict(Err(NoAnswer::Request("x".to_owned()))), Verdict::Fault);
    }

    #[test]
    fn a_registry_may_have_revoked_nobody() {
        assert_eq!(crl_finding("x", Ok(answer(404, ""))).verdict, Verdict::Fine);
        assert_eq!(crl_finding("x", Ok(answer(500, ""))).verdict, Verdict::Fault);
    }

    #[test]
    fn what_is_too_long_is_told_from_what_is_not_there() {
        let too_long = |bytes_max| Err(NoAnswer::TooLong { url: "u".to_owned(), bytes_max });
        let keys = keys_finding("x", too_long(KEYS_BYTES_MAX), &["receipt"]);
        assert!(keys.verdict == Verdict::Fault && keys.remedy.unwrap().contains("KEYS_BYTES_MAX"));
        let finding = crl_finding("x", too_long(CRL_BYTES_MAX));
        assert_eq!(
            (finding.verdict, finding.found.as_str()),
            (Verdict::Fault, "u answers with more than 16777216 bytes")
        );
        assert!(finding.remedy.unwrap().contains("CRL_BYTES_MAX"));
    }
}
