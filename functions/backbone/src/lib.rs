//! Everything claw-backbone decides, and nothing else.
//!
//! This crate knows no AWS, no clock, no randomness and no environment: what it needs from outside comes through
//! the traits of [`stores`], what time it is through [`stores::Clock`]. So the same code runs on AWS and in the
//! deterministic simulator, and the part that verifies signatures stays small enough to audit.
//!
//! A receipt's way through the modules: [`auth`] says who is asking, [`intake`] reads what they send,
//! [`acceptance`] puts it on the queue, [`delivery`] takes it from there to a socket, [`mailbox`] keeps it for a
//! sender who is away. [`session`] is the life of one socket, [`frame`] what is said over it. [`home`] says at which proxy
//! an agent is at home, where that is not this one. A [`system_delivery`] is what the backbone itself has to say; it goes
//! the same way, and is repeated until it is acknowledged.
//!
//! An event's way: [`event_intake`] reads what is posted, [`registry_event`] what it says, [`events`] does it;
//! [`revocation`] ends sockets, [`reconcile`] looks for what nobody told.

pub mod acceptance;
pub mod auth;
pub mod connection;
pub mod delivery;
pub mod did;
pub mod error_chain;
pub mod error_code;
pub mod event_intake;
pub mod events;
pub mod frame;
pub mod front_door;
pub mod home;
pub mod id;
pub mod intake;
pub mod internal_service;
pub mod limits;
pub mod mailbox;
pub mod metrics;
mod origin;
pub mod queue_message;
pub mod reason_code;
pub mod receipt;
pub mod reconcile;
pub mod registry_event;
pub mod revocation;
pub mod session;
pub mod stores;
pub mod system_delivery;
pub mod timestamp;
pub mod trail;
pub mod trust;
