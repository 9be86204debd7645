//! `operator connections`: who is connected, and ending it.

use std::fmt;
use std::time::Duration;

use backbone::connection::ConnectionRow;
use backbone::did::AgentDid;
use backbone::metrics::{Metric, Tally};
use backbone::revocation;
use backbone::stores::ConnectionStore;
use backbone::timestamp::to_iso;
use clap::Subcommand;
use serde::Serialize;

use crate::answer::{Answer, Exit, or_dash, table};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::progress;
use crate::trust::agent_did;
use crate::when::span;

/// What to do with connections.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List the agents that are connected.
    List,
    /// Show an agent's connection, and what its row remembers of earlier ones.
    Show {
        /// The agent's DID.
        #[arg(value_parser = agent_did)]
        agent: AgentDid,
    },
    /// End an agent's connection. Its connector comes back at once, unless the agent is revoked too.
    Cut {
        /// The agent's DID.
        #[arg(value_parser = agent_did)]
        agent: AgentDid,
    },
}

/// One agent's connection.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OpenSocket {
    agent_did: String,
    connection_id: String,
    connected_at: String,
    lease_expires_at: String,
    /// Whether its lease is not over.
    current: bool,
    #[serde(skip)]
    for_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    connections: Vec<OpenSocket>,
    /// Rows that nobody can read, by their agents, and what is wrong with them.
    unreadable: Vec<(String, String)>,
}

/// One agent's row.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    agent_did: String,
    connection: Option<OpenSocket>,
    drain_started_at: Option<String>,
    drain_announced_at: Option<String>,
    quick_supersedes: u32,
    short_lives: u32,
    /// Its receipts wait, because its connectors die of them.
    quarantined: bool,
}

/// What came of a cut.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cut {
    agent_did: String,
    connection_id: Option<String>,
    /// Whether it was open until now.
    closed: bool,
    /// Whether API Gateway says still that it knows no such socket, of one that may be opening.
    opening: bool,
}

/// How soon a socket that is opening is cut again, and for how long that is tried.
const CUT_AGAIN: Duration = Duration::from_secs(2);
const OPENING_MS_MAX: u64 = 20_000;

/// Does what `action` says.
pub(crate) async fn run(action: Action, deployment: &Deployment) -> Result<Answer, Failure> {
    match action {
        Action::List => list(deployment).await,
        Action::Show { agent } => show(deployment, &agent).await,
        Action::Cut { agent } => cut(deployment, &agent).await,
    }
}

