//! The tests' connector for people: listen as an agent, post a receipt, look one up.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use acceptance::connector::{BackOff, Connector, HttpAnswer, Identity, Receipt, Session, Status};
use acceptance::registry_client::RegistryClient;
use acceptance::stamp;
use clap::{Args, Parser, Subcommand, ValueEnum};

const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// A Clawdentity connector for the local stack
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Hold the WebSocket open and print what comes
    Listen(Agent),
    /// Post a receipt as the recipient of a message
    Post {
        #[command(flatten)]
        agent: Agent,
        /// DID of the message's sender
        #[arg(long)]
        sender: String,
        /// The message, a ULID; a new one if left out
        #[arg(long)]
        request_id: Option<String>,
        #[arg(long, value_enum, default_value = "delivered_to_webhook")]
        status: Outcome,
        /// Why, in free text
        #[arg(long)]
        reason: Option<String>,
    },
    /// Look a receipt up as the sender of a message
    Lookup {
        #[command(flatten)]
        agent: Agent,
        /// DID of the message's recipient
        #[arg(long)]
        recipient: String,
        /// The message, a ULID
        #[arg(long)]
        request_id: String,
    },
}

#[derive(Args)]
struct Agent {
    /// URL of the proxy, which is the front door
    #[arg(long)]
    proxy: String,
    /// URL of the registry stand-in, to register there
    #[arg(long)]
    registry: String,
    /// Name to register under
    #[arg(long)]
    name: String,
    /// File that keeps the identity, secret key included; without it every run is a new agent
    #[arg(long)]
    identity: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Outcome {
    DeliveredToWebhook,
    DeadLettered,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        Command::Listen(agent) => listen(&agent.connector().await?).await,
        Command::Post { agent, sender, request_id, status, reason } => {
            let connector = agent.connector().await?;
            let receipt = Receipt {
                request_id: request_id.unwrap_or_else(stamp::new_ulid),
                sender_agent_did: sender,
                recipient_agent_did: connector.did().to_owned(),
                status: match status {
                    Outcome::DeliveredToWebhook => Status::DeliveredToWebhook,
                    Outcome::DeadLettered => Status::DeadLettered,
                },
                reason,
            };
            println!("receipt for {}", receipt.request_id);
            print_answer(&connector.post_receipt(&receipt).await?)
        }
        Command::Lookup { agent, recipient, request_id } => {
            print_answer(&agent.connector().await?.get_receipt(&request_id, &recipient).await?)
        }
    }
}

impl Agent {
    async fn connector(&self) -> Result<Connector, Box<dyn Error>> {
        let identity = match self.identity.as_deref().map(load).transpose()?.flatten() {
            Some(identity) => identity,
            None => self.register().await?,
        };
        println!("agent {}", identity.agent_did);
        Ok(Connector::new(identity, &self.proxy)?)
    }

    async fn register(&self) -> Result<Identity, Box<dyn Error>> {
        let identity = RegistryClient::new(&self.registry).register(&self.name).await?;
        if let Some(file) = &self.identity {
            // It holds the secret key: nobody else may read it.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
            file.write_all(&serde_json::to_vec_pretty(&identity)?)?;
        }
        Ok(identity)
    }
}

/// `None` if there is no such file yet.
fn load(file: &Path) -> Result<Option<Identity>, Box<dyn Error>> {
    match std::fs::read(file) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(problem) if problem.kind() == ErrorKind::NotFound => Ok(None),
        Err(problem) => Err(problem.into()),
    }
}

/// Connects, prints, and connects again when the session ends, until the process is stopped. The first time it does not
/// wait.
async fn listen(connector: &Connector) -> Result<(), Box<dyn Error>> {
    let mut back_off = BackOff::of_handshakes();
    loop {
        match connector.connect().await {
            Ok(session) => {
                println!("{} connected", stamp::now_iso());
                back_off.has_succeeded();
                print_frames(&session).await?;
            }
            Err(refusal) => println!("{} {refusal}", stamp::now_iso()),
        }
        back_off.wait().await;
    }
}

async fn print_frames(session: &Session) -> Result<(), Box<dyn Error>> {
    let mut printed = 0;
    loop {
        let next = session.frame_at(printed, FOR_EVER).await;
        let Ok(frame) = next else {
            let end = session.ended(FOR_EVER).await?;
            println!("{} session ended: {end:?}", stamp::now_iso());
            return Ok(());
        };
        println!("{} {}", stamp::now_iso(), frame.text);
        for (connector, verdict) in [("TypeScript", &frame.typescript), ("Rust", &frame.rust)] {
            if let Err(violation) = verdict {
                println!("    refused by the {connector} connector: {violation}");
            }
        }
        printed += 1;
    }
}

fn print_answer(answer: &HttpAnswer) -> Result<(), Box<dyn Error>> {
    println!("{} {}", answer.status, answer.body);
    if (200..300).contains(&answer.status) { Ok(()) } else { Err("not a success".into()) }
}
