//! What the tests of the whole system stand on.
//!
//! [`connector`] is a Clawdentity connector written from the wire contract alone. It shares no code with the
//! functions it talks to, so a mistake made there is not made here too. [`stack`] describes the running local stack,
//! [`registry_client`] and [`admin_api`] reach the parts of it that a connector does not, [`registry_event`] is what a
//! registry publishes, [`fault_proxy`] fails between us and it, [`load`] makes many receipts, [`leaks`] finds in a log what
//! must not be there, and [`eventually`] waits.

pub mod admin_api;
pub mod connector;
pub mod eventually;
pub mod fault_proxy;
pub mod leaks;
pub mod load;
pub mod registry_client;
pub mod registry_event;
pub mod report;
pub mod stack;
pub mod stamp;
