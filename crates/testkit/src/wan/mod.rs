//! A long way on one machine: network namespaces joined by a link with round-trip time, rate, queue and loss, and a stock
//! sshd at the far end.
//!
//! ```text
//! client ──wan0── server                      Wan::builder()
//! client ──wan0── jump ──leg── server         Wan::builder().through_jump_host()
//! ```
//!
//! Both ends share the file system; only the network is apart. Nothing outside the namespaces changes, and any number can
//! exist at once. Needs root, `/dev/net/tun` and iproute2; see [`Wan::available`].

mod frame;
mod iperf;
mod link;
pub(crate) mod tun;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

pub use iperf::Direction;
pub use link::{Counters, Traffic};

use crate::namespace::{self, Namespace};
use crate::sshd::Sshd;
use link::{Link, Shape};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 1);
const FAR_END: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 2);
const JUMP_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 90, 1, 1);
const BEHIND_JUMP: Ipv4Addr = Ipv4Addr::new(10, 90, 1, 2);

/// Says what the way shall be like; see [`Wan::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    rtt: Duration,
    rate: Option<u64>,
    loss: f64,
    queue: Option<u64>,
    congestion: Option<String>,
    sshd: crate::sshd::Builder,
    jump: bool,
}

impl Builder {
    /// Round-trip time, half of it each way; none unless said.
    #[must_use]
    pub fn rtt(mut self, rtt: Duration) -> Self {
        self.rtt = rtt;
        self
    }

    /// Bits a second each way, IP headers included; unlimited unless said.
    #[must_use]
    pub fn rate(mut self, bits_per_second: u64) -> Self {
        self.rate = Some(bits_per_second);
        self
    }

    /// The part of the segments that is lost, 0 to 1, each way.
    #[must_use]
    pub fn loss(mut self, part: f64) -> Self {
        self.loss = part;
        self
    }

    /// Bytes that fit into the queue before the slow line; unless said as much as is under way in one round-trip time, at
    /// least 1 MiB.
    #[must_use]
    pub fn queue(mut self, bytes: u64) -> Self {
        self.queue = Some(bytes);
        self
    }

    /// Default congestion control of all ends, one of [`congestion_controls`].
    #[must_use]
    pub fn congestion(mut self, name: &str) -> Self {
        self.congestion = Some(name.to_owned());
        self
    }

    /// A line of the far server's sshd_config.
    #[must_use]
    pub fn sshd_option(mut self, line: &str) -> Self {
        self.sshd = self.sshd.option(line);
        self
    }

    /// What the far server is like in all else.
    #[must_use]
    pub fn sshd(mut self, builder: crate::sshd::Builder) -> Self {
        self.sshd = builder;
        self
    }

    /// Puts a jump host with its own sshd between: the long way leads to it, the server stands beside it and cannot be
    /// reached otherwise. [`Wan::ssh_config`] then has the `ProxyJump`.
    #[must_use]
    pub fn through_jump_host(mut self) -> Self {
        self.jump = true;
        self
    }

    /// Builds it all and starts the servers.
    ///
    /// # Errors
    /// If [`Wan::available`] says so, or the kernel refuses a part.
    pub fn build(self) -> Result<Wan> {
        Wan::available()?;
        namespace::remove_left_behind();
        let far = if self.jump { "jump" } else { "server" };
        let near_end = Namespace::create("client")?;
        let far_end = Namespace::create(far)?;
        let behind = self.jump.then(|| Namespace::create("server")).transpose()?;
        for namespace in [Some(&near_end), Some(&far_end), behind.as_ref()].into_iter().flatten() {
            if let Some(name) = &self.congestion {
                namespace.set_congestion(name)?;
            }
        }
        let link = Link::join((&near_end, CLIENT), (&far_end, FAR_END), self.shape())?;
        let mut jump = None;
        let server;
        if let Some(behind) = &behind {
            far_end.join_directly(JUMP_INSIDE, behind, BEHIND_JUMP)?;
            jump = Some(start_sshd(Sshd::builder().alias("jumphost"), &far_end, FAR_END)?);
            server = start_sshd(self.sshd, behind, BEHIND_JUMP)?;
        } else {
            server = start_sshd(self.sshd, &far_end, FAR_END)?;
        }
        let wan = Wan {
            server,
            jump,
            link,
            near_end,
            far_end,
            behind,
        };
        wan.write_jump_config()?;
        Ok(wan)
    }

