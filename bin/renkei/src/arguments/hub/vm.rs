//! `renkei vm`.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use renkei_types::name::Name;
use renkei_types::vm::ServiceLevel;

use super::acl::ProtocolName;
use super::amount::{Disk, Memory};
use super::{Delete, Freeze, InProject, OfProject, OneOfProject, Planned, Thaw};

/// What can be done with machines.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List machines
    List(List),
    /// Show one
    Show(OneOfProject),
    /// Tell what can come in to one, by which rule, and what it can reach
    Reach(Reach),
    /// Log in to one by ssh
    Ssh(Ssh),
    /// Deploy one, or a range of them such as node-[01-16]: all or none
    #[command(visible_alias = "create")]
    Deploy(Deploy),
    /// Make a machine with a copy of another's disks, which is off meanwhile
    Clone(Clone),
    /// Change one that is off; a new name is taken at any time
    Change(Change),
    /// Start one
    #[command(visible_alias = "start")]
    PowerOn(PowerOn),
    /// Ask its guest to stop
    #[command(visible_alias = "stop")]
    Shutdown(Act),
    /// Stop it at once
    PowerOff(Act),
    /// Ask its guest to start anew
    Reboot(Act),
    /// Start it anew at once
    Reset(Act),
    /// Stop it with its memory kept
    Suspend(Act),
    /// Let it go on with the memory that was kept
    Resume(Act),
    /// Make a template of the first disk of one that is off
    Save(Save),
    /// Sit down at its serial console, or print what it said there last
    Console(Console),
    /// Destroy one with its disks
    Destroy(Delete<OneOfProject>),
    /// Freeze one: nothing can be asked of it
    Freeze(Freeze<OneOfProject>),
    /// Lift a freeze
    Thaw(Thaw<OneOfProject>),
}

/// `renkei vm list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Whose.
    #[command(flatten)]
    pub of: OfProject,
    /// Only those at this site, by name or id
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
}

/// `renkei vm reach`.
#[derive(Clone, Debug, Args)]
pub struct Reach {
    /// Which.
    #[command(flatten)]
    pub one: OneOfProject,
    /// Answer only whether something comes in from this address: the exit code is 1 if not
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
    /// With --from: of this protocol [default: any; tcp with --port]
    #[arg(long, value_name = "PROTOCOL", requires = "from")]
    pub protocol: Option<ProtocolName>,
    /// With --from: to this port
    #[arg(long, value_name = "PORT", requires = "from", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
}

/// `renkei vm ssh`.
#[derive(Clone, Debug, Args)]
pub struct Ssh {
    /// Which.
    #[command(flatten)]
    pub one: OneOfProject,
    /// As this user [default: the one that its key is for]
    #[arg(long, short = 'l', value_name = "USER")]
    pub login: Option<String>,
    /// Where its ssh server listens
    #[arg(long, value_name = "PORT", default_value_t = 22)]
    pub port: u16,
    /// With this private key, as `ssh -i`
    #[arg(long, short = 'i', value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// An option in the words of ssh_config(5), as `ssh -o`
    #[arg(long, short = 'o', value_name = "OPTION")]
    pub option: Vec<String>,
    /// What to run there [default: a shell]
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// What a machine may count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// It gives way when a guaranteed machine needs its place
    Spot,
    /// Its place stays reserved, also while it is off
    Guarantee,
}

impl From<Level> for ServiceLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Spot => Self::Spot,
            Level::Guarantee => Self::Guarantee,
        }
    }
}

/// How large a machine is: in packs, by a preset's name, or just so.
#[derive(Clone, Debug, Args)]
pub struct Sized {
    /// A preset, by name or id
    #[arg(long, value_name = "PRESET", conflicts_with_all = ["packs", "vcpus"])]
    pub preset: Option<String>,
    /// CPU packs of 1 processor and 1.51 GB each
    #[arg(long, value_name = "NUMBER", conflicts_with = "vcpus")]
    pub packs: Option<u32>,
    /// Virtual processors
    #[arg(long, value_name = "NUMBER", requires = "memory")]
    pub vcpus: Option<u32>,
    /// Memory, such as 4G (powers of 1024)
    #[arg(long, value_name = "SIZE", requires = "vcpus")]
    pub memory: Option<Memory>,
}

/// `renkei vm deploy`.
#[derive(Clone, Debug, Args)]
pub struct Deploy {
    /// Its name, or a range of names
    pub name: String,
    /// Whose.
    #[command(flatten)]
    pub project: InProject,
    /// From which template, by its name for programs or id
    #[arg(long, short, value_name = "TEMPLATE")]
    pub template: String,
    /// How large [default: the template's least].
    #[command(flatten)]
    pub sized: Sized,
    /// Its disk, such as 40G (powers of 1024) [default: the template's least]
    #[arg(long, value_name = "SIZE")]
    pub disk: Option<Disk>,
    /// A network of the project, by name or id; may be repeated [default: the project's default one]
    #[arg(long, value_name = "SEGMENT")]
    pub segment: Vec<String>,
    /// An address in the first of them [default: the first free one]
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<IpAddr>,
    /// A file with an OpenSSH public key
    #[arg(long, short, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// A file with user data for cloud-init
    #[arg(long, value_name = "FILE")]
    pub user_data: Option<PathBuf>,
    /// What it may count on
    #[arg(long, value_name = "LEVEL", default_value = "spot")]
    pub service_level: Level,
    /// Leave it off
    #[arg(long)]
    pub off: bool,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei vm clone`.
#[derive(Clone, Debug, Args)]
pub struct Clone {
    /// Which.
    #[command(flatten)]
    pub one: OneOfProject,
    /// The name of the new one
    #[arg(long = "as", value_name = "NAME")]
    pub name: String,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei vm change`.
#[derive(Clone, Debug, Args)]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub one: OneOfProject,
    /// A new name
    #[arg(long)]
    pub name: Option<String>,
    /// How large.
    #[command(flatten)]
    pub sized: Sized,
    /// Its disks, all of them in their order, such as 40G; may be repeated
    #[arg(long, value_name = "SIZE")]
    pub disk: Vec<Disk>,
    /// What it may count on
    #[arg(long, value_name = "LEVEL")]
    pub service_level: Option<Level>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// A verb without anything else.
#[derive(Clone, Debug, Args)]
pub struct Act {
    /// Which.
    #[command(flatten)]
    pub one: OneOfProject,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei vm power-on`.
#[derive(Clone, Debug, Args)]
pub struct PowerOn {
    /// Which.
    #[command(flatten)]
    pub act: Act,
    /// What it may count on from now on [default: as before]
    #[arg(long, value_name = "LEVEL")]
    pub service_level: Option<Level>,
}

/// `renkei vm save`.
#[derive(Clone, Debug, Args)]
pub struct Save {
    /// Which.
    #[command(flatten)]
    pub one: OneOfProject,
    /// The name of the image and of the template
    #[arg(long = "as", value_name = "NAME")]
    pub name: Name,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei vm console`.
#[derive(Clone, Debug, Args)]
pub struct Console {
    /// Which.
    #[command(flatten)]
    pub one: OneOfProject,
    /// Print what it said last, at most 64 KiB, and end; also of one that is off
    #[arg(long)]
    pub log: bool,
}
