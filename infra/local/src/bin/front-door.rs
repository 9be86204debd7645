//! The local front door as a program.

use std::io;
use std::net::SocketAddr;

use clap::Parser;
use local::front_door::{self, Upstreams};
use local::listener;

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
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let upstreams = Upstreams::new(&arguments.http_api, &arguments.websocket_api)
        .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
    let listener = listener::bind(arguments.listen).await?;
    listener::serve_until_stopped(listener, front_door::router(upstreams)).await
}
