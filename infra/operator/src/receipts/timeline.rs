//! A receipt's steps, from log lines and stored rows.

use std::collections::BTreeSet;

use backbone::receipt::StoredReceipt;
use backbone::timestamp::to_iso;
use backbone::trail;
use serde::Serialize;

use super::lines::Line;

/// One step of a receipt's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    #[serde(skip)]
    at_ms: u64,
    /// When, as far as is known.
    pub(super) at: String,
    /// Its name.
    #[serde(rename = "step")]
    pub(super) kind: &'static str,
    /// The reason, the error's code, or whatever else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<String>,
}

impl Step {
    /// The code with which the POST was refused, if this is that.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.detail.as_deref().filter(|_| self.kind == REFUSED)
    }

    /// Whether the POST was not refused, as it led to this.
    pub(super) fn follows_acceptance(&self) -> bool {
        ![REFUSED, WARNING].contains(&self.kind)
    }

    /// Whether it is on a peer's queue from here on.
    pub(super) fn is_at_peer(&self) -> bool {
        self.kind == trail::FORWARDED
    }

    /// Whether it is a dead letter from here on; a death of which a line tells the reason has that as its detail.
    pub(super) fn is_death(&self) -> bool {
        [DEAD, trail::KEPT_DEAD].contains(&self.kind)
    }

    /// Whether a receipt whose way leads here has a row: it is recorded when it was pushed, or waits. One whose push
    /// failed is tried again for a while without.
    pub(super) fn follows_record(&self) -> bool {
        [PUSHED, trail::WAITING, trail::REPEATED, trail::OVERTAKEN].contains(&self.kind)
    }
}

const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";
const PUSHED: &str = "pushed";
const PUSH_FAILED: &str = "push_failed";
const NOT_OPEN_YET: &str = "not_open_yet";
const GONE: &str = "gone";
const TOO_LARGE: &str = "too_large";
const DEAD: &str = "dead";
const REDRIVEN: &str = "redriven";
const WARNING: &str = "warning";

/// How far apart a push's row and its line may be: one invocation writes both, one after the other.
const ROW_AND_LINE_MS_MAX: u64 = 5_000;

/// The steps that only happen to a receipt that is taken from the queue.
const FROM_THE_QUEUE: [&str; 10] = [
    PUSHED,
    PUSH_FAILED,
    NOT_OPEN_YET,
    GONE,
    TOO_LARGE,
    DEAD,
    trail::WAITING,
    trail::REPEATED,
    trail::OVERTAKEN,
    trail::OTHER_RECIPIENT,
];

/// All steps in the order of time. What a row says is left out where a line says it too.
pub(super) fn timeline(lines: &[Line], stored: Option<&StoredReceipt>) -> Vec<Step> {
    let mut steps: Vec<Step> = lines.iter().filter_map(step).collect();
    if let Some(stored) = stored {
        let accepted_at_ms = stored.receipt.processed_at_ms;
        let is_logged =
            |kind: &str| steps.iter().any(|step| step.kind == kind && step.at_ms >= accepted_at_ms);
        // A POST that is repeated later moves the row's first time past its second one: the push is told by nearness.
        let is_told = |at_ms: u64| {
            steps.iter().any(|step| step.kind == PUSHED && step.at_ms.abs_diff(at_ms) <= ROW_AND_LINE_MS_MAX)
        };
        let pushed_at_ms = stored.pushed_at_ms.filter(|at_ms| !is_told(*at_ms));
        let waits = stored.pushed_at_ms.is_none() && !is_logged(trail::WAITING);
        let status = Some(stored.receipt.status.as_str().to_owned());
        let accepted = Step { detail: status, ..Step::new(accepted_at_ms, ACCEPTED) };
        let pushed = pushed_at_ms.map(|at_ms| Step::new(at_ms, PUSHED));
        let waiting = waits.then(|| Step::new(accepted_at_ms, trail::WAITING));
        steps.extend([Some(accepted), pushed, waiting].into_iter().flatten());
    }
    // Stable: lines of one millisecond stay in the order in which they were written.
    steps.sort_by_key(|step| (step.at_ms, step.kind != ACCEPTED));
    queued_first(&mut steps);
    with_redrives(steps)
}

