//! The sockets.

use std::future::Future;

use crate::stores::StoreError;

/// API Gateway's word on a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a frame that was not taken must be kept"]
pub enum Push {
    /// Taken. Whether the client reads it is out of our hands.
    Taken,
    /// 410: there is no such connection, or not yet.
    Gone,
    /// 413: the frame is larger than API Gateway carries.
    TooLarge,
    /// 403: this function may not post to that connection.
    Forbidden,
}

/// API Gateway's word on a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a connection that is only opening has to be closed later"]
pub enum Closed {
    /// Closed.
    Closed,
    /// 410: there is no such connection, or not yet.
    Gone,
}

/// The sockets.
pub trait Gateway {
    /// Posts one frame to a connection. 429, 5xx and silence are errors.
    fn push(&self, connection_id: &str, frame: &str)
    -> impl Future<Output = Result<Push, StoreError>> + Send;
    /// Closes a connection.
    fn close(&self, connection_id: &str) -> impl Future<Output = Result<Closed, StoreError>> + Send;
}
