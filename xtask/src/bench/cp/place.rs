//! Where a case runs: this machine's loopback, or a long way between network namespaces; always with a private stock sshd.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use renkei_testkit::{Sshd, Wan, process, wait, wan};
use tempfile::TempDir;

use super::case::{Direction, Link, Way};
use super::measure;

/// Streams of iperf3: what the promises are measured against.
const STREAMS: u32 = 16;
/// A shorter run of iperf3 would see little but the start of its streams.
const SHORTEST_LIMIT: f64 = 2.0;
/// A longer one would say nothing more.
const LONGEST_LIMIT: f64 = 30.0;

/// What command lines need to know about the server.
pub struct Server {
    /// For `-F`.
    pub config: PathBuf,
    /// Its alias in there.
    pub host: &'static str,
    /// For tools that read no OpenSSH configuration.
    pub address: SocketAddr,
    /// Who logs in.
    pub user: String,
    /// The private key.
    pub identity: PathBuf,
    /// The server's host key.
    pub known_hosts: PathBuf,
}

/// Client, link and server.
pub struct Place {
    ground: Ground,
    server: Server,
}

enum Ground {
    Loopback(Box<Sshd>),
    Far(Box<Wan>),
}

impl Place {
    /// Builds it and starts the servers.
    pub fn new(link: Link, way: Way) -> Result<Place> {
        let ground = match link {
            Link::Loopback => Ground::Loopback(Box::new(Sshd::stock()?)),
            Link::Wan {
                rtt_ms,
                rate_mbit,
                loss_permille,
                congestion,
            } => {
                let mut builder = Wan::builder()
                    .rtt(Duration::from_millis(rtt_ms.into()))
                    .rate(u64::from(rate_mbit) * 1_000_000)
                    .loss(loss_permille / 1000.0);
                if let Some(name) = congestion {
                    builder = builder.congestion(name);
                }
                if way == Way::Jump {
                    builder = builder.through_jump_host();
                }
                Ground::Far(Box::new(builder.build()?))
            }
        };
        let sshd = ground.sshd();
        let server = Server {
            config: match &ground {
                Ground::Loopback(sshd) => sshd.ssh_config(),
                Ground::Far(wan) => wan.ssh_config(),
            },
            host: "testhost",
            address: sshd.address(),
            user: sshd.user().to_owned(),
            identity: sshd.identity().to_owned(),
            known_hosts: sshd.known_hosts(),
        };
        Ok(Place { ground, server })
    }

    /// What command lines need to know.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A process at the client's end.
    pub fn client(&self, program: &str) -> Command {
        match &self.ground {
            Ground::Loopback(_) => Command::new(program),
            Ground::Far(wan) => wan.client_command(program),
        }
    }

    /// CPU seconds of all sessions that have ended, at the server and the jump host.
    pub fn server_cpu(&self) -> Result<f64> {
        let pids = self.servers().into_iter().filter_map(Sshd::pid);
        pids.map(measure::children_cpu).sum()
    }

    /// Sessions that have not ended, or whose time sshd has not taken over yet.
    pub fn sessions(&self) -> usize {
        let pids = self.servers().into_iter().filter_map(Sshd::pid);
        pids.map(|pid| process::children(pid).len()).sum()
    }

    /// Bytes a second that iperf3 gets for about `seconds`.
    pub fn limit(&self, direction: Direction, seconds: f64) -> Result<f64> {
        let seconds = seconds.clamp(SHORTEST_LIMIT, LONGEST_LIMIT).round() as u32;
        let bits = match &self.ground {
            Ground::Loopback(_) => loopback_limit(direction, seconds)?,
            Ground::Far(wan) => {
                let way = match direction {
                    Direction::Up => wan::Direction::Up,
                    Direction::Down => wan::Direction::Down,
                };
                wan.iperf(way, STREAMS, seconds)?
            }
        };
        Ok(bits / 8.0)
    }

    fn servers(&self) -> Vec<&Sshd> {
        let jump = match &self.ground {
            Ground::Loopback(_) => None,
            Ground::Far(wan) => wan.jump_host(),
        };
        std::iter::once(self.ground.sshd()).chain(jump).collect()
    }
}

impl Ground {
    fn sshd(&self) -> &Sshd {
        match self {
            Ground::Loopback(sshd) => sshd,
            Ground::Far(wan) => wan.sshd(),
        }
    }
}

/// A directory in tmpfs, so that no disk is measured.
pub fn folder_in_memory() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    tempfile::Builder::new()
        .prefix("renkei-bench-")
        .tempdir_in(memory)
        .context("cannot use /dev/shm")
}

fn loopback_limit(direction: Direction, seconds: u32) -> Result<f64> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let mut server = Command::new("iperf3");
    server.args([
        "--server",
        "--one-off",
        "--bind",
        "127.0.0.1",
        "--forceflush",
        "--port",
        &port,
    ]);
    let mut serving = Serving(
        server
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start iperf3")?,
    );
    let mut said = serving.0.stdout.take().context("iperf3 has no standard output")?;
    let mut first = [0; 64];
    // It says nothing before it listens.
    wait::until("iperf3 to listen", || {
        said.read(&mut first).is_ok_and(|length| length > 0)
    })?;
    let mut client = Command::new("iperf3");
    client.args(["--json", "--client", "127.0.0.1", "--port", &port]);
    client.args(["--parallel", &STREAMS.to_string(), "--time", &seconds.to_string()]);
    if direction == Direction::Down {
        client.arg("--reverse");
    }
    let report: serde_json::Value = serde_json::from_str(&crate::tool::output(&mut client)?)?;
    report
        .pointer("/end/sum_received/bits_per_second")
        .and_then(serde_json::Value::as_f64)
        .context("iperf3 gave no rate")
}

/// The iperf3 server; it ends with us even when the client failed.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended by itself unless the client failed; then there is nothing more to say.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
