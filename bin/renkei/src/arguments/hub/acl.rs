//! `renkei acl`.

use clap::{Args, Subcommand, ValueEnum};
use renkei_types::network::{Ports, Protocol, Range};
use uuid::Uuid;

use super::moment::Moment;
use super::segment::Segment;
use super::{Destroys, InProject, Planned};

/// What can be done with rules.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List what may enter the segments of a project
    List(List),
    /// Show one
    Show(One),
    /// Let something into a segment
    Create(Create),
    /// Change what a rule lets in; what is not named stays
    Change(Change),
    /// Let something in no longer
    Delete(Delete),
    /// List rules and mappings that outlive their machine
    Audit(InProject),
}

/// `renkei acl list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Whose.
    #[command(flatten)]
    pub project: InProject,
    /// Only into this segment, by name or id
    #[arg(long, short = 's', value_name = "SEGMENT")]
    pub segment: Option<String>,
}

/// A rule.
#[derive(Clone, Copy, Debug, Args)]
pub struct One {
    /// The id of the rule
    #[arg(value_name = "ID")]
    pub id: Uuid,
}

/// Which packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtocolName {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// ICMP, or ICMPv6 between IPv6 addresses
    Icmp,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Tcp => Self::Tcp,
            ProtocolName::Udp => Self::Udp,
            ProtocolName::Icmp => Self::Icmp,
        }
    }
}

/// `renkei acl create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// Into which segment.
    #[command(flatten)]
    pub segment: Segment,
    /// Which packets
    #[arg(long, value_name = "PROTOCOL", default_value = "tcp")]
    pub protocol: ProtocolName,
    /// From which addresses
    #[arg(long, value_name = "RANGE")]
    pub from: Range,
    /// From which ports: any, 443, or 8000-8080
    #[arg(long, value_name = "PORTS", default_value = "any")]
    pub from_ports: Ports,
    /// To which addresses of the segment
    #[arg(long, value_name = "RANGE")]
    pub to: Range,
    /// To which ports: any, 443, or 8000-8080
    #[arg(long, value_name = "PORTS", default_value = "any")]
    pub ports: Ports,
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

/// `renkei acl change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, args = ["protocol", "from", "from_ports", "to", "ports", "note", "expires", "no_expiry"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// Which packets
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<ProtocolName>,
    /// From which addresses
    #[arg(long, value_name = "RANGE")]
    pub from: Option<Range>,
    /// From which ports: any, 443, or 8000-8080
    #[arg(long, value_name = "PORTS")]
    pub from_ports: Option<Ports>,
    /// To which addresses of the segment
    #[arg(long, value_name = "RANGE")]
    pub to: Option<Range>,
    /// To which ports: any, 443, or 8000-8080
    #[arg(long, value_name = "PORTS")]
    pub ports: Option<Ports>,
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

/// `renkei acl delete`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Delete {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}
