//! Queues: what lies dead, and what is not fetched.

use super::{Finding, Patient};
use crate::dead_letters::queues::{QueuePair, queue_pairs};
use crate::when::span;

/// Longer than any delay that a message is given by the functions, as the alarms on the queues' ages have it.
const AGE_S_MAX: u64 = 20 * 60;

pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for QueuePair { name, source_url, dlq_url } in queue_pairs(patient.deployment) {
        let check = format!("dead letters of {name}");
        findings.push(match patient.deployment.stores().queue_depth(&dlq_url).await {
            Ok(depth) => dead(check, &name, depth.visible + depth.in_flight),
            Err(error) => Finding::not_read(check, &error, "sqs:GetQueueAttributes"),
        });
        let check = format!("queue {name}");
        let queue_name = source_url.rsplit('/').next().unwrap_or_default();
        let now_ms = patient.deployment.now_ms();
        findings.push(match patient.control_plane.oldest_message_s(queue_name, now_ms).await {
            Ok(oldest_s) => waiting(check, oldest_s.unwrap_or_default()),
            Err(error) => Finding::not_seen(check, &error, "cloudwatch:GetMetricStatistics"),
        });
    }
    findings
}

fn dead(check: String, name: &str, count: u64) -> Finding {
    if count == 0 {
        return Finding::fine(check, "none");
    }
    let remedy = format!(
        "`operator dead-letters list --queue {name}` has them by reason, and docs/runbook.md#dead-letters what to do about each"
    );
    Finding::warning(check, format!("{count}"), remedy)
}

fn waiting(check: String, oldest_s: u64) -> Finding {
    if oldest_s <= AGE_S_MAX {
        return Finding::fine(check, "nothing waits for long");
    }
    let found = format!("its oldest message has waited for {}", span(oldest_s.saturating_mul(1_000)));
    Finding::warning(check, found, "docs/runbook.md#receipts-queue-age says why a queue may not be read")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn dead_letters_and_old_messages_are_told() {
        assert_eq!(dead("x".to_owned(), "receipts", 0).verdict, Verdict::Fine);
        let told = dead("x".to_owned(), "receipts", 2);
        assert_eq!((told.verdict, told.found.as_str()), (Verdict::Warning, "2"));
        assert_eq!(waiting("x".to_owned(), AGE_S_MAX).verdict, Verdict::Fine);
        assert_eq!(waiting("x".to_owned(), AGE_S_MAX + 1).verdict, Verdict::Warning);
    }
}
