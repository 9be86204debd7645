//! Why a request of the page was not answered as asked.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use backbone::error_chain::ErrorChain;
use serde_json::json;

/// A request that did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// Addressed to a host that this program is not: a name that somebody has pointed at this machine.
    #[error("this page answers on 127.0.0.1 and localhost only")]
    ForeignHost,
    /// A change that did not come from the page itself.
    #[error("changes are taken from the page itself only")]
    ForeignOrigin,
    /// There is no dead-letter queue of that name.
    #[error("the stack has no dead-letter queue of that name")]
    UnknownQueue,
    /// The dead letter is not there, or somebody else is handling it.
    #[error("this dead letter is gone, or somebody else is handling it")]
    LetterNotFound,
    /// It was sent, and is still in the dead-letter queue as well.
    #[error(
        "it went back to its queue, but could not be removed from the dead letters: another redrive sends it once more, \
         under the same frame id"
    )]
    NotRemoved(#[source] Source),
    /// A part of the stack did not answer.
    #[error("{0} does not answer")]
    Unavailable(&'static str, #[source] Source),
}

/// What stands behind a problem.
pub(super) type Source = Box<dyn std::error::Error + Send + Sync>;

impl Problem {
    /// For `map_err`: `part` of the stack did not answer.
    pub(super) fn unavailable<E: Into<Source>>(part: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Unavailable(part, source.into())
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::ForeignHost => (StatusCode::FORBIDDEN, "FOREIGN_HOST"),
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "FOREIGN_ORIGIN"),
            Self::UnknownQueue => (StatusCode::NOT_FOUND, "UNKNOWN_QUEUE"),
            Self::LetterNotFound => (StatusCode::CONFLICT, "LETTER_NOT_FOUND"),
            Self::NotRemoved(_) => (StatusCode::BAD_GATEWAY, "NOT_REMOVED"),
            Self::Unavailable(..) => (StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let message = ErrorChain(&self).to_string();
        (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
    }
}
