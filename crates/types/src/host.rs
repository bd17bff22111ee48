//! A host: a computer of a site that runs machines.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{HostId, ProjectId, SiteId, VmId};
use crate::name::{Name, VmName};
use crate::operation::Generation;
use crate::vm::{Power, VmState};

/// Where a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// It was invited, and its agent has not reported yet.
    Joining,
    /// It takes machines.
    Ready,
    /// It takes no more machines, and those that it has are moved away.
    Draining,
    /// It takes no more machines and keeps those that it has.
    Disabled,
    /// Nothing has been heard of its agent for [`SILENCE`]. Never kept: it follows from what was heard.
    Unreachable,
    /// An operator's word that it is off and stays off: its machines may be started elsewhere, its tombstones count as
    /// confirmed. When it returns it obeys those before anything else.
    Fenced,
}

/// How long an agent may be silent before its host is shown as unreachable.
pub const SILENCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// What a host has, as its agent declares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Capacity {
    /// Processor threads.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Disk for machines, GiB.
    pub disk_gib: u64,
    /// Functions of GPUs. None can be had yet.
    pub gpus: u32,
}

/// How far what a host has may be promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostSettings {
    /// Virtual processors per 100 threads.
    #[schema(minimum = 1, maximum = 100000)]
    pub vcpu_percent: u32,
    /// Promised memory per 100 MiB of what is left after `keep_memory_mib`.
    #[schema(minimum = 1, maximum = 10000)]
    pub memory_percent: u32,
    /// Promised disk per 100 GiB; disks are thin.
    #[schema(minimum = 1, maximum = 10000)]
    pub disk_percent: u32,
    /// Memory that the host keeps for itself, MiB.
    #[schema(maximum = 1099511627776_u64)]
    pub keep_memory_mib: u64,
    /// When less than this is free, GiB, nothing new is placed.
    #[schema(maximum = 1099511627776_u64)]
    pub free_disk_floor_gib: u64,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            vcpu_percent: 1600,
            memory_percent: 100,
            disk_percent: 400,
            keep_memory_mib: 1024,
            free_disk_floor_gib: 5,
        }
    }
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Where it stands.
    pub site: SiteId,
    /// Its name, once in a site.
    pub name: Name,
    /// Where it stands in its life.
    pub state: HostState,
    /// What it has.
    pub capacity: Capacity,
    /// How far that may be promised.
    pub settings: HostSettings,
    /// What runs its machines: `fake`, later `qemu`.
    #[serde(default)]
    pub driver: String,
    /// Why it is that one, and what would change it.
    #[serde(default)]
    pub driver_reason: String,
    /// Where the site's other hosts reach it; as it said when it joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// The version of its agent.
    #[serde(default)]
    pub version: String,
    /// When it was made known.
    pub created: Timestamp,
}

/// A host, with what is known of it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostStatus {
    /// The host.
    #[serde(flatten)]
    pub host: Host,
    /// What may be promised of it.
    pub promised: Capacity,
    /// What is promised: to machines that run or may count on their place; the disks of all.
    pub taken: Capacity,
    /// Free disk for machines as its agent sees it, GiB.
    pub free_disk_gib: u64,
    /// When its agent was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
    /// Machines that it is meant to hold.
    pub machines: u32,
    /// Machines that it has and nobody knows of.
    pub unknown: u32,
    /// While it is draining: machines that still keep it from being empty, at most [`MOST_REMAINING`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remaining: Vec<Remaining>,
}

/// The most machines that are listed of a host that is draining.
pub const MOST_REMAINING: usize = 200;

/// A machine that is still on a host that is draining. One that is off moves by itself; one that runs has to be shut down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Remaining {
    /// Its id.
    pub id: VmId,
    /// Its name.
    pub name: VmName,
    /// Whose.
    pub project: ProjectId,
    /// Where it stands.
    pub state: VmState,
}

/// A machine that a host has and nobody knows of. It is kept until an operator adopts it or lets it be destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnknownVm {
    /// Its id, from the record beside its disk.
    pub id: VmId,
    /// The latest generation of it that the host knows.
    pub generation: Generation,
    /// Whose it was.
    pub project: ProjectId,
    /// What it was called.
    pub name: String,
    /// Whether it runs.
    pub power: Power,
    /// Whether its record says enough to adopt it.
    pub adoptable: bool,
}

/// Adopts a machine that nobody knows of into the project that it was in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptVm {
    /// Another name, where its own is taken by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<VmName>,
}

/// What to change; what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostPatch {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// `ready`, `draining`, `disabled` or `fenced`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<HostState>,
    /// All of them, in place of those so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<HostSettings>,
}

impl Capacity {
    /// What may be promised under `settings`.
    #[must_use]
    pub fn promised(self, settings: &HostSettings) -> Self {
        let part =
            |of: u64, percent: u32| u64::try_from(u128::from(of) * u128::from(percent) / 100).unwrap_or(u64::MAX);
        let memory = self.memory_mib.saturating_sub(settings.keep_memory_mib);
        Self {
            vcpus: u32::try_from(part(self.vcpus.into(), settings.vcpu_percent)).unwrap_or(u32::MAX),
            memory_mib: part(memory, settings.memory_percent),
            disk_gib: part(self.disk_gib, settings.disk_percent),
            gpus: self.gpus,
        }
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Joining => "joining",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
            Self::Unreachable => "unreachable",
            Self::Fenced => "fenced",
        })
    }
}