/// What a line says, if it says something that is a step.
fn step(line: &Line) -> Option<Step> {
    let owned = |field| line.text(field).map(str::to_owned);
    let (kind, detail) = if let Some(outcome) = line.text("push.outcome") {
        match outcome {
            "Taken" => (PUSHED, None),
            "Offline" => (GONE, None),
            "NotOpenYet" => (NOT_OPEN_YET, None),
            "TooLarge" => (TOO_LARGE, None),
            // Where it failed, the line says why.
            "Failed" if matches!(line.text("level"), Some("WARN" | "ERROR")) => {
                (PUSH_FAILED, owned("message"))
            }
            "Failed" => (PUSH_FAILED, None),
            other => (PUSH_FAILED, Some(other.to_owned())),
        }
    } else if line.text("reason.code").is_some() {
        (DEAD, owned("reason.code"))
    } else if line.text("error.code").is_some() {
        (REFUSED, owned("error.code"))
    } else if let Some(named) = line.text(trail::STEP) {
        let known = [
            trail::QUEUED,
            trail::FORWARDED,
            trail::KEPT_DEAD,
            trail::WAITING,
            trail::REPEATED,
            trail::OVERTAKEN,
            trail::OTHER_RECIPIENT,
            trail::SHOWN_AGAIN,
        ];
        let after = line.fields.get("after_s").map(|after_s| format!("in {after_s} s"));
        (known.into_iter().find(|known| *known == named)?, after)
    } else if matches!(line.text("level"), Some("WARN" | "ERROR")) {
        (WARNING, owned("message"))
    } else {
        return None;
    };
    Some(Step {
        detail,
        connection_id: owned("connection.id"),
        correlation_id: line.correlation_id().map(str::to_owned),
        ..Step::new(line.at_ms, kind)
    })
}

impl Step {
    fn new(at_ms: u64, kind: &'static str) -> Self {
        Self { at_ms, at: to_iso(at_ms), kind, detail: None, connection_id: None, correlation_id: None }
    }
}

/// A fast consumer writes its line before the line of the POST that it follows from.
fn queued_first(steps: &mut [Step]) {
    let mut queued = BTreeSet::new();
    for index in 0..steps.len() {
        let Step { kind, correlation_id, .. } = &steps[index];
        if *kind != trail::QUEUED || !queued.insert(correlation_id.clone()) {
            continue;
        }
        let follows =
            |step: &Step| step.correlation_id == *correlation_id && FROM_THE_QUEUE.contains(&step.kind);
        if let Some(first) = steps[..index].iter().position(follows) {
            steps[first..=index].rotate_right(1);
        }
    }
}

/// Puts in what no function sees: a letter that is dead and is handled afterwards without a new POST was redriven before.
fn with_redrives(steps: Vec<Step>) -> Vec<Step> {
    let mut dead: BTreeSet<Option<String>> = BTreeSet::new();
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        if step.kind == trail::QUEUED {
            dead.remove(&step.correlation_id);
        }
        if FROM_THE_QUEUE.contains(&step.kind) && dead.remove(&step.correlation_id) {
            let detail = Some("some time before the next step".to_owned());
            all.push(Step { kind: REDRIVEN, detail, connection_id: None, ..step.clone() });
        }
        if step.kind == DEAD {
            dead.insert(step.correlation_id.clone());
        }
        all.push(step);
    }
    all
}

#[cfg(test)]
mod tests {
    use backbone::did::AgentDid;
    use backbone::id::Id;
    use backbone::receipt::{Receipt, Status};
    use serde_json::{Value, json};

    use super::*;

    fn line(at_ms: u64, mut fields: Value) -> Line {
        fields["correlation.id"] = json!("c");
        Line { at_ms, fields }
    }

    fn stored(pushed_at_ms: Option<u64>) -> StoredReceipt {
        let did = |ulid| AgentDid::parse(&format!("did:cdi:a.com:agent:{ulid}")).unwrap();
        let receipt = Receipt {
            request_id: Id::parse("01KN33X0KRM9Q3MFS6RVPP6F7F").unwrap(),
            sender: did("01KN0HGEG0G5PGG168DAWPBYT2"),
            recipient: did("01KN0HGEG0QK6E4CV6JTD76TK7"),
            status: Status::DeadLettered,
            reason: None,
            processed_at_ms: 10,
        };
        StoredReceipt { receipt, pushed_at_ms, expires_at_s: 99 }
    }

