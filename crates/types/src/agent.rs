//! What hub and agent say to one another: JSON frames over one WebSocket under mutual TLS, dialled by the agent.
//!
//! The agent says [`Hello`]; the hub answers [`FromHub::Welcome`], the agent lists all that it holds in [`Report`]s, then both tell
//! what changes. What a host is meant to hold is a **manifest** with a version that grows by one with each change, chained by
//! digests: an agent takes a manifest only if it follows the one that it holds, and a hub that hears of a manifest that it never
//! issued knows that its database is not the one that issued it. Correctness rests on (generation, acknowledgement) and never on
//! the stream: any frame may be lost with its connection, come late, or twice.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::acl::Allowed;
use crate::host::Capacity;
use crate::id::{AclId, DnatId, HostId, ImageId, ProjectId, SegmentId, VmId};
use crate::network::{Mac, Range};
use crate::operation::Generation;
use crate::stream::Stream;
use crate::vm::{Disk, Fault, Power, Stop};

/// The version of what is in this file. A hub speaks with agents of this version and of the one before. 2 brought [`FromHub::Stream`].
pub const VERSION: u16 = 2;
/// The oldest version that we speak.
pub const OLDEST: u16 = 1;
/// The largest frame, bytes. What is larger comes in pages.
pub const LARGEST_FRAME: usize = 1 << 20;
/// What either end reads at once, bytes: most frames are small, and a hub holds such a buffer for each of its agents.
pub const READ_AT_ONCE: usize = 8 * 1024;
/// Machines in one page: each has at most 64 KiB of user data, a key and its adapters.
pub const PAGE: usize = 8;
/// An agent reports at least so often, also when nothing has changed.
pub const HEARTBEAT: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

/// Which manifest an agent holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The epoch of the hub's state.
    pub epoch: u64,
    /// The manifest's version; 0 before the first.
    pub version: u64,
    /// Its digest, hexadecimal; empty before the first.
    pub digest: String,
}

/// The first thing that an agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest and the newest version that it speaks.
    pub versions: (u16, u16),
    /// Who it is; the certificate must say the same.
    pub host: HostId,
    /// The kernel's boot id, or another that is drawn at each start of the host.
    pub boot_id: String,
    /// The agent's own version, for people.
    pub agent: String,
    /// What it holds.
    pub held: Held,
    /// What the host has.
    pub capacity: Capacity,
    /// What runs its machines, and why it is that one.
    pub driver: Driver,
    /// The agent's clock.
    pub now: Timestamp,
}

/// What runs a host's machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// `fake`, later `qemu`.
    pub name: String,
    /// Why it is that one, and what would change it.
    pub reason: String,
}

/// What agents say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromAgent {
    /// First.
    Hello(Hello),
    /// What there is, or what has changed.
    Report(Report),
    /// A manifest that does not follow the one that is held.
    Refused {
        /// What is held.
        held: Held,
        /// Why, for people.
        why: String,
    },
}

/// What hubs say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromHub {
    /// The answer to [`Hello`].
    Welcome {
        /// The version that is spoken from now on.
        version: u16,
        /// The hub's clock.
        now: Timestamp,
    },
    /// A manifest, or a page of it.
    Manifest(Manifest),
    /// Reports up to this number are kept; they need not be told again.
    Heard {
        /// The report's number.
        report: u64,
    },
    /// The agent is to dial one more connection. Only to agents that speak version 2 or a later one.
    Stream(Stream),
    /// The connection ends, and why.
    Closed {
        /// For people.
        why: String,
    },
}

/// What a host is meant to hold. It comes in pages that differ in `intents` and `segments` only; it counts when the last has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which one it is.
    pub is: Held,
    /// The one that it follows: what the agent holds. It does not matter when the epoch is a later one.
    pub follows: Held,
    /// Every machine, with the generation that is meant.
    pub machines: BTreeMap<VmId, Generation>,
    /// Every segment, with the generation that is meant.
    pub segments: BTreeMap<SegmentId, Generation>,
    /// What is meant for machines: those whose generation differs from what was sent before.
    pub intents: Vec<MachineIntent>,
    /// What is meant for segments: those whose generation differs from what was sent before.
    pub networks: Vec<SegmentIntent>,
    /// Whether it is the last page.
    pub last: bool,
}

/// What a host has to do with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// To run it.
    Run,
    /// To keep its disk, and the machine off, while another host copies it.
    Keep,
    /// To destroy it: the tombstone. Nothing else is an order to destroy.
    Gone,
}

