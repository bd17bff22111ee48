//! `renkei quota`.

use clap::{Args, Subcommand};

use super::amount::{Disk, Memory};
use super::{Destroys, InProject, Planned};

/// What can be done with quotas.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List the quotas of a project
    List(InProject),
    /// Show the quota at one site
    Show(Quota),
    /// Set limits at a site; those not named stay
    #[command(visible_alias = "change")]
    Set(Set),
    /// Delete the quota at a site
    Delete(Delete),
}

/// A project's quota at a site.
#[derive(Clone, Debug, Args)]
pub struct Quota {
    /// The site, by name or id
    #[arg(value_name = "SITE")]
    pub site: String,
    /// Whose.
    #[command(flatten)]
    pub project: InProject,
}

/// `renkei quota set`.
#[derive(Clone, Debug, Args)]
#[group(required = true, args = ["vms", "vcpus", "memory", "disk", "global_ips", "segments"])]
pub struct Set {
    /// Which.
    #[command(flatten)]
    pub quota: Quota,
    /// Machines
    #[arg(long, value_name = "NUMBER")]
    pub vms: Option<u32>,
    /// Virtual processors
    #[arg(long, value_name = "NUMBER")]
    pub vcpus: Option<u32>,
    /// Memory, such as 64G (powers of 1024)
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Memory>,
    /// Disk, such as 1T (powers of 1024)
    #[arg(long, value_name = "SIZE")]
    pub disk: Option<Disk>,
    /// Outside addresses
    #[arg(long, value_name = "NUMBER")]
    pub global_ips: Option<u32>,
    /// Networks
    #[arg(long, value_name = "NUMBER")]
    pub segments: Option<u32>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei quota delete`.
#[derive(Clone, Debug, Args)]
pub struct Delete {
    /// Which.
    #[command(flatten)]
    pub quota: Quota,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}
