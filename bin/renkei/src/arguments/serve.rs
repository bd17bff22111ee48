//! `renkei serve` and `renkei up`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use renkei_types::name::Name;
use renkei_types::network::Range;

/// `renkei serve`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["config", "database", "site"]))]
pub struct Serve {
    /// Read the roles of this machine from this file; every key stands in docs/operators/renkei.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Be a hub over this database, without a file: sqlite:PATH or postgres://USER@HOST/NAME (a password belongs into the file)
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// The file with the hub's master key [default: master.key beside an SQLite file, made at the first start]
    #[arg(long, value_name = "FILE", requires = "database")]
    pub master_key: Option<PathBuf>,
    /// Where the hub's API listens
    #[arg(long, value_name = "ADDRESS:PORT", requires = "database")]
    pub listen: Option<SocketAddr>,
    /// Where hosts' agents come in [default: this hub takes none]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "database")]
    pub agents: Option<SocketAddr>,
    /// Print an invitation for this computer to the site of this name, and make that site
    #[arg(long, value_name = "NAME", requires = "agents", hide = true)]
    pub invite: Option<Name>,
    /// Be the agent of a host, without a file, in the folder in which it has joined
    #[arg(long, value_name = "DIR")]
    pub site: Option<PathBuf>,
    /// Where the hub is, if not where it was when the host joined
    #[arg(long, value_name = "URL", requires = "site", hide = true)]
    pub hub: Option<String>,
    /// How much memory is declared, per 100 of what the computer has
    #[arg(long, value_name = "PERCENT", requires = "site", hide = true)]
    pub memory_percent: Option<u32>,
    /// What runs machines
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "DRIVER",
        requires = "site",
        hide = true
    )]
    pub driver: Driver,
    /// The addresses between this computer and its machines' networks
    #[arg(long, value_name = "RANGE", requires = "site", hide = true)]
    pub transit: Option<Range>,
    /// What is logged to standard error
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub log: Log,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    pub stop_with_stdin: bool,
}

/// What runs machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// QEMU where it can run, otherwise only pretended machines; why is told at the start
    #[default]
    Auto,
    /// Real machines: needs root and QEMU
    Qemu,
    /// Machines that are only pretended
    Fake,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Log {
    /// What went wrong
    Error,
    /// And what may
    #[default]
    Warn,
    /// And each request
    Info,
    /// And more
    Debug,
}

/// `renkei up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Where everything is kept [default: renkei in the user's data folder, /var/lib/renkei for root]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the API listens; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8470")]
    pub listen: SocketAddr,
    /// What runs machines
    #[arg(long, value_enum, default_value_t, value_name = "DRIVER")]
    pub driver: Driver,
    /// The addresses between this computer and its machines' networks; outside addresses are of these, and are reached from here
    /// [default: 198.18.240.0/20]
    #[arg(long, value_name = "RANGE")]
    pub transit: Option<Range>,
    /// What is logged to standard error
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub log: Log,
}
