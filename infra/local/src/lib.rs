//! The parts of the local stack that MiniStack does not have.
//!
//! [`registry`] stands in for the Clawdentity registry, with real keys and real tokens. [`front_door`] is the one
//! hostname in front of the two APIs that CloudFront is on AWS. Each is a binary of its own; [`listener`] is what
//! they share. Neither is meant to be reachable from another machine: both listen on the loopback interface.

pub mod front_door;
pub mod listener;
pub mod registry;
