//! `operator receipts`: where a receipt is, and how it came there.

mod lines;
mod list;
mod show;
mod timeline;

use backbone::did::AgentDid;
use backbone::id::Id;
use clap::{Subcommand, ValueEnum};

use crate::answer::Answer;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::trust::agent_did;
use crate::when::When;

/// What to do with receipts.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List the receipts about an agent's messages.
    List {
        /// Who sent the messages.
        #[arg(long, value_name = "DID", value_parser = agent_did)]
        agent: AgentDid,
        /// Only those in this state.
        #[arg(long, value_enum)]
        status: Option<StatusFilter>,
        /// Only those accepted since this time: 2h means in the last two hours.
        #[arg(long, value_name = "TIME", value_parser = When::parse)]
        since: Option<When>,
    },
    /// Follow one receipt from its POST on.
    Show {
        /// Who sent the message.
        #[arg(long, value_name = "DID", value_parser = agent_did)]
        agent: AgentDid,
        /// The message: the receipt's `requestId`, which is the `originalFrameId` of its frame.
        #[arg(value_parser = request_id)]
        request_id: Id,
        /// Look for log lines since this time, instead of since the message was sent.
        #[arg(long, value_name = "TIME", value_parser = When::parse)]
        since: Option<When>,
    },
}

/// What a receipt says, or how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum StatusFilter {
    /// The recipient's webhook took the message.
    DeliveredToWebhook,
    /// The recipient's connector gave the message up.
    DeadLettered,
    /// API Gateway has taken the receipt's frame.
    Pushed,
    /// The receipt waits for its sender.
    Waiting,
}

fn request_id(text: &str) -> Result<Id, &'static str> {
    Id::parse(text).ok_or("not a ULID, such as 01KN33X0KRM9Q3MFS6RVPP6F7F")
}

/// Does what `action` says.
pub(crate) async fn run(action: Action, deployment: &Deployment) -> Result<Answer, Failure> {
    match action {
        Action::List { agent, status, since } => list::list(deployment, &agent, status, since).await,
        Action::Show { agent, request_id, since } => show::show(deployment, agent, request_id, since).await,
    }
}
