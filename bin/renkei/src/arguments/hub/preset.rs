//! `renkei preset`.

use clap::{Args, Subcommand};
use renkei_types::name::Name;

use super::amount::Memory;
use super::{Delete, One, Planned};

/// What can be done with presets.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List sizes of machines
    List,
    /// Show one
    Show(One),
    /// Make one
    Create(Create),
    /// Change one; machines that were made with it keep their size
    Change(Change),
    /// Delete one; machines that were made with it keep their size
    Delete(Delete),
}

/// `renkei preset create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// Its name
    pub name: Name,
    /// Virtual processors
    #[arg(long, value_name = "NUMBER")]
    pub vcpus: u32,
    /// Memory, such as 4G (powers of 1024)
    #[arg(long, value_name = "SIZE")]
    pub memory: Memory,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub description: String,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei preset change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true, args = ["name", "vcpus", "memory", "description"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// A new name
    #[arg(long)]
    pub name: Option<Name>,
    /// Virtual processors
    #[arg(long, value_name = "NUMBER")]
    pub vcpus: Option<u32>,
    /// Memory, such as 4G (powers of 1024)
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Memory>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}
