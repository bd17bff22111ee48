//! A machine, with what is not shown of it.

use renkei_types::id::{HostId, SiteId};
use renkei_types::operation::Generation;
use renkei_types::vm::{Meant, Vm};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun, pair};

/// A machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmRow {
    /// What is shown.
    pub vm: Vm,
    /// cloud-init's user data, which may hold secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// What was meant before the open operation, to be set back to when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Meant>,
    /// What waits for room, and is meant only when there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placing: Option<Placing>,
    /// The machine that its disk is copied from stands still for it; here, the machines that are copied from this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pinned_by: Vec<Uuid>,
}

/// A machine that waits for room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placing {
    /// What will be meant.
    pub meant: Meant,
    /// Since when, for the order.
    pub since: jiff::Timestamp,
}

impl std::fmt::Debug for VmRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VmRow")
            .field("vm", &self.vm)
            .field("before", &self.before)
            .field("placing", &self.placing)
            .finish_non_exhaustive()
    }
}

impl VmRow {
    /// The latest generation that was given: the one that is meant, or that will be when there is room. It is the machine's `ETag`.
    pub fn generation(&self) -> Generation {
        let placing = self.placing.as_ref().map(|placing| placing.meant.generation);
        placing.unwrap_or_default().max(self.vm.meant.generation)
    }

    /// Its key in the index `waits`.
    pub fn waits_key(site: SiteId) -> String {
        site.to_string()
    }

    /// Its key in the index `host`.
    pub fn host_key(host: HostId) -> String {
        host.to_string()
    }
}

impl Noun for VmRow {
    const KIND: Kind = Kind {
        table: "vm",
        indexes: &[
            Index::many("project"),
            Index::many("share"),
            Index::many("host"),
            Index::many("waits"),
            Index::unique("name"),
        ],
    };

    fn id(&self) -> Uuid {
        self.vm.id.0
    }

    /// `share` is `project/site`; `waits` is the site while the machine waits for room; `name` is `project/name` in small letters.
    fn keys(&self) -> Vec<Option<String>> {
        let vm = &self.vm;
        vec![
            Some(vm.project.to_string()),
            Some(pair(vm.project.0, vm.site.0)),
            vm.host.map(Self::host_key),
            self.placing.as_ref().map(|_| Self::waits_key(vm.site)),
            Some(format!("{}/{}", vm.project, vm.name.folded())),
        ]
    }
}
