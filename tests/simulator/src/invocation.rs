//! One invocation of a function: its time, its operations and the ways in which it can end.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Poll;

use backbone::limits::OPERATION_MS_MAX;
use backbone::metrics::Tally;
use backbone::stores::{Clock, StoreError};
use futures_util::FutureExt;

use crate::executor::Sim;
use crate::faults::Fate;
use crate::ledger::Invariant;
use crate::operation::Operation;
use crate::world::World;

/// What is left of an invocation for its answer, in milliseconds.
const RESERVE_MS: u64 = 1_000;

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Authorizer,
    Receipt,
    Consumer,
    Connection,
    RegistryEvents,
}

impl Function {
    const fn name(self) -> &'static str {
        match self {
            Self::Authorizer => "authorizer",
            Self::Receipt => "receipt",
            Self::Consumer => "consumer",
            Self::Connection => "connection",
            Self::RegistryEvents => "registry-events",
        }
    }

    const fn timeout_ms(self) -> u64 {
        match self {
            Self::Authorizer => 9_000,
            Self::Receipt => 15_000,
            Self::Consumer => 30_000,
            Self::Connection => 10_000,
            Self::RegistryEvents => 60_000,
        }
    }
}

const ALIVE: u8 = 0;
const DEAD: u8 = 1;
const FROZEN: u8 = 2;

/// See the module. It is what the handlers see of the outside.
pub(crate) struct Invocation {
    pub(crate) sim: Sim,
    pub(crate) function: Function,
    number: u64,
    pub(crate) begun_ms: u64,
    /// How far this instance's clock is ahead.
    ahead_ms: u64,
    state: AtomicU8,
    /// An operation of it has failed, or panicked.
    has_failed: AtomicBool,
}

/// What an operation does to the world; an error is the service's own.
pub(crate) type Effect<T> = Result<T, &'static str>;

impl Invocation {
    pub(crate) fn begin(sim: &Sim, function: Function) -> Self {
        let (number, begun_ms, ahead_ms) = sim.with(|world| {
            world.invocations += 1;
            let skew_ms = world.profile.skew_ms;
            (world.invocations, world.now_ms(), world.rng.between(0, skew_ms))
        });
        let (state, has_failed) = (AtomicU8::new(ALIVE), AtomicBool::new(false));
        Self { sim: sim.clone(), function, number, begun_ms, ahead_ms, state, has_failed }
    }

    /// Runs a handler to its end. `None` if the invocation did not live to see it.
    pub(crate) async fn run<T>(&self, tally: &Tally, handler: impl Future<Output = T>) -> Option<T> {
        let mut handler = pin!(AssertUnwindSafe(handler).catch_unwind());
        let mut timeout = pin!(self.sim.sleep(self.function.timeout_ms()));
        let ended = poll_fn(|context| {
            if self.state.load(Ordering::Relaxed) == ALIVE
                && let Poll::Ready(answer) = handler.as_mut().poll(context)
            {
                return Poll::Ready(answer.ok());
            }
            if self.state.load(Ordering::Relaxed) == DEAD {
                return Poll::Ready(None);
            }
            timeout.as_mut().poll(context).map(|()| {
                if self.state.load(Ordering::Relaxed) == ALIVE {
                    self.sim.with(|world| {
                        world.violated(Invariant::InTime, format!("{} ran into its timeout", self.name()));
                    });
                }
                None
            })
        })
        .await;
        self.sim.with(|world| {
            if ended.is_none() {
                world.note(|| format!("{} died", self.name()));
                world.ledger.deaths += 1;
            }
            world.add_up(tally);
        });
        ended
    }

