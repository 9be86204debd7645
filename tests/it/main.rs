//! The whole system on the local stack. `cargo xtask test` starts the stack and runs these; without it they fail.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod contracts;
mod correlation;
mod cross_proxy;
mod deliveries;
mod endurance;
mod fixture;
mod least_privilege;
mod limits;
mod local_aws;
mod local_page;
mod logs;
mod negatives;
mod no_calls;
mod operations;
mod operator;
mod outage;
mod receipt_path;
mod registry_events;
mod revocation;
mod sdk_faults;
mod sockets;
mod store_contracts;
mod template;
mod vectors;
