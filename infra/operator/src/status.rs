//! `operator status`: how a deployment is doing, on one screen.

use std::fmt;

use backbone_aws::QueueDepth;
use serde::Serialize;

use crate::answer::{Answer, Exit, or_dash, table};
use crate::control_plane::{Alarm, ControlPlane};
use crate::dead_letters::queues::{QueuePair, queue_pairs};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::progress;
use crate::when::span;

/// One queue, or one dead-letter queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueStatus {
    name: String,
    visible: u64,
    in_flight: u64,
    delayed: u64,
    /// As SQS said last; none if it has not lately, or holds nothing.
    oldest_message_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlarmStatus {
    name: String,
    state: String,
    since: Option<String>,
    armed: bool,
    actions: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionStatus {
    name: String,
    version: Option<String>,
    state: String,
    changed_at: String,
}

/// A deployment on one screen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Overview {
    stack: String,
    stack_status: String,
    changed_at: Option<String>,
    queues: Vec<QueueStatus>,
    alarms: Vec<AlarmStatus>,
    functions: Vec<FunctionStatus>,
}

/// Shows how a deployment is doing.
pub(crate) async fn run(deployment: &Deployment) -> Result<Answer, Failure> {
    let spinner = progress::spinner("asking AWS");
    let control_plane = deployment.control_plane();
    let stack = control_plane.stack(&deployment.stack).await?;
    let mut queues = Vec::new();
    for QueuePair { name, source_url, dlq_url } in queue_pairs(deployment) {
        for (name, url) in [(name.clone(), &source_url), (format!("{name} (dead letters)"), &dlq_url)] {
            queues.push(queue(deployment, &control_plane, name, url).await?);
        }
    }
    let mut functions = Vec::new();
    for (_, name) in deployment.functions() {
        let function = control_plane.function(name).await?;
        functions.push(FunctionStatus {
            version: function.variables.get("BACKBONE_VERSION").cloned(),
            name: function.name,
            state: function.state,
            changed_at: function.changed_at,
        });
    }
    let alarms = control_plane.alarms(&alarm_prefix(deployment)).await?;
    spinner.finish_and_clear();
    let overview = Overview {
        stack: deployment.stack.clone(),
        stack_status: stack.status,
        changed_at: stack.changed_at,
        queues,
        alarms: alarms.into_iter().map(AlarmStatus::of).collect(),
        functions,
    };
    Ok(Answer::of(&overview, Exit::Done))
}

/// What the names of the stack's alarms begin with.
pub(crate) fn alarm_prefix(deployment: &Deployment) -> String {
    format!("{}-", deployment.stack)
}

async fn queue(
    deployment: &Deployment,
    control_plane: &ControlPlane,
    name: String,
    url: &str,
) -> Result<QueueStatus, Failure> {
    let QueueDepth { visible, in_flight, delayed } = deployment.stores().queue_depth(url).await?;
    let queue_name = url.rsplit('/').next().unwrap_or_default();
    let oldest = control_plane.oldest_message_s(queue_name, deployment.now_ms()).await?;
    // Its last word may be about a message that is gone by now.
    let oldest_message_seconds = oldest.filter(|_| visible + in_flight > 0);
    Ok(QueueStatus { name, visible, in_flight, delayed, oldest_message_seconds })
}

impl AlarmStatus {
    fn of(alarm: Alarm) -> Self {
        let Alarm { name, state, since, armed, actions } = alarm;
        Self { name, state, since, armed, actions }
    }

    fn tells(&self) -> String {
        match (self.armed, self.actions) {
            (false, _) => "disarmed".to_owned(),
            (true, 0) => "nobody".to_owned(),
            (true, count) => format!("{count}"),
        }
    }
}

impl fmt::Display for Overview {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed_at = or_dash(self.changed_at.as_ref());
        writeln!(formatter, "{}  {}, changed {changed_at}\n", self.stack, self.stack_status)?;
        let queue = |queue: &QueueStatus| {
            let oldest = queue.oldest_message_seconds.map(|seconds| span(seconds.saturating_mul(1_000)));
            [
                queue.name.clone(),
                queue.visible.to_string(),
                queue.in_flight.to_string(),
                queue.delayed.to_string(),
                or_dash(oldest),
            ]
        };
        let rows = self.queues.iter().map(queue);
        writeln!(formatter, "{}\n", table(["queue", "waiting", "in flight", "delayed", "oldest"], rows))?;
        let alarm = |alarm: &AlarmStatus| {
            [alarm.name.clone(), alarm.state.clone(), or_dash(alarm.since.as_ref()), alarm.tells()]
        };
        if self.alarms.is_empty() {
            writeln!(formatter, "no alarms\n")?;
        } else {
            let rows = self.alarms.iter().map(alarm);
            writeln!(formatter, "{}\n", table(["alarm", "state", "since", "tells"], rows))?;
        }
        let function = |function: &FunctionStatus| {
            [
                function.name.clone(),
                or_dash(function.version.as_ref()),
                function.state.clone(),
                function.changed_at.clone(),
            ]
        };
        let rows = self.functions.iter().map(function);
        write!(formatter, "{}", table(["function", "version", "state", "changed"], rows))
    }
}
