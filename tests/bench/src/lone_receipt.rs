//! P12: one receipt at a time, from its POST to its frame, on a running local stack.

use std::time::{Duration, Instant};

use acceptance::connector::Connector;
use acceptance::eventually::PATIENCE;
use acceptance::load;
use acceptance::registry_client::RegistryClient;
use acceptance::stack::Stack;

use crate::Result;
use crate::figures::{Figure, Kind, Unit};

/// Those before the first that is measured: processes are started by then, and connections open.
const WARM_UP: usize = 10;
const MEASURED: usize = 100;

/// The figures of a lone receipt, on the stack that `BACKBONE_STACK` names.
pub(crate) async fn figures() -> Result<Vec<Figure>> {
    let stack = Stack::running();
    let registry = RegistryClient::new(&stack.registry_url);
    let sender = Connector::new(registry.register("sender").await?, &stack.proxy_url)?;
    let recipient = Connector::new(registry.register("recipient").await?, &stack.proxy_url)?;
    stack.pair(sender.did(), recipient.did()).await?;
    let mut session = sender.connect().await?;
    session.acknowledged_heartbeat(PATIENCE).await?;
    let mut delays = Vec::with_capacity(WARM_UP + MEASURED);
    for receipt in load::receipts(WARM_UP + MEASURED, sender.did(), &[recipient.did()]) {
        let posted = Instant::now();
        let answer = recipient.post_receipt(&receipt).await?;
        let frame = session.next_receipt(PATIENCE).await?;
        if answer.status != 202 || frame.frame.original_frame_id != receipt.request_id {
            return Err(format!("a lone receipt was answered {} {}", answer.status, answer.body).into());
        }
        delays.push(frame.at.duration_since(posted));
    }
    let mut delays = delays.split_off(WARM_UP);
    delays.sort_unstable();
    let of = |id, what, delay: Duration| {
        Figure::counted(id, what, delay.as_secs_f64() * 1e3, Unit::Milliseconds).of_kind(Kind::Read)
    };
    Ok(vec![
        of("P12 median", "a lone receipt from POST to frame, median", delays[MEASURED / 2])
            .within(80.0)
            .aiming_at(40.0),
        of("P12 slowest", "the slowest of a hundred", delays[MEASURED - 1]),
    ])
}
