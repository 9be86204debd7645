//! The outside world on AWS: every call of the functions to AWS and to the registry, and those of operators to the same
//! tables, queues and sockets.
//!
//! [`Aws`] lives as long as its process and holds what is made once: settings, clients, connections. An
//! [`Invocation`] of it implements all traits of [`backbone::stores`] within the time of one Lambda invocation. Each
//! table, each queue, API Gateway and the registry have a file of their own, which is also where their items, messages
//! and requests are described.
//!
//! [`log`] and [`metrics`] are what a function writes to its standard output.

mod attributes;
pub mod auth_policy;
mod batch_read;
mod clients;
mod connections_table;
mod dead_letters;
mod deliveries_table;
mod events_queue;
pub mod front_door;
mod gateway;
pub mod http_api;
mod letters;
pub mod log;
pub mod metrics;
mod nonces_table;
mod outside;
mod overview;
mod peer_queues;
pub mod peers;
mod receipt_items;
mod receipts_queue;
mod receipts_table;
mod registry;
mod revocations;
pub mod settings;
pub mod sqs_event;
#[cfg(test)]
mod stub;
mod tls;
mod trust_changes;
mod trust_table;

pub use self::letters::{LETTERS_AT_ONCE, Letter, QueueDepth};
pub use self::outside::{Aws, Invocation};
pub use self::overview::{AgentConnection, AgentReceipt, Page};
pub use self::receipts_queue::{CORRELATION_ID_ATTRIBUTE, ORIGIN_PROXY_ATTRIBUTE, VERSION_ATTRIBUTE};
pub use self::trust_changes::{AgentTrust, PairChange, Revocation};
