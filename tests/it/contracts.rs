//! The contract files in `docs/contracts` and the code, held together in both directions: what the code says is written
//! there, and what is written there the code says.

mod document;
mod events;
mod frames;
mod http;
mod queues;
mod wire;
