//! Serving one router on one loopback port until SIGTERM.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// How long open requests may take to finish once we were told to stop. A request that a simulated outage holds
/// back never finishes, so there has to be an end.
const GRACE: Duration = Duration::from_secs(2);

/// Connections that may wait to be accepted. Linux drops what comes beyond, and the client begins anew after a second.
const WAITING_TO_BE_ACCEPTED: u32 = 1024;

/// Takes the port and says in one line on stdout where it listens: with port 0 nobody could know otherwise.
///
/// # Errors
///
/// When the address is taken or is not ours.
#[expect(clippy::print_stdout, reason = "the line that tells the port")]
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(WAITING_TO_BE_ACCEPTED)?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

/// Serves `router` until SIGTERM or SIGINT, then lets open requests finish, for two seconds at most.
///
/// # Errors
///
/// When the signals cannot be watched.
pub async fn serve_until_stopped(listener: TcpListener, router: Router) -> io::Result<()> {
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, mut stopping) = tokio::sync::watch::channel(());
    let listener = listener.tap_io(without_delay);
    let served = axum::serve(listener, router).with_graceful_shutdown(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        drop(stop);
    });
    tokio::select! {
        result = served => result,
        () = async {
            // Fails when the sender is dropped, which is the signal.
            let _ = stopping.changed().await;
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}

/// Serves `router` on a free port until the program ends, and says where.
///
/// # Errors
///
/// When there is no port.
pub async fn open(router: Router) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let listener = listener.tap_io(without_delay);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Small frames both ways: Nagle's algorithm would hold them back up to 40 ms. A socket that refuses the option is slower,
/// not wrong.
fn without_delay(stream: &mut TcpStream) {
    let _ = stream.set_nodelay(true);
}
