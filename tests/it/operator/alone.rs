//! What needs the stack for itself.

mod doctor;
mod life_and_death;

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;

/// What becomes of `attempt`, after `undo` has been done in any case: without it every other test would fail too.
async fn then_undo<T>(attempt: impl Future<Output = T>, undo: impl Future<Output = ()>) -> T {
    let outcome = AssertUnwindSafe(attempt).catch_unwind().await;
    undo.await;
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}
