//! `renkei lease`.

use std::net::IpAddr;

use clap::{Args, Subcommand};

use super::segment::Segment;
use super::{Destroys, Planned};

/// What can be done with leases.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List the addresses of a segment that machines have or that are reserved
    List(Segment),
    /// Show one
    Show(Lease),
    /// Reserve an address: it stays when its machine is gone
    #[command(visible_alias = "create")]
    Reserve(Reserve),
    /// End a reservation; a machine keeps the address that it has
    #[command(visible_alias = "delete")]
    Release(Release),
}

/// An address of a segment.
#[derive(Clone, Debug, Args)]
pub struct Lease {
    /// In which segment.
    #[command(flatten)]
    pub segment: Segment,
    /// Which
    #[arg(value_name = "ADDRESS")]
    pub address: IpAddr,
}

/// `renkei lease reserve`.
#[derive(Clone, Debug, Args)]
pub struct Reserve {
    /// In which segment.
    #[command(flatten)]
    pub segment: Segment,
    /// Which [default: the first that is free]
    #[arg(value_name = "ADDRESS")]
    pub address: Option<IpAddr>,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub note: String,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei lease release`.
#[derive(Clone, Debug, Args)]
pub struct Release {
    /// Which.
    #[command(flatten)]
    pub lease: Lease,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}
