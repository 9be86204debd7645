//! The ways of measuring: what one event costs, what a whole process costs, how memory grows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;
use crate::aws::{Aws, Calls, Operation, Scene};
use crate::events::Cast;
use crate::figures::number;
use crate::function::{Function, Instructions, Under, Workshop};
use crate::runtime_api::Answer;

/// Events before those that are measured: connections are open by then and memories filled.
const WARM_UP: usize = 20;
/// Events that are measured. Every tenth request of an agent reports its count, so a multiple of ten.
const MEASURED: usize = 40;
/// Starts of each function whose median is its time.
const STARTS: usize = 21;
/// Events over which time on the processor is measured, where memory is not, after a tenth as many.
const TIMED: usize = 1_000;

/// What an event must be answered, so that no figure is that of an error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// An HTTP or route answer with this status.
    Status(u16),
    /// A 401 with this code: others would be as cheap and of something else.
    Refused(&'static str),
    /// The answer about a receipt that there is not.
    NotFound,
    /// A batch of which nothing is to be shown again.
    Batch,
    /// A policy that lets somebody in.
    Allow,
    /// A heartbeat's own acknowledgement; the answer to one that cannot be read is a 200, too.
    Acknowledgement,
}

/// Events of one kind, for one function.
pub(crate) struct Load<'a> {
    pub(crate) function: &'a str,
    pub(crate) scene: Scene,
    /// The event of a given number; different numbers may be different agents'.
    pub(crate) event: &'a dyn Fn(usize) -> String,
    pub(crate) expected: Expected,
}

/// What one event costs once everything is warm.
#[derive(Clone, Debug)]
pub(crate) struct PerEvent {
    /// If they were counted.
    pub(crate) instructions: Option<f64>,
    /// Those of SHA-256's block function in software.
    pub(crate) sha256: Option<f64>,
    /// Of all measured events together.
    pub(crate) calls: BTreeMap<Operation, Calls>,
    /// How many those are.
    pub(crate) events: f64,
}

impl PerEvent {
    /// Calls to AWS by one event.
    pub(crate) fn aws_calls(&self) -> f64 {
        self.sum(|calls| calls.count)
    }

    /// Something of all calls to AWS, by one event.
    pub(crate) fn sum(&self, of: impl Fn(&Calls) -> usize) -> f64 {
        let aws = self.calls.iter().filter(|(operation, _)| operation.is_aws());
        count(aws.map(|(_, calls)| of(calls)).sum()) / self.events
    }

    /// Calls of one operation by one event.
    pub(crate) fn calls_of(&self, name: &str) -> f64 {
        let named = self.calls.iter().filter(|(operation, _)| operation.name() == name);
        count(named.map(|(_, calls)| calls.count).sum()) / self.events
    }
}

/// A count as a figure.
fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// The difference between a process that handles some events and one that handles more.
pub(crate) async fn per_event(workshop: &Workshop, cast: &Cast, load: &Load<'_>) -> Result<PerEvent> {
    let aws = Aws::start(load.scene, &cast.keys, &workshop.scratch).await?;
    let few = counted_process(workshop, load, &aws, &[WARM_UP]).await?;
    let more = counted_process(workshop, load, &aws, &[WARM_UP, MEASURED]).await?;
    // More events take more, or the count is broken.
    let per_event = |of: fn(&Instructions) -> u64| {
        let Some((few, more)) = few.instructions.as_ref().zip(more.instructions.as_ref()) else {
            return Ok(None);
        };
        let (few, more) = (of(few), of(more));
        let difference = more.checked_sub(few).ok_or_else(|| format!("{more} instructions after {few}"))?;
        Result::Ok(Some(number(difference) / count(MEASURED)))
    };
    let instructions = per_event(|executed| executed.counted)?;
    if instructions.is_some_and(|instructions| instructions <= 0.0) {
        return Err("an event that takes no instructions".into());
    }
    Ok(PerEvent {
        instructions,
        sha256: per_event(|executed| executed.sha256)?,
        calls: more.calls,
        events: count(MEASURED),
    })
}

