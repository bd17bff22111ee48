//! `renkei host`.

use clap::{Args, Subcommand, ValueEnum};
use renkei_types::host::HostState;
use renkei_types::name::{Name, VmName};

use super::amount::{Disk, Memory};
use super::{Delete, Destroys, One, Planned};

/// What can be done with hosts.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List the hosts of sites that you run
    List(List),
    /// Show one, with what keeps it from being empty while it is draining
    Show(One),
    /// Change one; settings that are not named stay
    Change(Change),
    /// Say that one is off and stays off: its machines are lost, and what was to be destroyed on it counts as destroyed
    Fenced(Delete),
    /// List machines that a host has and that nobody knows of
    Unknown(One),
    /// Adopt one of them into the project that it was in
    Adopt(Adopt),
    /// Let one of them be destroyed
    Destroy(Destroy),
    /// Delete one that has nothing
    Delete(Delete),
}

/// `renkei host list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only those of this site, by name or id
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
}

/// What an operator can make of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// It takes machines
    Ready,
    /// It takes no more machines, and those that are off move away
    Draining,
    /// It takes no more machines and keeps those that it has
    Disabled,
}

impl From<State> for HostState {
    fn from(state: State) -> Self {
        match state {
            State::Ready => Self::Ready,
            State::Draining => Self::Draining,
            State::Disabled => Self::Disabled,
        }
    }
}

/// `renkei host change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true, args = ["name", "state", "vcpu_percent", "memory_percent", "disk_percent",
    "keep_memory", "free_disk_floor"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// A new name
    #[arg(long)]
    pub name: Option<Name>,
    /// Whom it takes
    #[arg(long)]
    pub state: Option<State>,
    /// Virtual processors that may be promised for 100 threads
    #[arg(long, value_name = "NUMBER")]
    pub vcpu_percent: Option<u32>,
    /// Memory that may be promised for 100 MiB
    #[arg(long, value_name = "NUMBER")]
    pub memory_percent: Option<u32>,
    /// Disk that may be promised for 100 GiB
    #[arg(long, value_name = "NUMBER")]
    pub disk_percent: Option<u32>,
    /// Memory that the host keeps for itself, such as 4G (powers of 1024)
    #[arg(long, value_name = "SIZE")]
    pub keep_memory: Option<Memory>,
    /// Nothing new is placed when less than this is free, such as 50G (powers of 1024)
    #[arg(long, value_name = "SIZE")]
    pub free_disk_floor: Option<Disk>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// A machine that nobody knows of.
#[derive(Clone, Debug, Args)]
pub struct Unknown {
    /// The host, by name or id
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The machine, by name or id
    #[arg(value_name = "VM")]
    pub vm: String,
}

/// `renkei host adopt`.
#[derive(Clone, Debug, Args)]
pub struct Adopt {
    /// Which.
    #[command(flatten)]
    pub unknown: Unknown,
    /// Another name, where its own is taken by now
    #[arg(long)]
    pub name: Option<VmName>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei host destroy`.
#[derive(Clone, Debug, Args)]
pub struct Destroy {
    /// Which.
    #[command(flatten)]
    pub unknown: Unknown,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}
