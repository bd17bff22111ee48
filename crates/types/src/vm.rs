//! A machine: what is meant for it, and what is seen of it.
//!
//! What is meant ([`Meant`]) is always a whole with a generation. A host's agent compares it with what it sees and reports
//! ([`Seen`]) the latest generation that is so. How the two stand to one another is the machine's state: it is never kept.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::freeze::Freeze;
use crate::id::{HostId, ImageId, OperationId, PresetId, ProjectId, SegmentId, SiteId, TemplateId, UserId, VmId};
use crate::name::VmName;
use crate::network::Mac;
use crate::operation::{Generation, Operation};

/// The most machines that one request makes.
pub const MOST_AT_ONCE: usize = 200;
/// The most adapters that a machine has.
pub const MOST_ADAPTERS: usize = 8;
/// The most disks that a machine has.
pub const MOST_DISKS: usize = 8;
/// The most user data, bytes.
pub const LARGEST_USER_DATA: usize = 64 * 1024;

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// It does not.
    Off,
    /// It does.
    On,
    /// It stands still with its memory kept.
    Suspended,
}

/// How a machine that is to be off gets there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The guest is asked to.
    #[default]
    Shutdown,
    /// At once.
    PowerOff,
}

/// What a machine may count on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceLevel {
    /// It gives way when a guaranteed machine needs its place: it is shut down, oldest first, and its place is free.
    #[default]
    Spot,
    /// Its place stays reserved, also while it is off.
    Guarantee,
}

/// What a pack is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PackKind {
    /// 1 virtual processor and 1.51 GB.
    Cpu,
    /// 18 virtual processors, 57.60 GB and 1 GPU.
    Gpu,
}

/// A size in packs, as mdx counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// Which.
    pub kind: PackKind,
    /// How many.
    #[schema(minimum = 1, maximum = 152)]
    pub number: u32,
}

/// A disk. The first one has the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Disk {
    /// From 1.
    pub number: u8,
    /// How large, GiB.
    pub gib: u64,
}

/// A network adapter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Adapter {
    /// From 1.
    pub number: u8,
    /// Into which network.
    pub segment: SegmentId,
    /// Its hardware address.
    pub mac: Mac,
    /// The addresses that the hub has issued for it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
}

/// What a machine takes of its host and its project's quota.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Shape {
    /// The size in packs, if it was asked for in packs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<Pack>,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// GPUs.
    #[serde(default)]
    pub gpus: u32,
    /// In the order of their numbers.
    pub disks: Vec<Disk>,
    /// What it may count on.
    pub service_level: ServiceLevel,
}

/// An image that is to be made of the first disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Save {
    /// Which.
    pub image: ImageId,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meant {
    /// Grows with each change of anything here.
    pub generation: Generation,
    /// Whether it runs.
    pub power: Power,
    /// How it becomes off.
    #[serde(default)]
    pub stop: Stop,
    /// How often it was asked to start anew by way of the guest.
    #[serde(default)]
    pub reboots: u64,
    /// The same without asking the guest.
    #[serde(default)]
    pub resets: u64,
    /// What it takes.
    pub shape: Shape,
    /// Its adapters, in the order of their numbers.
    pub adapters: Vec<Adapter>,
    /// The latest image that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<Save>,
    /// It is to be gone. Never taken back.
    #[serde(default)]
    pub tombstone: bool,
}

/// What went wrong at the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// While this generation was made so.
    pub generation: Generation,
    /// In words, with the end of the console where that says more.
    pub message: String,
}

/// What is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Seen {
    /// The latest generation that was so; 0 before the first.
    pub generation: Generation,
    /// Whether it runs; not known without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// What is being done with it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// How far, 0 to 100.
    #[serde(default)]
    #[schema(maximum = 100)]
    pub progress: u8,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// By the adapter's number: the addresses that it uses. Empty until its first packet after it was started.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub addresses: BTreeMap<u8, Vec<IpAddr>>,
    /// When the report came that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Where a machine's disk comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// From a template.
    Template(TemplateId),
    /// From another machine, which stands still meanwhile.
    Clone(VmId),
}

/// Where a machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VmState {
    /// It is being made, or waits for a host.
    Deploying,
    /// It runs.
    Running,
    /// It is off.
    Stopped,
    /// It stands still with its memory kept.
    Suspended,
    /// It is off, and its place was given away.
    Deallocated,
    /// Its host no longer has it, or is fenced.
    Lost,
    /// It is being destroyed.
    Destroying,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Vm {
    /// Its id.
    pub id: VmId,
    /// Whose.
    pub project: ProjectId,
    /// Where.
    pub site: SiteId,
    /// Its name, once in a project.
    pub name: VmName,
    /// On which host; none until there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// The host from which its disk is being moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<HostId>,
    /// Where its disk comes from.
    pub source: Source,
    /// The template's facts at that time, which outlive it.
    pub os_type: String,
    /// The user that the key is for.
    #[serde(default)]
    pub login_username: String,
    /// An OpenSSH public key.
    #[serde(default)]
    pub key: String,
    /// `portgroup`, `pvrdma` or `sr-iov`, as mdx has it; only kept and shown.
    #[serde(default)]
    pub storage_network: String,
    /// What is meant.
    pub meant: Meant,
    /// What is seen.
    pub seen: Seen,
    /// The open operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
    /// Whether it was once whole: from then on it is never made anew by itself.
    #[serde(default)]
    pub made: bool,
    /// Whether it has run once.
    #[serde(default)]
    pub ran: bool,
    /// Whether its place was given away while it is off.
    #[serde(default)]
    pub deallocated: bool,
    /// Whether its host no longer has it.
    #[serde(default)]
    pub lost: bool,
    /// When it was last started; spot machines that have run longest give way first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// When.
    pub created: Timestamp,
    /// A freeze of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

impl Vm {
    /// Where it stands.
    pub fn state(&self) -> VmState {
        match self.seen.power {
            _ if self.meant.tombstone => VmState::Destroying,
            _ if !self.made => VmState::Deploying,
            _ if self.lost => VmState::Lost,
            Some(Power::On) => VmState::Running,
            Some(Power::Suspended) => VmState::Suspended,
            Some(Power::Off) | None if self.deallocated => VmState::Deallocated,
            Some(Power::Off) | None => VmState::Stopped,
        }
    }
}

impl Shape {
    /// All its disks together, GiB.
    pub fn disk_gib(&self) -> u64 {
        self.disks.iter().fold(0, |sum, disk| sum.saturating_add(disk.gib))
    }
}

/// A size as it is asked for: one of the three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Packs, as mdx counts.
    Pack(Pack),
    /// A size with a name.
    Preset(PresetId),
    /// Just so.
    Custom {
        /// Virtual processors.
        #[schema(minimum = 1, maximum = 4096)]
        vcpus: u32,
        /// Memory, MiB.
        #[schema(minimum = 1, maximum = 1073741824)]
        memory_mib: u64,
    },
}

