//! The faults, what must come of each, and the runner that compares.

use std::cmp::Reverse;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use acceptance::fault_proxy::{Fault, Operation, Refusal, Seen, Silence, Spoiling};
use backbone::error_chain::ErrorChain;
use backbone::stores::StoreError;
use backbone_aws::Invocation;
use futures_util::future;
use tokio::sync::Semaphore;

use super::world::{Process, World};

/// The longest that one call may take, and the second that an invocation keeps in reserve.
const OPERATION_LIMIT: Duration = Duration::from_secs(8 + 1);
/// The most requests that one call may become.
const REQUESTS_MAX: usize = 4;
/// Longer than any call, so that it is the call's own limit that ends it.
const INVOCATION_S: u64 = 20;
/// A body that takes this long is slow, and not too slow for one attempt.
const SLOW: Duration = Duration::from_millis(600);
/// The cases that a test may have under way, of all its calls together: enough to wait for many timeouts at once, and few
/// enough that what the others compute makes none of them late on a busy machine.
static CASES_AT_ONCE: Semaphore = Semaphore::const_new(16);

/// A number of faults that does not end before the SDK's patience does.
const ALWAYS: usize = usize::MAX;

/// What must come of a fault.
pub(super) struct Row<T> {
    fault: Fault,
    times: usize,
    /// The domain's answer; `None` stands for [`StoreError::Unavailable`].
    expected: Option<T>,
    /// How many requests that takes.
    requests: usize,
}

impl<T> Row<T> {
    pub(super) const fn new(fault: Fault, times: usize, expected: Option<T>, requests: usize) -> Self {
        Self { fault, times, expected, requests }
    }

    /// How many attempts end by a timeout.
    fn waits(&self) -> usize {
        match self.fault {
            Fault::Lost(Silence::Hang)
            | Fault::Unanswered(Silence::Hang)
            | Fault::Spoiled(Spoiling::Stalled) => self.times,
            Fault::Lost(_) | Fault::Unanswered(_) | Fault::Spoiled(_) | Fault::Refused(_) => 0,
        }
    }
}

