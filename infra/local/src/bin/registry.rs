//! The registry stand-in as a program.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use clap::Parser;
use local::listener;
use local::registry::{Entropy, Registry};

/// A Clawdentity registry for one machine: real keys and tokens, state in memory
#[derive(Parser)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The proxy URL that GET /v1/metadata names
    #[arg(long)]
    proxy_url: Option<String>,
    /// Same seed, same keys and tokens
    #[arg(long)]
    seed: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let entropy = match &arguments.seed {
        Some(seed) => Entropy::from_seed(seed),
        None => Entropy::from_system()?,
    };
    let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)))?;
    let origin = format!("http://{}", listener.local_addr()?);
    let registry = Registry::new(&origin, arguments.proxy_url.as_deref(), entropy);
    listener::serve_until_stopped(listener, registry.router()).await
}