/// An adapter as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdapter {
    /// Into which network.
    pub segment: SegmentId,
    /// A reserved or free address of it; the first free one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
}

/// Asks for machines. All of them or none are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVm {
    /// In which project.
    pub project: ProjectId,
    /// The name; `node-[01-16]` makes sixteen, at most 200.
    #[schema(min_length = 1, max_length = 80, example = "node-[01-16]")]
    pub name: String,
    /// From which template.
    pub template: TemplateId,
    /// How large; the template's least without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// The first disk, GiB; the template's least without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1048576)]
    pub disk_gib: Option<u64>,
    /// In the order of their numbers; one in the project's default network without. The first one says at which site.
    #[serde(default)]
    #[schema(max_items = 8)]
    pub adapters: Vec<NewAdapter>,
    /// An OpenSSH public key for the template's user.
    #[serde(default)]
    #[schema(max_length = 16384)]
    pub key: String,
    /// cloud-init's user data. Kept, given to the guest, never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65536)]
    pub user_data: Option<String>,
    /// What it may count on.
    #[serde(default)]
    pub service_level: ServiceLevel,
    /// Whether it is started.
    #[serde(default = "yes")]
    pub power_on: bool,
    /// As mdx has it; only kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(portgroup|pvrdma|sr-iov)$")]
    pub storage_network: Option<String>,
}

/// Machines that were asked for, in the order of their names, and the operations that make them, in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployed {
    /// The machines, as they are at the beginning.
    pub vms: Vec<Vm>,
    /// An operation for each.
    pub operations: Vec<Operation>,
}

/// Asks for a machine with a copy of another's disks. What is missing is as with that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneVm {
    /// Its name.
    #[schema(min_length = 1, max_length = 63)]
    pub name: String,
    /// How large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// In the order of their numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 8)]
    pub adapters: Option<Vec<NewAdapter>>,
    /// What it may count on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_level: Option<ServiceLevel>,
}

/// What to change; what is missing stays. Sizes, disks and adapters change only while the machine is off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VmPatch {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 63)]
    pub name: Option<String>,
    /// How large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// All disks, GiB, in the order of their numbers: none becomes smaller or goes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 8)]
    pub disks_gib: Option<Vec<u64>>,
    /// All adapters, in the order of their numbers; one that stays in its network keeps its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 8)]
    pub adapters: Option<Vec<NewAdapter>>,
    /// What it may count on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_level: Option<ServiceLevel>,
}

/// Starts a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerOn {
    /// What it may count on from now on; as before without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_level: Option<ServiceLevel>,
}

/// Makes a template of a machine's first disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveVm {
    /// The name of the image and of the template.
    pub name: crate::name::Name,
}

fn yes() -> bool {
    true
}

impl Pack {
    /// The most of a kind that a machine has, as with mdx.
    pub fn most(kind: PackKind) -> u32 {
        match kind {
            PackKind::Cpu => 152,
            PackKind::Gpu => 8,
        }
    }

    /// Virtual processors.
    pub fn vcpus(self) -> u32 {
        match self.kind {
            PackKind::Cpu => self.number,
            PackKind::Gpu => self.number.saturating_mul(18),
        }
    }

    /// Memory, in hundredths of the GB that mdx counts in: 1.51 GB, 57.60 GB.
    pub fn memory_centigb(self) -> u64 {
        u64::from(self.number)
            * match self.kind {
                PackKind::Cpu => 151,
                PackKind::Gpu => 5760,
            }
    }

    /// Memory, MiB. What mdx writes as GB are 1,024 MiB; parts of a MiB are cut off.
    pub fn memory_mib(self) -> u64 {
        self.memory_centigb() * 1024 / 100
    }

    /// GPUs.
    pub fn gpus(self) -> u32 {
        match self.kind {
            PackKind::Cpu => 0,
            PackKind::Gpu => self.number,
        }
    }
}

impl fmt::Display for VmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deploying => "deploying",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
            Self::Deallocated => "deallocated",
            Self::Lost => "lost",
            Self::Destroying => "destroying",
        })
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Suspended => "suspended",
        })
    }
}

impl fmt::Display for ServiceLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Spot => "spot",
            Self::Guarantee => "guarantee",
        })
    }
}
