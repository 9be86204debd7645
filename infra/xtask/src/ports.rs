//! Ports for the parts of the stack.

use std::net::{Ipv4Addr, TcpListener};

use crate::failure::Failure;

/// Where each part listens, all on 127.0.0.1.
pub(crate) struct Ports {
    pub(crate) aws: u16,
    pub(crate) registry: u16,
    pub(crate) front_door: u16,
    /// The front door of a second stack.
    pub(crate) peer_front_door: u16,
}

impl Ports {
    /// Ports that nobody has.
    pub(crate) fn free() -> Result<Self, Failure> {
        Self::preferring([0, 0, 0, 0])
    }

    /// The same ports every time, each replaced by a free one if somebody has it.
    pub(crate) fn familiar() -> Result<Self, Failure> {
        Self::preferring([4566, 4567, 4568, 4569])
    }

    fn preferring(wanted: [u16; 4]) -> Result<Self, Failure> {
        // All are held until all are known, so that they differ.
        let listeners: Vec<_> = wanted.into_iter().map(listen).collect::<Result<_, _>>()?;
        let [aws, registry, front_door, peer_front_door] =
            [0, 1, 2, 3].map(|index| port_of(&listeners[index]));
        Ok(Self {
            aws: aws?,
            registry: registry?,
            front_door: front_door?,
            peer_front_door: peer_front_door?,
        })
    }
}

fn listen(wanted: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .map_err(|error| Failure::io("no free port on 127.0.0.1", &error))
}

fn port_of(listener: &TcpListener) -> Result<u16, Failure> {
    let address = listener.local_addr().map_err(|error| Failure::io("cannot read a port", &error))?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced() {
        let taken = listen(0).expect("a port");
        let wanted = port_of(&taken).expect("a number");
        let ports = Ports::preferring([wanted, wanted, 0, 0]).expect("ports");
        assert_ne!(ports.aws, wanted);
        assert_ne!(ports.registry, wanted);
        assert_ne!(ports.aws, ports.registry);
    }
}