/// A whole process that handled some events.
pub(crate) struct CountedProcess {
    /// If they were counted.
    instructions: Option<Instructions>,
    /// Of the last part of its events.
    calls: BTreeMap<Operation, Calls>,
}

impl CountedProcess {
    /// All that it has executed.
    pub(crate) fn instructions(&self) -> Option<f64> {
        self.instructions.map(|executed| number(executed.counted))
    }

    /// Fails unless it has made these calls and no others: some events are answered in the same way when a call fails.
    pub(crate) fn has_called(self, expected: &[(&str, usize)]) -> Result<Self> {
        let called: Vec<_> =
            self.calls.iter().map(|(operation, calls)| (operation.name(), calls.count)).collect();
        if called == expected { Ok(self) } else { Err(format!("{called:?} was called").into()) }
    }
}

/// A process that handles `events` events of `load`.
pub(crate) async fn whole_process(
    workshop: &Workshop,
    load: &Load<'_>,
    aws: &Aws,
    events: usize,
) -> Result<CountedProcess> {
    counted_process(workshop, load, aws, &[events]).await
}

/// Counts a process that handles events in parts, of so many each.
async fn counted_process(
    workshop: &Workshop,
    load: &Load<'_>,
    aws: &Aws,
    parts: &[usize],
) -> Result<CountedProcess> {
    let (mut function, _) = Function::start(workshop, load.function, Under::Callgrind, aws).await?;
    let mut calls = BTreeMap::new();
    let mut first = 0;
    for events in parts {
        drop(aws.take_calls()?);
        let answers = function.handle((first..first + events).map(load.event)).await?;
        load.check(&answers, *events)?;
        calls = aws.take_calls()?;
        first += events;
    }
    let instructions = function.stop().await?;
    if workshop.counts && instructions.is_none() {
        return Err("callgrind counted nothing".into());
    }
    Ok(CountedProcess { instructions, calls })
}

impl<'a> Load<'a> {
    /// While nothing is out of the ordinary.
    pub(crate) fn new(function: &'a str, event: &'a dyn Fn(usize) -> String, expected: Expected) -> Self {
        Self { function, scene: Scene::default(), event, expected }
    }

    pub(crate) fn in_scene(self, scene: Scene) -> Self {
        Self { scene, ..self }
    }

    fn check(&self, answers: &[Answer], events: usize) -> Result<()> {
        if answers.len() != events {
            return Err(format!("{}: {} answers to {events} events", self.function, answers.len()).into());
        }
        match answers.iter().find(|answer| !self.expected.is_met_by(answer)) {
            None => Ok(()),
            Some(other) => {
                Err(format!("{}: {:?} was expected, and not {other:?}", self.function, self.expected).into())
            }
        }
    }
}

impl Expected {
    fn is_met_by(self, answer: &Answer) -> bool {
        let Answer::Response(answer) = answer else { return false };
        match self {
            Self::Status(status) => answer["statusCode"] == status,
            Self::Refused(code) => answer["statusCode"] == 401 && body(answer)["error"]["code"] == code,
            Self::NotFound => answer["statusCode"] == 404 && body(answer)["found"] == false,
            Self::Batch => *answer == json!({ "batchItemFailures": [] }),
            Self::Allow => answer["policyDocument"]["Statement"][0]["Effect"] == "Allow",
            Self::Acknowledgement => body(answer)["type"] == "heartbeat_ack",
        }
    }
}

/// The JSON in an answer; `Null` if it is none.
fn body(answer: &Value) -> Value {
    answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}

