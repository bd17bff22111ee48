//! A rule of what may enter a segment. What no rule allows is not let in.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::dnat::Dnat;
use crate::id::{AclId, ProjectId, SegmentId};
use crate::network::{Ports, Protocol, Range};
use crate::operation::Generation;

/// What a rule lets in. Both ranges are of the same family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Allowed {
    /// Which packets.
    pub protocol: Protocol,
    /// From where.
    pub source: Range,
    /// From which ports; `any` for ICMP.
    #[serde(default)]
    pub source_ports: Ports,
    /// To where: addresses of the segment, after a mapping of an outside address.
    pub destination: Range,
    /// To which ports; `any` for ICMP.
    #[serde(default)]
    pub destination_ports: Ports,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acl {
    /// Its id.
    pub id: AclId,
    /// Into which segment.
    pub segment: SegmentId,
    /// In which project.
    pub project: ProjectId,
    /// What it lets in.
    #[serde(flatten)]
    pub allowed: Allowed,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub note: String,
    /// From when on it no longer holds; for ever without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The generation of the segment that has it first.
    pub generation: Generation,
    /// When it was made.
    pub created: Timestamp,
}

/// Asks for a rule, or for another in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewAcl {
    /// What it lets in.
    #[serde(flatten)]
    pub allowed: Allowed,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub note: String,
    /// From when on it no longer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// Why a rule may no longer be wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stale {
    /// No machine has or uses any of the addresses that it leads to.
    NoMachine,
    /// It lets in what comes from outside, and no outside address leads to where it leads.
    NoMapping,
}

/// A rule that may no longer be wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StaleAcl {
    /// The rule.
    pub acl: Acl,
    /// Why.
    pub why: Stale,
}

/// What outlives its machine: a hole for whoever gets its address next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AclAudit {
    /// Rules.
    pub acls: Vec<StaleAcl>,
    /// Mappings to addresses that no machine has or uses.
    pub dnats: Vec<Dnat>,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoMachine => "no machine has an address there",
            Self::NoMapping => "no outside address leads there",
        })
    }
}
