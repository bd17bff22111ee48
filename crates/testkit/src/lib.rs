//! What tests and benchmarks need around the code they exercise: a real OpenSSH server, links with a round-trip time,
//! an SFTP server that misbehaves on request, trees of awkward files, and a handle on the built `renkei`.
//!
//! Nothing here is linked into a product binary. Everything is private to one test: own folders, own ports, own keys, own
//! namespaces; only processes started here are ever ended. It does not judge results; tests do.

pub mod fault;
pub mod fuzz;
pub mod keys;
pub mod namespace;
pub mod networks;
pub mod port;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod python;
pub mod renkei;
pub mod seed;
pub mod sshd;
pub mod tap;
pub mod tree;
pub mod visitor;
pub mod wait;
pub mod wan;

pub use fault::{FaultServer, fault_server_path};
pub use namespace::Namespace;
pub use postgres::Postgres;
pub use proxy::TcpProxy;
pub use renkei::Renkei;
pub use sshd::Sshd;
pub use tree::Tree;
pub use visitor::Visitor;
pub use wan::Wan;

/// Debian packages that the tests need; the task runner installs what is missing.
pub const PACKAGES: &[&str] = &[
    "openssh-server",
    "openssh-client",
    "openssh-sftp-server",
    "iproute2",
    "nftables",
    "conntrack",
    "dnsmasq-base",
    "qemu-system-x86",
    "qemu-utils",
    "xorriso",
    "util-linux",
    "iperf3",
    "b3sum",
    "rsync",
    "rclone",
    "tcsh",
    "postgresql",
    "faketime",
    "python3-venv",
    "systemd",
];