    /// Carries out one operation as its fate will have it.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        operation: Operation,
        effect: impl FnOnce(&mut World) -> Effect<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let fate = self.sim.with(|world| world.next_fate(operation));
        self.call_with(operation, fate, effect).await
    }

    /// The same with a fate that is decided already.
    pub(crate) async fn call_with<T: Send + 'static>(
        &self,
        operation: Operation,
        fate: Fate,
        effect: impl FnOnce(&mut World) -> Effect<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = self.carry_out(operation, fate, effect).await;
        if answer.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Whether anything it has asked for has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    async fn carry_out<T: Send + 'static>(
        &self,
        operation: Operation,
        fate: Fate,
        effect: impl FnOnce(&mut World) -> Effect<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let limit_ms = self.time_left_ms().min(OPERATION_MS_MAX);
        if limit_ms == 0 {
            self.note(operation, "not begun: no time");
            return Err(self.out_of_time());
        }
        let (there_ms, back_ms) = self.sim.with(|world| (world.latency_ms(), world.latency_ms()));
        let in_time = there_ms + back_ms < limit_ms;
        let given_up = |cause| {
            if limit_ms < OPERATION_MS_MAX { self.out_of_time() } else { failed(cause) }
        };
        match fate {
            Fate::Works if in_time => {
                self.sim.sleep(there_ms).await;
                let answer = self.sim.with(effect);
                self.sim.sleep(back_ms).await;
                answer.map_err(failed)
            }
            Fate::FailsBefore => {
                self.sim.sleep(there_ms.min(limit_ms)).await;
                self.note(operation, "fails");
                Err(failed("injected failure"))
            }
            Fate::FailsAfter if in_time => {
                self.sim.sleep(there_ms).await;
                let _ = self.sim.with(effect);
                self.sim.sleep(back_ms).await;
                self.note(operation, "has its effect and fails");
                Err(failed("injected failure after the effect"))
            }
            Fate::Works | Fate::FailsAfter | Fate::HangsAfter => {
                let there_ms = there_ms.min(limit_ms - 1);
                self.sim.sleep(there_ms).await;
                let _ = self.sim.with(effect);
                self.sim.sleep(limit_ms - there_ms).await;
                self.note(operation, "has its effect and does not answer");
                Err(given_up("timeout after the effect"))
            }
            Fate::HangsBefore => {
                self.sim.sleep(limit_ms).await;
                self.note(operation, "does not answer");
                Err(given_up("timeout"))
            }
            Fate::LandsLate => {
                let name = self.name();
                self.sim.with(|world| {
                    let late_ms = limit_ms + world.rng.between(0, operation.late_ms_max());
                    world.schedule.happen_in(late_ms, move |world| {
                        world.note(|| format!("{name}: {operation:?} lands late"));
                        let _ = effect(world);
                    });
                });
                self.sim.sleep(limit_ms).await;
                self.note(operation, "does not answer");
                Err(given_up("timeout"))
            }
            Fate::DiesBefore => {
                self.sim.sleep(there_ms.min(limit_ms)).await;
                self.die(operation, DEAD, "dies before the effect").await
            }
            Fate::DiesAfter => {
                self.sim.sleep(there_ms.min(limit_ms)).await;
                let _ = self.sim.with(effect);
                self.die(operation, DEAD, "dies after the effect").await
            }
            Fate::Freezes => self.die(operation, FROZEN, "freezes").await,
            Fate::Panics => {
                self.note(operation, "panics");
                self.has_failed.store(true, Ordering::Relaxed);
                // Not `panic!`: the hook would write a message for each of thousands of them.
                resume_unwind(Box::new("injected panic"))
            }
        }
    }

    async fn die(&self, operation: Operation, state: u8, how: &'static str) -> ! {
        self.note(operation, how);
        self.state.store(state, Ordering::Relaxed);
        pending().await
    }

    const fn out_of_time(&self) -> StoreError {
        StoreError::OutOfTime { operation: self.function.name() }
    }

    pub(crate) fn note(&self, operation: Operation, what: &str) {
        self.sim.with(|world| world.note(|| format!("{}: {operation:?} {what}", self.name())));
    }

    pub(crate) fn name(&self) -> String {
        format!("{} #{}", self.function.name(), self.number)
    }
}

impl Clock for Invocation {
    fn now_ms(&self) -> u64 {
        self.sim.now_ms() + self.ahead_ms
    }

    fn time_left_ms(&self) -> u64 {
        (self.begun_ms + self.function.timeout_ms()).saturating_sub(self.sim.now_ms() + RESERVE_MS)
    }
}

fn failed(cause: &'static str) -> StoreError {
    StoreError::Unavailable { operation: "simulated", source: cause.into() }
}
