//! A TCP connection to a host: every address in turn, with the socket set up before it connects.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};

use crate::config::Settings;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::options::{Family, Options};

/// How TCP sockets are made.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    /// Congestion control by the kernel's name for it.
    pub congestion: Option<String>,
    pub nagle: bool,
}

impl Sockets {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            congestion: options.congestion.clone(),
            nagle: options.nagle,
        }
    }
}

/// A connected socket.
pub(crate) struct Connected {
    pub stream: TcpStream,
    pub address: SocketAddr,
    /// From SYN to SYN-ACK.
    pub rtt: Duration,
}

/// Connects to the first address that answers; `favourite` is tried before the others, so that connections made later
/// reach the same machine of a name with several.
pub(crate) async fn connect(
    settings: &Settings,
    sockets: &Sockets,
    favourite: Option<SocketAddr>,
) -> Result<Connected, ConnectError> {
    let host = settings.hostname.as_str();
    let shown = settings.shown();
    let fits = |address: &SocketAddr| match settings.family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    };
    let resolve = || ConnectError::new(ConnectErrorKind::Resolve, &shown, "the name has no address");
    let found = tokio::time::timeout(settings.connect_timeout, tokio::net::lookup_host((host, settings.port)))
        .await
        .map_err(|_| resolve().because("the name service does not answer"))?
        .map_err(|error| resolve().because(error))?;
    let mut addresses: Vec<SocketAddr> = found.filter(fits).collect();
    if let Some(position) = addresses.iter().position(|address| Some(*address) == favourite) {
        addresses.swap(0, position);
    }
    let mut failure = None;
    for address in addresses {
        let begun = Instant::now();
        let attempt = tokio::time::timeout(settings.connect_timeout, attempt(settings, sockets, address)).await;
        match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                return Ok(Connected {
                    stream,
                    address,
                    rtt: begun.elapsed(),
                });
            }
            Err(error) => failure = Some((address, error)),
        }
    }
    Err(match failure {
        Some((address, error)) => {
            let text = format!("no TCP connection to {address}");
            let mut failed = ConnectError::new(ConnectErrorKind::Tcp, shown, text);
            if error.kind() == io::ErrorKind::InvalidInput {
                failed = ConnectError::new(ConnectErrorKind::Config, failed.host(), "the socket cannot be set up");
            }
            failed.because(error)
        }
        None => resolve().because("it has none of the family asked for"),
    })
}

async fn attempt(settings: &Settings, sockets: &Sockets, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_nodelay(!sockets.nagle)?;
    socket.set_keepalive(settings.tcp_keepalive)?;
    if let Some(name) = &sockets.congestion {
        set_congestion(&socket, name)?;
    }
    if let Some(bind) = &settings.bind_address {
        let ip: IpAddr = bind.parse().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("BindAddress `{bind}` is not an address"),
            )
        })?;
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    socket.connect(address).await
}

#[cfg(target_os = "linux")]
fn set_congestion(socket: &TcpSocket, name: &str) -> io::Result<()> {
    rustix::net::sockopt::set_tcp_congestion(socket, name).map_err(|error| {
        let offered = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
        let offered = offered.unwrap_or_default();
        let text = format!(
            "congestion control `{name}`: {error}; this kernel offers {}",
            offered.trim()
        );
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

#[cfg(not(target_os = "linux"))]
fn set_congestion(_socket: &TcpSocket, name: &str) -> io::Result<()> {
    let text = format!("congestion control `{name}` cannot be chosen on this system");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}
