//! What becomes of a call when the network or AWS fails under it: the real SDK with its real retries and timeouts, on
//! the local AWS behind a proxy that fails on purpose.
//!
//! [`matrix`] has the faults and what must come of each. The other modules have the calls, and what whole functions
//! make of a failure.

mod batches;
mod budget;
mod deliveries;
mod functions;
mod matrix;
mod queues;
mod reads;
mod sockets;
mod world;
mod writes;
