//! The local front door as a program.

use std::net::SocketAddr;
use std::{env, io};

use clap::Parser;
use local::front_door::{Door, Limits, PUSHES_PER_SECOND, Upstreams, router};
use local::listener;

/// The variable with the secret that the functions know this door by; an argument would show in a list of processes.
const ORIGIN_SECRET: &str = "ORIGIN_SECRET";

/// One port in front of the WebSocket API and the HTTP API, as CloudFront is on AWS
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Base URL of the HTTP API, `http://…`
    #[arg(long)]
    http_api: String,
    /// URL of the WebSocket API's stage, `ws://…`
    #[arg(long)]
    websocket_api: String,
    /// Calls of @connections in a second, a burst apart; 0 lifts the limit
    #[arg(long, default_value_t = PUSHES_PER_SECOND)]
    pushes_per_second: u32,
    #[command(flatten)]
    limits: Limits,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let invalid = |problem| io::Error::new(io::ErrorKind::InvalidInput, problem);
    let mut upstreams = Upstreams::new(&arguments.http_api, &arguments.websocket_api).map_err(invalid)?;
    if let Ok(secret) = env::var(ORIGIN_SECRET) {
        upstreams = upstreams.with_origin_secret(&secret).map_err(invalid)?;
    }
    let door = Door::new(upstreams, arguments.limits, arguments.pushes_per_second);
    let listener = listener::bind(arguments.listen)?;
    listener::serve_until_stopped(listener, router(door)).await
}