async fn list(deployment: &Deployment) -> Result<Answer, Failure> {
    let spinner = progress::spinner("reading the connections table");
    let mut listed = Listed { connections: Vec::new(), unreadable: Vec::new() };
    let now_ms = deployment.now_ms();
    let mut after = None;
    loop {
        let page = deployment.stores().all_connections(after.as_deref()).await?;
        for (agent, row) in page.items {
            spinner.inc(1);
            match row {
                Ok(row) => listed.connections.extend(connected(&agent, &row, now_ms)),
                Err(error) => listed.unreadable.push((agent, error.to_string())),
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    spinner.finish_and_clear();
    listed.connections.sort_by(|one, other| one.agent_did.cmp(&other.agent_did));
    let exit = if listed.unreadable.is_empty() { Exit::Done } else { Exit::Partly };
    Ok(Answer::of(&listed, exit))
}

async fn show(deployment: &Deployment, agent: &AgentDid) -> Result<Answer, Failure> {
    let row = deployment.stores().connection(agent).await?;
    let shown = Shown {
        agent_did: agent.to_string(),
        connection: connected(agent.as_str(), &row, deployment.now_ms()),
        drain_started_at: row.drain_started_at_ms.map(to_iso),
        drain_announced_at: row.drain_announced_at_ms.map(to_iso),
        quick_supersedes: row.history.quick_supersedes,
        short_lives: row.history.short_lives,
        quarantined: row.history.is_quarantined(),
    };
    let exit = if shown.connection.is_some() { Exit::Done } else { Exit::NotFound };
    Ok(Answer::of(&shown, exit))
}

/// Cuts as the functions do. API Gateway does not know a socket yet that is only opening, and it would open unnamed if
/// its row were cleared: it is cut again until it is open or too old to open.
async fn cut(deployment: &Deployment, agent: &AgentDid) -> Result<Answer, Failure> {
    let spinner = progress::spinner("cutting the connection");
    let mut cut = Cut { agent_did: agent.to_string(), connection_id: None, closed: false, opening: false };
    let until_ms = deployment.now_ms().saturating_add(OPENING_MS_MAX);
    loop {
        let live = deployment.stores().connection(agent).await?.live;
        cut.connection_id = live.map(|live| live.connection_id).or(cut.connection_id);
        let tally = Tally::default();
        let outcome = revocation::cut(&deployment.stores(), agent, u64::MAX, &tally).await?;
        cut.closed = tally.of(Metric::SocketCut) > 0;
        cut.opening = matches!(outcome, revocation::Cut::NotOpenYet(_));
        if !cut.opening || deployment.now_ms() >= until_ms {
            break;
        }
        tokio::time::sleep(CUT_AGAIN).await;
    }
    spinner.finish_and_clear();
    let exit = cut.exit();
    Ok(Answer::of(&cut, exit))
}

fn connected(agent: &str, row: &ConnectionRow, now_ms: u64) -> Option<OpenSocket> {
    let live = row.live.as_ref()?;
    Some(OpenSocket {
        agent_did: agent.to_owned(),
        connection_id: live.connection_id.clone(),
        connected_at: to_iso(live.connected_at_ms),
        lease_expires_at: to_iso(live.lease_expires_at_ms),
        current: row.current(now_ms).is_some(),
        for_ms: now_ms.saturating_sub(live.connected_at_ms),
    })
}

impl OpenSocket {
    fn lease(&self) -> &'static str {
        if self.current { "current" } else { "over" }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |connected: &OpenSocket| {
            [
                connected.agent_did.clone(),
                connected.connection_id.clone(),
                connected.connected_at.clone(),
                span(connected.for_ms),
                connected.lease().to_owned(),
            ]
        };
        let rows = self.connections.iter().map(row);
        if !self.connections.is_empty() {
            writeln!(formatter, "{}\n", table(["agent", "connection", "since", "for", "lease"], rows))?;
        }
        for (agent, problem) in &self.unreadable {
            writeln!(formatter, "the row of {agent:?} cannot be read: {problem}")?;
        }
        write!(formatter, "{} connected", self.connections.len())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.agent_did)?;
        match &self.connection {
            Some(connected) => {
                writeln!(formatter, "connection        {}", connected.connection_id)?;
                writeln!(
                    formatter,
                    "since             {} ({})",
                    connected.connected_at,
                    span(connected.for_ms)
                )?;
                writeln!(
                    formatter,
                    "lease             {} until {}",
                    connected.lease(),
                    connected.lease_expires_at
                )?;
            }
            None => writeln!(formatter, "connection        none")?,
        }
        writeln!(formatter, "drain begun       {}", or_dash(self.drain_started_at.as_ref()))?;
        writeln!(formatter, "drain announced   {}", or_dash(self.drain_announced_at.as_ref()))?;
        writeln!(formatter, "quick supersedes  {}", self.quick_supersedes)?;
        writeln!(formatter, "short lives       {}", self.short_lives)?;
        write!(formatter, "quarantined       {}", if self.quarantined { "yes" } else { "no" })
    }
}

impl Cut {
    const fn exit(&self) -> Exit {
        match &self.connection_id {
            None => Exit::NotFound,
            Some(_) if self.opening => Exit::Partly,
            Some(_) => Exit::Done,
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agent = &self.agent_did;
        match (&self.connection_id, self.closed) {
            (Some(id), _) if self.opening => {
                write!(formatter, "{id} of {agent} is still opening: cut it again in a moment")
            }
            (Some(id), true) => write!(formatter, "cut {id} of {agent}"),
            (Some(id), false) => write!(formatter, "{id} of {agent} was gone already; its row is cleared"),
            (None, _) => write!(formatter, "{agent} is not connected"),
        }
    }
}
