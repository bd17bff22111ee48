//! `renkei site`.

use clap::{Args, Subcommand};
use renkei_types::name::Name;

use super::{Delete, One, Planned};

/// What can be done with sites.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List sites
    List,
    /// Show one
    Show(One),
    /// Make one known
    Create(Create),
    /// Change one
    Change(Change),
    /// Delete one that nothing uses
    Delete(Delete),
    /// Invite one host: prints a token that works once, for 24 hours
    Invite(Invite),
    /// Show what differs between the hub and the hosts of a site in recovery
    Recovery(One),
    /// Let a site in recovery go on: what its hosts have becomes what is meant
    Recovered(Recovered),
}

/// `renkei site invite`.
#[derive(Clone, Debug, Args)]
pub struct Invite {
    /// To which.
    #[command(flatten)]
    pub one: One,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei site recovered`.
#[derive(Clone, Debug, Args)]
pub struct Recovered {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei site create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// Its name
    pub name: Name,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub description: String,
    /// Who runs it, by name or id; may be repeated
    #[arg(long = "operator", value_name = "USER")]
    pub operators: Vec<String>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei site change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, args = ["name", "description", "add_operator", "remove_operator"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// A new name
    #[arg(long)]
    pub name: Option<Name>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Who shall run it too, by name or id; may be repeated
    #[arg(long, value_name = "USER")]
    pub add_operator: Vec<String>,
    /// Who shall run it no longer, by name or id; may be repeated
    #[arg(long, value_name = "USER")]
    pub remove_operator: Vec<String>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}
