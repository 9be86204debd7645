//! A web page of the local stack: who is connected, which receipts are under way, what waits, and what has died.
//!
//! One page without a build step, embedded in this program, and a small JSON API behind it. Times are milliseconds
//! since the Unix epoch.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/overview?find=<text>&stage=<stage>` | everything but log lines, as in [`overview`]; with a whole DID, that sender's receipts are among it, however many others there are |
//! | `GET /api/lines?since=<ms>` | what the functions have logged since then, oldest first |
//! | `GET /api/trace/<id>` | what they have logged about a receipt or a correlation id, oldest first |
//! | `POST /api/dead-letters/<queue>/<message id>/redrive` | back to the queue that it came from ([`redrive`]) |
//!
//! A problem is `{"error": {"code", "message"}}` with 403, 404, 409 or 502.
//!
//! The page asks once a second while somebody looks at it. MiniStack tells nobody when something changes, so a stream
//! of events would ask just as often, and go on asking for a page that nobody sees.
//!
//! It listens on the loopback interface, which does not keep foreign pages in the same browser out: [`guard`] does.
//! Nothing is written to the stack, except by a redrive.

mod agents;
mod assets;
mod dead_letters;
mod guard;
mod logs;
mod overview;
mod problem;
mod queues;
mod receipts;
mod redrive;
mod registry;
mod stack;
mod tables;

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};

use self::logs::{Line, Logs};
use self::overview::{Overview, Wanted};
use self::problem::Problem;
use self::queues::Queues;
use self::registry::RegisteredAgents;
pub use self::stack::StackDescription;
use self::tables::Tables;
use crate::registry::now_ms;

/// Where everything that is shown comes from.
struct Sources {
    stack: StackDescription,
    tables: Tables,
    queues: Queues,
    logs: Logs,
    registry: RegisteredAgents,
}

/// The page of a stack, and its API, for the program that listens on `port`.
pub fn router(stack: &StackDescription, port: u16) -> Router {
    let sources = Sources {
        tables: Tables::of(stack),
        queues: Queues::of(stack),
        logs: Logs::of(stack),
        registry: RegisteredAgents::of(stack),
        stack: stack.clone(),
    };
    Router::new()
        .route("/api/overview", get(overview))
        .route("/api/lines", get(lines))
        .route("/api/trace/{id}", get(trace))
        .route("/api/dead-letters/{queue}/{message_id}/redrive", post(redrive))
        .with_state(Arc::new(sources))
        .merge(assets::routes())
        .layer(middleware::from_fn_with_state(port, guard::check))
}

async fn overview(
    State(sources): State<Arc<Sources>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Overview>, Problem> {
    let text = |name| parameter(query.as_deref(), name).unwrap_or_default();
    let wanted = Wanted { find: text("find"), stage: text("stage") };
    Overview::of(&sources, &wanted, now_ms()).await.map(Json)
}

async fn lines(
    State(sources): State<Arc<Sources>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Line>>, Problem> {
    let since_ms = parameter(query.as_deref(), "since").and_then(|since| since.parse().ok());
    sources.logs.since(since_ms.unwrap_or_else(now_ms)).await.map(Json)
}

async fn trace(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Line>>, Problem> {
    sources.logs.about(&id).await.map(Json)
}

async fn redrive(
    State(sources): State<Arc<Sources>>,
    Path((queue, message_id)): Path<(String, String)>,
) -> Result<Json<redrive::Redriven>, Problem> {
    redrive::redrive(&sources.queues, &queue, &message_id).await.map(Json)
}

fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
