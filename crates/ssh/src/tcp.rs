//! A TCP connection to a host: every address in turn, with the socket set up before it connects.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream};

use crate::config::Settings;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::options::{Family, Options};

/// How long an address has before the next one is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

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
    let failure = match race(settings, sockets, &addresses).await {
        Ok(connected) => return Ok(connected),
        Err(failure) => failure,
    };
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

/// Tries the addresses in order, each a moment after the one before it if that has not answered by then: a host whose
/// IPv6 address leads nowhere must not cost a whole timeout (RFC 8305). The error is that of the last one.
async fn race(
    settings: &Settings,
    sockets: &Sockets,
    addresses: &[SocketAddr],
) -> Result<Connected, Option<(SocketAddr, io::Error)>> {
    let try_one = async |address: SocketAddr| {
        let begun = Instant::now();
        let attempt = tokio::time::timeout(settings.connect_timeout, attempt(settings, sockets, address)).await;
        match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => Ok(Connected {
                stream,
                address,
                rtt: begun.elapsed(),
            }),
            Err(error) => Err((address, error)),
        }
    };
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    running.extend(waiting.next().map(|address| try_one(*address)));
    let mut failure = None;
    loop {
        let more = !waiting.as_slice().is_empty();
        tokio::select! {
            biased;
            ended = running.next() => match ended {
                Some(Ok(connected)) => return Ok(connected),
                Some(Err(error)) => failure = Some(error),
                None => return Err(failure),
            },
            () = tokio::time::sleep(STAGGER), if more => {}
        }
        running.extend(waiting.next().map(|address| try_one(*address)));
    }
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::config;
    use crate::destination::Destination;

    async fn settings() -> Settings {
        let options = Options {
            config_file: Some("none".into()),
            ..Options::default()
        };
        config::settings(&Destination::host("127.0.0.1"), &options)
            .await
            .unwrap()
    }

    const PLAIN: Sockets = Sockets {
        congestion: None,
        nagle: false,
    };

    async fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_followed_by_the_next() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = open.local_addr().unwrap();
        let connected = race(&settings().await, &PLAIN, &[closed().await, address]).await;
        assert_eq!(connected.unwrap_or_else(|error| panic!("{error:?}")).address, address);
    }

    #[tokio::test]
    async fn an_address_that_never_answers_is_not_waited_out() {
        // A queue of one that is full: Linux drops further SYNs in silence.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(STAGGER, tokio::net::TcpStream::connect(silent)).await {
            filling.push(stream);
        }
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = open.local_addr().unwrap();
        let connected = race(&settings().await, &PLAIN, &[silent, address]).await;
        assert_eq!(connected.unwrap_or_else(|error| panic!("{error:?}")).address, address);
    }

    #[tokio::test]
    async fn the_last_failure_is_told_when_no_address_answers() {
        let last = closed().await;
        match race(&settings().await, &PLAIN, &[closed().await, last]).await {
            Err(Some((address, error))) => {
                assert_eq!(address, last);
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            }
            other => panic!("{:?}", other.map(|connected| connected.address)),
        }
        assert!(matches!(race(&settings().await, &PLAIN, &[]).await, Err(None)));
    }
}
