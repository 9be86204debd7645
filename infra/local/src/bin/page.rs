//! The web page of the local stack as a program.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;
use local::listener;
use local::page::{self, StackDescription};

/// A web page on which one sees what the local stack is doing
#[derive(Parser)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The file that describes the stack, as `cargo xtask` writes it
    #[arg(long)]
    stack: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let stack = StackDescription::from_file(&arguments.stack)?;
    let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)))?;
    let port = listener.local_addr()?.port();
    listener::serve_until_stopped(listener, page::router(&stack, port)).await
}
