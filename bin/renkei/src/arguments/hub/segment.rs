//! `renkei segment`.

use std::net::IpAddr;

use clap::{ArgAction, Args, Subcommand};
use renkei_types::name::Name;
use renkei_types::network::Range;

use super::{Destroys, InProject, Planned};

/// What can be done with segments.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List the networks of a project
    List(InProject),
    /// Show one
    Show(Segment),
    /// Make one; the first of a project is the one that machines get which ask for none
    Create(Create),
    /// Change one
    Change(Change),
    /// Delete one that nothing uses, with its rules
    Delete(Delete),
}

/// A segment of a project.
#[derive(Clone, Debug, Args)]
pub struct Segment {
    /// The segment, by name or id
    #[arg(value_name = "SEGMENT")]
    pub segment: String,
    /// Whose.
    #[command(flatten)]
    pub project: InProject,
}

/// `renkei segment create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// Its name
    pub name: Name,
    /// Whose.
    #[command(flatten)]
    pub project: InProject,
    /// At which site, by name or id [default: where the project is at home]
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
    /// Make it the one that machines get which ask for none
    #[arg(long)]
    pub default: bool,
    /// Its IPv4 addresses, /8 to /29 [default: 10.15.0.0/21, or the next of that size that the project does not use there]
    #[arg(long, value_name = "RANGE")]
    pub v4: Option<Range>,
    /// Its IPv6 addresses, /48 to /120 [default: none]
    #[arg(long, value_name = "RANGE")]
    pub v6: Option<Range>,
    /// The largest packet in bytes [default: 1450]
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u16>,
    /// A name server for its machines; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<IpAddr>,
    /// A time server for its machines; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub ntp: Vec<IpAddr>,
    /// Let machines use no other addresses than they were issued
    #[arg(long)]
    pub strict: bool,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei segment change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, args = ["name", "default", "dns", "ntp", "strict"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub segment: Segment,
    /// A new name
    #[arg(long)]
    pub name: Option<Name>,
    /// Make it the one that machines get which ask for none
    #[arg(long)]
    pub default: bool,
    /// Its name servers, all of them; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<IpAddr>,
    /// Its time servers, all of them; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub ntp: Vec<IpAddr>,
    /// Whether machines may use issued addresses only
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    pub strict: Option<bool>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei segment delete`.
#[derive(Clone, Debug, Args)]
pub struct Delete {
    /// Which.
    #[command(flatten)]
    pub segment: Segment,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}
