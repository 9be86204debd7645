//! The whole system on the local stack. `cargo xtask test` starts the stack and runs these; without it they fail.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod contracts;
mod correlation;
mod cross_proxy;
mod endurance;
mod fixture;
mod least_privilege;
mod local_aws;
mod logs;
mod operations;
mod operator;
mod receipt_path;
mod sdk_faults;
mod sockets;
mod store_contracts;
mod template;
mod vectors;
