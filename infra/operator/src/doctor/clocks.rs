//! Clocks: proofs carry times, and are refused when clocks differ too far.

use std::time::Duration;

use backbone::limits::PROOF_SKEW_S_MAX;
use backbone_aws::settings::REGISTRY_URL;
use http::Uri;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{Finding, Patient};

/// Worth knowing, long before it does harm. The header has whole seconds and the answer was on its way.
const SKEW_WORTH_KNOWING: Duration = Duration::from_secs(30);

/// Compares the clock here with those of the HTTP API and of the registry.
pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let deployment = patient.deployment;
    let mut places: Vec<(String, String)> = Vec::new();
    places.extend(
        deployment.outputs.get("HttpApiUrl").map(|url| ("API Gateway".to_owned(), format!("{url}/health"))),
    );
    for (origin, _) in patient.variable_values(REGISTRY_URL) {
        let host = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
        let name = format!("the registry {}", host.unwrap_or_default());
        places.push((name, format!("{origin}/.well-known/claw-keys.json")));
    }
    let mut findings = Vec::new();
    for (name, url) in places {
        // Whoever does not answer was found out by another check.
        if let Ok(answer) = deployment.http().get(&url).await {
            findings.push(finding(&name, answer.date.as_deref(), deployment.now_ms()));
        }
    }
    findings
}

fn finding(name: &str, date: Option<&str>, now_ms: u64) -> Finding {
    let check = format!("clock of {name}");
    // The header's zone is always GMT, which the mail format writes as a number too.
    let date = date.and_then(|date| OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822).ok());
    let Some(theirs_s) = date.and_then(|date| u64::try_from(date.unix_timestamp()).ok()) else {
        return Finding::warning(check, "says no time", "compare the clocks by hand");
    };
    let skew_s = (now_ms / 1_000).abs_diff(theirs_s);
    let found = format!("{skew_s} s from ours");
    let remedy = "set the clock that is wrong, here or there: a proof is good for 5 minutes around the functions' time";
    if skew_s >= PROOF_SKEW_S_MAX {
        Finding::fault(check, found, remedy)
    } else if skew_s > SKEW_WORTH_KNOWING.as_secs() {
        Finding::warning(check, found, remedy)
    } else {
        Finding::fine(check, found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_refuses_proofs_is_a_fault() {
        let date = Some("Tue, 31 Mar 2026 23:33:20 GMT");
        let at = 1_775_000_000_000;
        for (now_ms, verdict) in [
            (at, Verdict::Fine),
            (at + 30_999, Verdict::Fine),
            (at - 31_000, Verdict::Warning),
            (at + 300_000, Verdict::Fault),
        ] {
            assert_eq!(finding("x", date, now_ms).verdict, verdict, "{now_ms}");
        }
        assert_eq!(finding("x", Some("noon"), at).verdict, Verdict::Warning);
    }
}
