//! `renkei template`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use renkei_types::name::Name;

use super::amount::{Disk, Memory};
use super::{Delete, One, Planned};

/// What can be done with templates.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List templates that machines can be made from
    List(List),
    /// Show one
    Show(One),
    /// Make one known
    Create(Create),
    /// Change one; what is not named stays
    Change(Change),
    /// Delete one; machines that were made from it stay
    Delete(Delete),
    /// Let everybody see one
    Publish(Publish),
    /// Let only the project see one that its image belongs to
    Unpublish(Publish),
    /// Build one on this computer, for the machines of its host
    Build(Build),
}

/// What can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Built {
    /// A very small Linux that boots in seconds, from Debian's packages: `renkei-small`
    Small,
}

/// `renkei template build`.
#[derive(Clone, Debug, Args)]
pub struct Build {
    /// What
    #[arg(value_enum, value_name = "WHAT")]
    pub what: Built,
    /// The image folder that it is put into [default: that of this computer's host]
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pub images: Option<PathBuf>,
    /// The host is the one of `renkei up --data DIR`
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Do not make it known to the hub
    #[arg(long)]
    pub no_register: bool,
}

/// `renkei template list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only those of this project, by name or id
    #[arg(long, short = 'p', value_name = "PROJECT")]
    pub project: Option<String>,
}

/// What is in a template.
#[derive(Clone, Debug, Args)]
pub struct Facts {
    /// Its operating system: Linux or Windows
    #[arg(long, value_name = "TEXT")]
    pub os_type: Option<String>,
    /// Such as Ubuntu
    #[arg(long, value_name = "TEXT")]
    pub os_name: Option<String>,
    /// Such as 22.04
    #[arg(long, value_name = "TEXT")]
    pub os_version: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// The user that a key is for
    #[arg(long, value_name = "NAME")]
    pub login_username: Option<String>,
    /// The least first disk, such as 40G (powers of 1024)
    #[arg(long, value_name = "SIZE")]
    pub min_disk: Option<Disk>,
    /// The least memory, such as 1G (powers of 1024)
    #[arg(long, value_name = "SIZE")]
    pub min_memory: Option<Memory>,
    /// Whether it runs only with a GPU
    #[arg(long, value_name = "true|false")]
    pub gpu_required: Option<bool>,
}

/// `renkei template create`.
#[derive(Clone, Debug, Args)]
#[group(id = "sight", required = true, args = ["project", "public"])]
pub struct Create {
    /// Its name for programs, once in a hub
    pub template_name: Name,
    /// Its name for people [default: the same]
    #[arg(long)]
    pub name: Option<Name>,
    /// The only project that sees it, by name or id
    #[arg(long, short = 'p', value_name = "PROJECT")]
    pub project: Option<String>,
    /// Everybody sees it
    #[arg(long)]
    pub public: bool,
    /// Its disk, by name or id
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// What is in it.
    #[command(flatten)]
    pub facts: Facts,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei template change`.
#[derive(Clone, Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["name", "os_type", "os_name", "os_version", "description",
    "login_username", "min_disk", "min_memory", "gpu_required"])]
pub struct Change {
    /// Which, by its name for programs or its id
    #[command(flatten)]
    pub one: One,
    /// A new name for people
    #[arg(long)]
    pub name: Option<Name>,
    /// What is in it.
    #[command(flatten)]
    pub facts: Facts,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei template publish`, and the way back.
#[derive(Clone, Debug, Args)]
pub struct Publish {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}
