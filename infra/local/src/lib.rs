//! The parts of the local stack that MiniStack does not have.
//!
//! [`registry`] stands in for the Clawdentity registry, with real keys and real tokens. [`front_door`] is the one
//! hostname in front of the two APIs that CloudFront is on AWS. [`page`] shows a person what the stack is doing. Each is
//! a binary of its own; [`listener`] is what they share. None is meant to be reachable from another machine: all listen
//! on the loopback interface.

pub mod front_door;
pub mod listener;
pub mod page;
pub mod registry;
