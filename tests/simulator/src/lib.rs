//! The receipt path in virtual time.
//!
//! One thread, one seed, no clock: the real handlers of `backbone` run over a model of everything around them, which
//! duplicates, reorders, delays, throttles, hangs, kills and lies as AWS may. After every step the invariants are
//! checked; a seed that breaks one breaks it again, every time, on every machine.
//!
//! [`run_seed`] is one run, [`crash_points`] kills scripted runs at every await, and [`Bug`] plants mistakes, to see
//! that the checks would notice. [`contracts`] hold the simulated stores to what the real ones do.

mod checks;
mod connectors;
pub mod contracts;
pub mod crash_points;
mod deliveries;
mod delivery_checks;
mod event_source;
mod executor;
mod faults;
mod invocation;
mod ledger;
mod operation;
mod outside;
mod peers;
mod planted;
mod queue;
mod recipients;
mod registry;
mod registry_events;
mod registry_outside;
mod rng;
mod run;
mod schedule;
mod sessions;
mod sockets;
mod tables;
mod traffic;
mod world;

pub use faults::Fate;
pub use ledger::{Excuse, Invariant, Violation};
pub use operation::Operation;
pub use planted::Bug;
pub use run::{Report, run_seed};