/// The median time from the start of each function to its question for the first event; the functions take turns.
pub(crate) async fn start_times(
    workshop: &Workshop,
    cast: &Cast,
    functions: &[String],
) -> Result<Vec<Duration>> {
    let mut times = vec![Vec::with_capacity(STARTS); functions.len()];
    for _ in 0..STARTS {
        for (function, times) in functions.iter().zip(&mut times) {
            let aws = Aws::start(Scene::default(), &cast.keys, &workshop.scratch).await?;
            let (function, time) = Function::start(workshop, function, Under::Nothing, &aws).await?;
            function.stop().await?;
            times.push(time);
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[STARTS / 2]
    };
    Ok(times.into_iter().map(median).collect())
}

/// Memory in kilobytes, and time.
pub(crate) struct LongRun {
    pub(crate) at_start_kb: u64,
    /// Between the end of the warm-up and the end of the run.
    pub(crate) growth_kb: u64,
    /// On the processor, per event.
    pub(crate) processor: Duration,
    /// From event to answer, per event.
    pub(crate) elapsed: Duration,
}

/// Runs a function natively for `warm_up` events and then for `events`.
pub(crate) async fn long_run(
    workshop: &Workshop,
    cast: &Cast,
    load: &Load<'_>,
    warm_up: usize,
    events: usize,
) -> Result<LongRun> {
    let aws = Aws::start(load.scene, &cast.keys, &workshop.scratch).await?;
    let (mut function, _) = Function::start(workshop, load.function, Under::Nothing, &aws).await?;
    let at_start_kb = function.resident_kb()?;
    load.check(&function.handle((0..warm_up).map(load.event)).await?, warm_up)?;
    let warm_kb = function.resident_kb()?;
    let more: Vec<_> = (warm_up..warm_up + events).map(load.event).collect();
    let (began, processor) = (Instant::now(), function.processor_time()?);
    load.check(&function.handle(more).await?, events)?;
    let per_event = |time: Duration| time / u32::try_from(events).unwrap_or(u32::MAX);
    let run = LongRun {
        at_start_kb,
        growth_kb: function.resident_kb()?.saturating_sub(warm_kb),
        processor: per_event(function.processor_time()?.saturating_sub(processor)),
        elapsed: per_event(began.elapsed()),
    };
    drop(aws.take_calls()?);
    function.stop().await?;
    Ok(run)
}

/// Time on the processor, per event.
pub(crate) async fn processor_time(workshop: &Workshop, cast: &Cast, load: &Load<'_>) -> Result<Duration> {
    Ok(long_run(workshop, cast, load, TIMED / 10, TIMED).await?.processor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_another_reason_is_not_the_one_that_is_measured() {
        let refused = |status: u16, code: &str| {
            let body = json!({ "error": { "code": code } }).to_string();
            Answer::Response(json!({ "statusCode": status, "body": body }))
        };
        let expected = Expected::Refused("PROXY_AUTH_INVALID_PROOF");
        assert!(expected.is_met_by(&refused(401, "PROXY_AUTH_INVALID_PROOF")));
        assert!(!expected.is_met_by(&refused(401, "PROXY_AUTH_INVALID_AIT")));
        assert!(!expected.is_met_by(&refused(403, "PROXY_AUTH_INVALID_PROOF")));
        assert!(!expected.is_met_by(&Answer::Response(json!({ "statusCode": 401 }))));
    }

    #[test]
    fn a_process_has_made_the_calls_that_are_expected_and_no_others() {
        let process = |names: &[&str]| CountedProcess {
            instructions: None,
            calls: names
                .iter()
                .map(|name| (Operation::named(name), Calls { count: 1, ..Calls::default() }))
                .collect(),
        };
        let updates = [("UpdateItem", 1)];
        assert!(process(&["UpdateItem"]).has_called(&updates).is_ok());
        assert!(process(&[]).has_called(&updates).is_err());
        assert!(process(&["UpdateItem", "Query"]).has_called(&updates).is_err());
        assert!(process(&["UpdateItem"]).has_called(&[]).is_err());
    }
}
