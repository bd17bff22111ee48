//! `renkei dnat`.

use std::net::IpAddr;

use clap::{Args, Subcommand};

use super::moment::Moment;
use super::{Destroys, InProject, Planned};

/// What can be done with mappings.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List where the outside addresses of a project lead
    List(InProject),
    /// Show one
    Show(Dnat),
    /// Let an outside address lead to one inside
    Create(Create),
    /// Let it lead elsewhere; what is not named stays
    Change(Change),
    /// Let it lead nowhere; the project keeps the address
    Delete(Delete),
}

/// A mapping, by its outside address.
#[derive(Clone, Debug, Args)]
pub struct Dnat {
    /// The outside address, or the mapping's id
    #[arg(value_name = "GLOBAL_IP")]
    pub global_ip: String,
    /// Whose.
    #[command(flatten)]
    pub project: InProject,
}

/// `renkei dnat create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// The outside address; if it is free, it is taken for the project
    #[arg(value_name = "GLOBAL_IP")]
    pub global_ip: IpAddr,
    /// The address inside
    #[arg(value_name = "ADDRESS")]
    pub destination: IpAddr,
    /// Whose.
    #[command(flatten)]
    pub project: InProject,
    /// Into which segment, by name or id
    #[arg(long, short = 's', value_name = "SEGMENT")]
    pub segment: String,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub note: String,
    /// When it ends by itself: in 12h, 30d or 2w, on 2027-03-31, or at a time (RFC 3339) [default: never]
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<Moment>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei dnat change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, args = ["to", "segment", "note", "expires", "no_expiry"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub dnat: Dnat,
    /// The address inside
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<IpAddr>,
    /// Into which segment, by name or id
    #[arg(long, short = 's', value_name = "SEGMENT")]
    pub segment: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// When it ends by itself: in 12h, 30d or 2w, on 2027-03-31, or at a time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<Moment>,
    /// Let it no longer end by itself
    #[arg(long, conflicts_with = "expires")]
    pub no_expiry: bool,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei dnat delete`.
#[derive(Clone, Debug, Args)]
pub struct Delete {
    /// Which.
    #[command(flatten)]
    pub dnat: Dnat,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}
