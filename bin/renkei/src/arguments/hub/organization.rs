//! `renkei org`.

use clap::{Args, Subcommand};
use renkei_types::name::Name;

use super::{Delete, Freeze, One, Planned, Thaw};

/// What can be done with organizations.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List organizations
    List,
    /// Show one
    Show(One),
    /// Make one
    Create(Create),
    /// Change one
    Change(Change),
    /// Delete one that has no projects
    Delete(Delete),
    /// Let nothing in it be changed, until the freeze is lifted or ends
    Freeze(Freeze),
    /// Lift a freeze
    Thaw(Thaw),
}

/// `renkei org create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// Its name
    pub name: Name,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub description: String,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei org change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, args = ["name", "description"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// A new name
    #[arg(long)]
    pub name: Option<Name>,
    /// A new description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}
