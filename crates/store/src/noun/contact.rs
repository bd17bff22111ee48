//! When a host's agent was last heard, and what it told that is nobody's intent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_types::agent::{Held, MachineSeen};
use renkei_types::id::{HostId, SegmentId, SiteId, VmId};
use renkei_types::operation::Generation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// See the module. Apart from the host, so that a heartbeat disturbs no decision about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Whose; also this row's id.
    pub host: HostId,
    /// The host's site.
    pub site: SiteId,
    /// The hub that holds the connection; nobody when it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Uuid>,
    /// The version of the protocol that the agent speaks.
    #[serde(default = "first")]
    pub speaks: u16,
    /// When the connection was made.
    pub since: Timestamp,
    /// When the agent was last heard, at most some seconds ago while it is connected.
    pub heard: Timestamp,
    /// The manifest that the agent holds.
    pub held: Held,
    /// The host's boot id.
    pub boot_id: String,
    /// How far the agent's clock is ahead, milliseconds.
    #[serde(default)]
    pub skew_ms: i64,
    /// Free disk for machines, GiB.
    #[serde(default)]
    pub free_disk_gib: u64,
    /// Whether the agent has listed all that it holds since it connected.
    #[serde(default)]
    pub listed: bool,
    /// Machines that the host has and the hub does not know.
    #[serde(default)]
    pub unknown: Vec<MachineSeen>,
    /// What the host has listed while its site is in recovery, from which the difference is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<Holding>,
}

/// All that a host holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// In which recovery it was listed: since when that lasts.
    pub recovery: Timestamp,
    /// Its machines.
    pub machines: BTreeMap<VmId, MachineSeen>,
    /// Its networks, with the generation that is so.
    pub segments: BTreeMap<SegmentId, Generation>,
}

/// What agents spoke before it was written down.
fn first() -> u16 {
    1
}

impl Noun for Contact {
    const KIND: Kind = Kind {
        table: "contact",
        indexes: &[Index::many("site")],
    };

    fn id(&self) -> Uuid {
        self.host.0
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.site.to_string())]
    }
}
