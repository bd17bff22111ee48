//! What a host is meant to hold, and which versions of that were issued.

use std::collections::BTreeMap;

use renkei_types::agent::{Held, Part};
use renkei_types::id::{HostId, SegmentId, SiteId, VmId};
use renkei_types::operation::Generation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// A host's manifest. Whatever changes what is meant for a machine on a host changes the host's manifest in the same batch: so
/// two decisions about one host's room meet here, and an agent is never sent half of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose; also this row's id.
    pub host: HostId,
    /// The host's site.
    pub site: SiteId,
    /// Which one it is.
    pub is: Held,
    /// Every machine that the host has something to do with.
    #[serde(default)]
    pub machines: BTreeMap<VmId, Entry>,
    /// Every segment that the host has something to do with.
    #[serde(default)]
    pub segments: BTreeMap<SegmentId, Generation>,
}

/// A machine in a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// What is meant.
    pub generation: Generation,
    /// What the host has to do with it.
    pub part: Part,
    /// What it takes of the host.
    pub takes: Takes,
}

/// What a machine takes of its host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Takes {
    /// Virtual processors; 0 while its place is free for others.
    pub vcpus: u32,
    /// Memory, MiB; 0 while its place is free for others.
    pub memory_mib: u64,
    /// Disk, GiB.
    pub disk_gib: u64,
}

impl Noun for Manifest {
    const KIND: Kind = Kind {
        table: "manifest",
        indexes: &[Index::many("site")],
    };

    fn id(&self) -> Uuid {
        self.host.0
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.site.to_string())]
    }
}

/// A manifest that was issued, or (then an epoch was raised for it) heard of without having been issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub host: HostId,
    /// Which one.
    pub is: Held,
}

impl Issued {
    /// Its key in the index `manifest`.
    pub fn manifest_key(host: HostId, held: &Held) -> String {
        format!("{host}/{}/{}/{}", held.epoch, held.version, held.digest)
    }
}

impl Noun for Issued {
    const KIND: Kind = Kind {
        table: "issued",
        indexes: &[Index::many("host"), Index::unique("manifest")],
    };

    fn id(&self) -> Uuid {
        self.id
    }

    /// `manifest` is `host/epoch/version/digest`: what is in it was issued, or heard of, once.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.host.to_string()),
            Some(Self::manifest_key(self.host, &self.is)),
        ]
    }
}
