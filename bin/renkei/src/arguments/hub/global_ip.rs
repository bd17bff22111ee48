//! `renkei global-ip`.

use std::net::IpAddr;

use clap::{Args, Subcommand};

use super::{Destroys, InProject, OfProject, Planned};

/// What can be done with outside addresses.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List those of a project, or with --site all of a site
    List(List),
    /// Show one of a project, or with --site of a site
    Show(Show),
    /// Take one for a project, within its quota
    Take(Take),
    /// Give one back that leads nowhere
    GiveBack(GiveBack),
    /// Make an address of a site known
    #[command(visible_alias = "create")]
    Add(Add),
    /// Forget an address that no project has
    #[command(visible_alias = "delete")]
    Remove(Remove),
}

/// `renkei global-ip list`.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true, args = ["project", "site"])]
pub struct List {
    /// Whose.
    #[command(flatten)]
    pub project: OfProject,
    /// All of this site, by name or id: for those who run it
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
}

/// `renkei global-ip show`.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// Which
    #[arg(value_name = "ADDRESS")]
    pub address: IpAddr,
    /// Among which.
    #[command(flatten)]
    pub of: List,
}

/// `renkei global-ip take`.
#[derive(Clone, Debug, Args)]
pub struct Take {
    /// Which [default: any that is free]
    #[arg(value_name = "ADDRESS")]
    pub address: Option<IpAddr>,
    /// For which project.
    #[command(flatten)]
    pub project: InProject,
    /// At which site, by name or id [default: where the project is at home]
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei global-ip give-back`.
#[derive(Clone, Debug, Args)]
pub struct GiveBack {
    /// Which
    #[arg(value_name = "ADDRESS")]
    pub address: IpAddr,
    /// Whose.
    #[command(flatten)]
    pub project: InProject,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}

/// `renkei global-ip add`.
#[derive(Clone, Debug, Args)]
pub struct Add {
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: IpAddr,
    /// Of which site, by name or id
    #[arg(long, value_name = "SITE")]
    pub site: String,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei global-ip remove`.
#[derive(Clone, Debug, Args)]
pub struct Remove {
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: IpAddr,
    /// Of which site, by name or id
    #[arg(long, value_name = "SITE")]
    pub site: String,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}