    fn names(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.kind).collect()
    }

    #[test]
    fn retries_a_death_and_its_redrive_come_in_their_order() {
        let lines = [
            line(20, json!({ "push.outcome": "Failed", "connection.id": "x=" })),
            line(11, json!({ "step": "queued" })),
            line(21, json!({ "step": "shown_again", "after_s": 2 })),
            line(30, json!({ "level": "WARN", "reason.code": "frame_too_large", "message": "m" })),
            line(40, json!({ "push.outcome": "Taken", "connection.id": "y=" })),
            line(41, json!({ "level": "DEBUG", "message": "handled a batch" })),
        ];
        let steps = timeline(&lines, Some(&stored(Some(40))));
        let expected = ["accepted", "queued", "push_failed", "shown_again", "dead", "redriven", "pushed"];
        assert_eq!(names(&steps), expected);
        assert_eq!(steps[2].connection_id.as_deref(), Some("x="));
        assert_eq!(steps[3].detail.as_deref(), Some("in 2 s"));
        assert_eq!(steps[4].detail.as_deref(), Some("frame_too_large"));
    }

    #[test]
    fn a_push_is_told_once_however_often_its_post_is_repeated() {
        let lines = [
            line(900, json!({ "step": "queued" })),
            line(1_000, json!({ "push.outcome": "Taken", "connection.id": "x=" })),
            line(8_010, json!({ "step": "queued" })),
            line(8_020, json!({ "step": "repeated" })),
        ];
        let mut stored = stored(Some(1_001));
        stored.receipt.processed_at_ms = 8_000;
        let steps = timeline(&lines, Some(&stored));
        assert_eq!(names(&steps), ["queued", "pushed", "accepted", "queued", "repeated"]);
        stored.pushed_at_ms = Some(7_000);
        assert_eq!(names(&timeline(&lines, Some(&stored)))[2], "pushed", "another push than the line's");
    }

    #[test]
    fn a_post_comes_before_what_follows_from_it() {
        let lines = [line(11, json!({ "push.outcome": "Taken" })), line(12, json!({ "step": "queued" }))];
        assert_eq!(names(&timeline(&lines, Some(&stored(Some(11))))), ["accepted", "queued", "pushed"]);
    }

    #[test]
    fn a_second_post_is_no_redrive() {
        let lines = [
            line(10, json!({ "step": "queued" })),
            line(11, json!({ "reason.code": "x" })),
            line(12, json!({ "step": "queued" })),
            line(13, json!({ "push.outcome": "Offline" })),
        ];
        assert_eq!(names(&timeline(&lines, None)), ["queued", "dead", "queued", "gone"]);
    }

    #[test]
    fn without_lines_the_rows_say_what_they_know() {
        assert_eq!(names(&timeline(&[], Some(&stored(Some(40))))), ["accepted", "pushed"]);
        assert_eq!(names(&timeline(&[], Some(&stored(None)))), ["accepted", "waiting"]);
        assert!(timeline(&[], None).is_empty());
    }

    #[test]
    fn a_failed_push_says_why_and_to_which_connection() {
        for level in ["WARN", "ERROR"] {
            let failed = json!({
                "level": level, "push.outcome": "Failed", "connection.id": "x=", "message": "a push failed: 500",
            });
            let steps = timeline(&[line(1, failed)], None);
            assert_eq!(names(&steps), ["push_failed"]);
            assert_eq!(steps[0].connection_id.as_deref(), Some("x="));
            assert_eq!(steps[0].detail.as_deref(), Some("a push failed: 500"), "{level}");
        }
    }

    #[test]
    fn refusals_and_warnings_are_steps_too() {
        let lines = [
            line(1, json!({ "error.code": "PROXY_AUTH_REPLAY", "level": "WARN", "message": "refused" })),
            line(2, json!({ "level": "WARN", "message": "the row could not be read" })),
        ];
        let steps = timeline(&lines, None);
        assert_eq!(names(&steps), ["refused", "warning"]);
        assert_eq!(steps[1].detail.as_deref(), Some("the row could not be read"));
    }
}