    fn shape(&self) -> Shape {
        let in_flight = self.rate.map_or(0.0, |rate| rate as f64 / 8.0 * self.rtt.as_secs_f64()) as u64;
        Shape {
            one_way: self.rtt / 2,
            rate: self.rate,
            loss: self.loss,
            queue: self.queue.unwrap_or(in_flight.max(1 << 20)),
        }
    }
}

fn start_sshd(builder: crate::sshd::Builder, namespace: &Namespace, address: Ipv4Addr) -> Result<Sshd> {
    builder.elsewhere(address.into(), 22, namespace.launcher()).start()
}

/// A long way with an sshd at its end; all of it is removed when dropped.
#[derive(Debug)]
pub struct Wan {
    // In the order in which they are dropped: servers, then the link, then what they stand in.
    server: Sshd,
    jump: Option<Sshd>,
    link: Link,
    near_end: Namespace,
    far_end: Namespace,
    behind: Option<Namespace>,
}

impl Wan {
    /// What the way shall be like.
    pub fn builder() -> Builder {
        Builder {
            rtt: Duration::ZERO,
            rate: None,
            loss: 0.0,
            queue: None,
            congestion: None,
            sshd: Sshd::builder(),
            jump: false,
        }
    }

    /// Whether it can be built here, and if not why.
    pub fn available() -> Result<()> {
        ensure!(rustix::process::getuid().is_root(), "network namespaces need root");
        ensure!(Path::new("/dev/net/tun").exists(), "the kernel has no `/dev/net/tun`");
        for (program, package) in [("ip", "iproute2"), ("nsenter", "util-linux")] {
            let found = Command::new(program)
                .arg("--version")
                .output()
                .or_else(|_| Command::new(program).arg("-V").output());
            found.with_context(|| format!("no `{program}`; is {package} installed?"))?;
        }
        Ok(())
    }

    /// `program` as a process at the client's end.
    pub fn client_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.near_end.command(program)
    }

    /// `program` as a process on the server.
    pub fn server_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.behind.as_ref().unwrap_or(&self.far_end).command(program)
    }

    /// A client configuration for `-F`, in which `testhost` is the server, through the jump host where there is one.
    pub fn ssh_config(&self) -> PathBuf {
        match &self.jump {
            Some(_) => self.server.folder().join("ssh_config_jump"),
            None => self.server.ssh_config(),
        }
    }

    /// The server.
    pub fn sshd(&self) -> &Sshd {
        &self.server
    }

    /// The jump host, called `jumphost` in [`Wan::ssh_config`].
    pub fn jump_host(&self) -> Option<&Sshd> {
        self.jump.as_ref()
    }

    /// Process of the listening sshd on the server; its sessions are its children.
    pub fn sshd_pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// The server's address, reachable from the client's end unless there is a jump host.
    pub fn server_address(&self) -> IpAddr {
        self.server.address().ip()
    }

    /// What has passed the link so far.
    pub fn counters(&self) -> Counters {
        self.link.counters()
    }

    /// Lets the link swallow everything, in both directions, without a word.
    pub fn cut(&self) {
        self.link.set_cut(true);
    }

    /// Lets it carry again after [`Wan::cut`].
    pub fn mend(&self) {
        self.link.set_cut(false);
    }

    /// Bits a second that `iperf3` gets over the link with so many streams in `seconds`: the limit for any tool.
    pub fn iperf(&self, direction: Direction, streams: u32, seconds: u32) -> Result<f64> {
        iperf::measure(&self.near_end, (&self.far_end, FAR_END), direction, (streams, seconds))
    }

    fn write_jump_config(&self) -> Result<()> {
        if let Some(jump) = &self.jump {
            let text = format!(
                "Host testhost {}\n  ProxyJump jumphost\n\n{}\n{}",
                self.server_address(),
                std::fs::read_to_string(self.server.ssh_config())?,
                std::fs::read_to_string(jump.ssh_config())?,
            );
            std::fs::write(self.ssh_config(), text)?;
        }
        Ok(())
    }
}

/// The congestion controls that may be chosen in a namespace of this kernel.
pub fn congestion_controls() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control").unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

pub(crate) fn check_congestion(name: &str) -> Result<()> {
    let offered = congestion_controls();
    if !offered.iter().any(|known| known == name) {
        bail!("no congestion control `{name}` here; there is {}", offered.join(", "));
    }
    Ok(())
}