/// A call under test.
pub(super) trait Call: Sized {
    /// Its answer.
    type Answer: Clone + Debug + PartialEq;
    /// What it asks AWS for.
    const OPERATION: Operation;
    /// Makes everything that the call needs, before any fault.
    async fn prepare(world: &World, process: &Process) -> Self;
    /// Makes the call.
    async fn make(&self, invocation: &Invocation<'_>) -> Result<Self::Answer, StoreError>;
    /// Asserts what is left behind when AWS has carried the call out so many times.
    async fn check(&self, process: &Process, carried_out: usize);
}

/// An attempt that is lost before AWS has done anything, or refused by it.
#[rustfmt::skip]
pub(super) fn undone<T: Clone>(done: T) -> Vec<Row<T>> {
    use Fault::{Lost, Refused};
    let done = Some(done);
    let bare = |status| Refused(Refusal::bare(status));
    vec![
        Row::new(Lost(Silence::Reset), 1,      done.clone(), 2),
        Row::new(Lost(Silence::Reset), 3,      done.clone(), 4),
        Row::new(Lost(Silence::Reset), ALWAYS, None,         4),
        Row::new(Lost(Silence::Close), 1,      done.clone(), 2),
        Row::new(Lost(Silence::Close), ALWAYS, None,         4),
        Row::new(Lost(Silence::Hang),  1,      done.clone(), 2),
        Row::new(Lost(Silence::Hang),  ALWAYS, None,         4),
        Row::new(bare(500),            1,      done.clone(), 2),
        Row::new(bare(500),            2,      done.clone(), 3),
        Row::new(bare(500),            3,      done.clone(), 4),
        Row::new(bare(500),            4,      None,         4),
        Row::new(bare(503),            1,      done.clone(), 2),
        Row::new(bare(503),            ALWAYS, None,         4),
    ]
}

/// AWS has done it and does not get to say so. The SDK asks again, and what it then hears is `again`.
#[rustfmt::skip]
pub(super) fn unanswered<T: Clone>(again: T) -> Vec<Row<T>> {
    use Fault::Unanswered;
    let again = Some(again);
    vec![
        Row::new(Unanswered(Silence::Reset), 1,      again.clone(), 2),
        Row::new(Unanswered(Silence::Reset), ALWAYS, None,          4),
        Row::new(Unanswered(Silence::Close), 1,      again.clone(), 2),
        Row::new(Unanswered(Silence::Hang),  1,      again.clone(), 2),
    ]
}

/// AWS has done it and its answer suffers on the way.
#[rustfmt::skip]
pub(super) fn spoiled<T: Clone>(done: T) -> Vec<Row<T>> {
    use Fault::Spoiled;
    let done = Some(done);
    vec![
        Row::new(Spoiled(Spoiling::Slow(SLOW)), 1,      done.clone(), 1),
        Row::new(Spoiled(Spoiling::Stalled),    1,      done.clone(), 2),
        Row::new(Spoiled(Spoiling::Stalled),    ALWAYS, None,         4),
        Row::new(Spoiled(Spoiling::Truncated),  1,      done.clone(), 2),
        Row::new(Spoiled(Spoiling::Truncated),  ALWAYS, None,         4),
    ]
}

/// AWS has done it, and somebody puts nonsense in the place of its answer. That is no error that may pass.
pub(super) fn nonsense<T>() -> Vec<Row<T>> {
    vec![Row::new(Fault::Spoiled(Spoiling::NotJson), 1, None, 1)]
}

/// AWS asks for patience.
pub(super) fn throttled<T: Clone>(refusal: Refusal, done: T) -> Vec<Row<T>> {
    vec![
        Row::new(Fault::Refused(refusal), 1, Some(done), 2),
        Row::new(Fault::Refused(refusal), ALWAYS, None, 4),
    ]
}

/// How DynamoDB spells a throttled request.
pub(super) const DYNAMODB_THROTTLES: Refusal =
    Refusal::in_body(400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException");

/// Runs every row for a process that has just started and for one that holds an open connection, and fails with all that
/// differs.
pub(super) async fn run<C: Call>(mut rows: Vec<Row<C::Answer>>) {
    // Those that wait go first, so that the others are done meanwhile.
    rows.sort_by_key(|row| Reverse(row.waits()));
    let worlds = [("cold", World::create().await), ("warm", World::create().await)];
    let cases = rows.iter().flat_map(|row| worlds.iter().map(move |(start, world)| (row, *start, world)));
    let outcomes = cases.map(|(row, start, world)| async move {
        let _turn = CASES_AT_ONCE.acquire().await.unwrap();
        let difference = run_row::<C>(world, start == "warm", row).await.err()?;
        Some(format!("{start}, {:?} x {}: {difference}", row.fault, row.times))
    });
    let differences: Vec<_> = future::join_all(outcomes).await.into_iter().flatten().collect();
    drop(worlds);
    assert!(differences.is_empty(), "{:?}:\n{}", C::OPERATION, differences.join("\n"));
}

async fn run_row<C: Call>(world: &World, warm: bool, row: &Row<C::Answer>) -> Result<(), String> {
    let process = world.process().await;
    let call = C::prepare(world, &process).await;
    if warm {
        process.warm_up().await;
    }
    process.proxy.inject(C::OPERATION, row.fault, row.times);
    let begun = Instant::now();
    let answer = call.make(&process.invocation(INVOCATION_S)).await;
    let took = begun.elapsed();
    let Seen { requests, carried_out } = process.proxy.seen(C::OPERATION);
    let as_expected = match (&answer, &row.expected) {
        (Ok(answer), Some(expected)) => answer == expected,
        (Err(StoreError::Unavailable { .. }), None) => true,
        (Ok(_) | Err(_), _) => false,
    };
    if !as_expected || requests != row.requests || requests > REQUESTS_MAX || took > OPERATION_LIMIT {
        let answer = answer.map_err(|error| ErrorChain(&error).to_string());
        return Err(format!("{answer:?} after {requests} requests and {} ms", took.as_millis()));
    }
    call.check(&process, carried_out).await;
    Ok(())
}
