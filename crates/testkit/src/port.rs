//! TCP ports that stay ours while the server on them is down.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket_with, sockopt};

/// A free loopback port, held by a bound socket that does not listen.
///
/// A server that sets `SO_REUSEADDR` (sshd does, and std) can bind and listen beside it; the kernel gives the port to
/// nobody else, so that the server can be stopped and started again on it.
#[derive(Debug)]
pub struct ReservedPort {
    _socket: OwnedFd,
    number: u16,
}

impl ReservedPort {
    /// Takes a port that nobody uses.
    pub fn take() -> Result<Self> {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).context("no socket for a free port")?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
        match SocketAddr::try_from(getsockname(&socket)?) {
            Ok(address) => Ok(Self {
                _socket: socket,
                number: address.port(),
            }),
            Err(error) => bail!("the socket has no address: {error}"),
        }
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_server_can_come_and_go_on_a_reserved_port() {
        let port = ReservedPort::take().unwrap();
        for _ in 0..2 {
            let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        }
    }
}