/// What is meant for a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineIntent {
    /// Which.
    pub id: VmId,
    /// Of this.
    pub generation: Generation,
    /// What the host has to do with it.
    pub part: Part,
    /// Whether it may be made if it is not there. Once it was whole it is never made anew by itself.
    pub make: bool,
    /// Whose, for the record beside its disk.
    pub project: ProjectId,
    /// Its name, for that record and for the guest.
    pub name: String,
    /// Whether it runs.
    pub power: Power,
    /// How it becomes off.
    pub stop: Stop,
    /// How often it was asked to start anew; each value is obeyed at most once.
    pub reboots: u64,
    /// The same without asking the guest.
    pub resets: u64,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// In the order of their numbers.
    pub disks: Vec<Disk>,
    /// In the order of their numbers.
    pub adapters: Vec<AdapterIntent>,
    /// Where the first disk comes from.
    pub source: DiskSource,
    /// An OpenSSH public key.
    pub key: String,
    /// cloud-init's user data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// An image to be made of the first disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<ImageId>,
}

/// Where a disk comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum DiskSource {
    /// A template, by its name for programs, with its image where it has one.
    Template {
        /// `UT-20250205-1029-ubuntu-2204-server`.
        name: String,
        /// Its image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<ImageId>,
    },
    /// Another machine of the site, which stands still meanwhile.
    Machine {
        /// Which.
        vm: VmId,
        /// On which host.
        host: HostId,
    },
    /// The same machine on another host, from which it moves.
    Move {
        /// Which host.
        host: HostId,
    },
}

/// An adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterIntent {
    /// From 1.
    pub number: u8,
    /// Into which network.
    pub segment: SegmentId,
    /// Its hardware address.
    pub mac: Mac,
    /// The addresses that it may use.
    pub addresses: Vec<IpAddr>,
}

/// What is meant for a segment: with all its rules and mappings, as one whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentIntent {
    /// Which.
    pub id: SegmentId,
    /// Of this.
    pub generation: Generation,
    /// It is to be gone.
    pub tombstone: bool,
    /// Whose.
    pub project: ProjectId,
    /// Its number on the wire.
    pub vni: u32,
    /// Its IPv4 addresses.
    pub v4: Range,
    /// Its IPv6 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<Range>,
    /// The largest packet, bytes.
    pub mtu: u16,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Time servers.
    pub ntp: Vec<IpAddr>,
    /// Whether issued addresses only may be used.
    pub strict: bool,
    /// What may enter.
    pub acls: BTreeMap<AclId, Allowed>,
    /// Outside addresses, and where they lead.
    pub dnats: BTreeMap<DnatId, (IpAddr, IpAddr)>,
}

/// What an agent sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Grows by one with each report of a connection, from 1.
    pub number: u64,
    /// What is held.
    pub held: Held,
    /// In the listing that follows [`FromHub::Welcome`]; changes only otherwise.
    pub listing: Listing,
    /// Machines: all in a listing, otherwise those of which something has changed.
    pub machines: Vec<MachineSeen>,
    /// Segments, with the generation that is so. A segment that is gone for good is told with the tombstone's generation.
    pub segments: BTreeMap<SegmentId, Generation>,
    /// Free disk for machines, GiB.
    pub free_disk_gib: u64,
    /// The agent's clock.
    pub now: Timestamp,
}

/// What part of a listing a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// None: it tells changes.
    No,
    /// More of it follows.
    More,
    /// The last one: what was not listed is not there.
    Last,
}

/// What is seen of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSeen {
    /// Which.
    pub id: VmId,
    /// The latest generation that is so, or was so. For [`Part::Gone`]: that it is gone.
    pub generation: Generation,
    /// What the agent was told to do with it when that was so.
    pub part: Part,
    /// Whether the host has it at all.
    pub there: bool,
    /// The record beside its disk: whose it is.
    pub project: ProjectId,
    /// The record beside its disk: its name.
    pub name: String,
    /// Whether it runs.
    pub power: Power,
    /// What is being done with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// How far, 0 to 100.
    #[serde(default)]
    pub progress: u8,
    /// Why the generation that is meant cannot be made so. It is no longer tried until another one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// By the adapter's number: the addresses that it uses.
    #[serde(default)]
    pub addresses: BTreeMap<u8, Vec<IpAddr>>,
    /// The latest image that was made of it, with its BLAKE3 tree hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<(ImageId, String)>,
    /// Whether anything that the hub said names it. What nothing names is kept, and is an operator's to decide about.
    pub known: bool,
    /// What was meant for it at last, from the record beside its disk, made of what it is made of by now, and without its user data.
    /// Told in a listing and when it has changed: from this it can be adopted, and a database that was set back learns its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<MachineIntent>>,
}

#[cfg(test)]
mod tests;
