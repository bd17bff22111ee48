//! What differs between a database that was set back and the hosts of a site, before an administrator lets the site go on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{HostId, ProjectId, SiteId, VmId};
use crate::name::Name;
use crate::operation::Generation;
use crate::site::Recovery;
use crate::vm::Power;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Where.
    pub site: SiteId,
    /// Since when, and why.
    pub recovery: Recovery,
    /// The site's hosts: all that are not fenced must have listed what they hold.
    pub hosts: Vec<HostListing>,
    /// Machines of which hub and hosts do not say the same. What is not here is the same.
    pub machines: Vec<MachineDifference>,
}

/// Whether a host has told what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostListing {
    /// Which.
    pub host: HostId,
    /// Its name.
    pub name: Name,
    /// Whether it has listed all that it holds since the recovery began.
    pub listed: bool,
    /// Whether it is fenced, and not waited for.
    pub fenced: bool,
}

/// How hub and hosts differ about a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DifferenceKind {
    /// The hub means it to be at a host, which does not have it. It will be `lost`, or made if it was never whole.
    Missing,
    /// A host has it, and the hub does not know it. It is kept, to be adopted or destroyed.
    Unknown,
    /// A host knows a later generation of it, or was given it after all that the hub knows. What is seen becomes what is meant.
    Later,
    /// It runs and is meant to be off, or the other way round. What is seen becomes what is meant.
    Power,
    /// Its host has it with other processors, memory or disks than are meant. What is seen becomes what is meant.
    Size,
    /// It is to be gone, and stays so, though its host knows a later generation.
    Tombstone,
}

/// A machine of which hub and hosts do not say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineDifference {
    /// Which.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// Whose.
    pub project: ProjectId,
    /// The host that has it or, if none has it, that is to have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// How they differ.
    pub kind: DifferenceKind,
    /// What the hub means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meant: Option<Side>,
    /// What the host says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Side>,
}

/// What one of the two says of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Side {
    /// The generation.
    pub generation: Generation,
    /// Whether it runs.
    pub power: Power,
}
