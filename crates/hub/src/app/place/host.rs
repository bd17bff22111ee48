//! A host as placement sees it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::noun::manifest::Takes;
use renkei_types::host::Capacity;
use renkei_types::id::{HostId, VmId};

use super::Wanted;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRoom {
    /// Which.
    pub id: HostId,
    /// Whom it takes.
    pub room: Room,
    /// What may be promised.
    pub promised: Capacity,
    /// What its manifest's machines take,
    machines: BTreeMap<VmId, Takes>,
    /// and together.
    taken: Takes,
    /// Those of them that can give way.
    pub spots: Vec<Spot>,
}

/// Whom a host takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Everybody.
    Open,
    /// It starts machines that it has; others are not placed there: it is disabled, or its disk is nearly full.
    OnlyOwn,
    /// Nobody. Machines that are off leave it.
    Draining,
    /// Nobody: it is silent, fenced, or has not joined yet.
    Silent,
}

/// A spot machine that runs and of which nothing else is asked, or that is giving way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which.
    pub vm: VmId,
    /// Since when it runs.
    pub started: Option<Timestamp>,
    /// Whether it was asked to.
    pub giving_way: bool,
}

impl HostRoom {
    /// A host with these machines, none of which is known to be able to give way.
    pub fn new(id: HostId, room: Room, promised: Capacity, machines: BTreeMap<VmId, Takes>) -> Self {
        Self {
            id,
            room,
            promised,
            taken: machines.values().copied().fold(Takes::default(), sum),
            machines,
            spots: Vec::new(),
        }
    }

    /// What is still free.
    pub fn free(&self) -> Capacity {
        let taken = self.taken;
        Capacity {
            vcpus: self.promised.vcpus.saturating_sub(taken.vcpus),
            memory_mib: self.promised.memory_mib.saturating_sub(taken.memory_mib),
            disk_gib: self.promised.disk_gib.saturating_sub(taken.disk_gib),
            gpus: self.promised.gpus,
        }
    }

    /// What its machines take together.
    pub fn taken(&self) -> Takes {
        self.taken
    }

    /// How many machines it has something to do with.
    pub fn machines(&self) -> usize {
        self.machines.len()
    }

    /// Whether it has something to do with this one.
    pub fn knows(&self, vm: VmId) -> bool {
        self.machines.contains_key(&vm)
    }

    /// What it takes more than it has of this host already.
    pub(super) fn more(&self, wanted: &Wanted) -> Takes {
        let has = self.machines.get(&wanted.vm).copied().unwrap_or_default();
        less(wanted.takes, has)
    }

    /// Whether so much is free.
    pub(super) fn has(&self, more: Takes) -> bool {
        fits(more, self.free())
    }

    /// Whether it would be enough with nothing else on it.
    pub(super) fn could_ever_have(&self, wanted: &Wanted) -> bool {
        fits(wanted.takes, self.promised)
    }

    /// How much too little there is: processors, then memory, then disk.
    pub(super) fn lacks(&self, more: Takes) -> (u32, u64, u64) {
        let free = self.free();
        (
            more.vcpus.saturating_sub(free.vcpus),
            more.memory_mib.saturating_sub(free.memory_mib),
            more.disk_gib.saturating_sub(free.disk_gib),
        )
    }

    /// It gets its place, or the promise of it.
    pub(super) fn take(&mut self, wanted: &Wanted) {
        let more = self.more(wanted);
        let entry = self.machines.entry(wanted.vm).or_default();
        *entry = sum(*entry, more);
        self.taken = sum(self.taken, more);
    }

    /// The spot machines that are to be asked so that there is enough: those that have run longest, and no more than needed. Empty
    /// when those that are giving way are enough; nothing when all would not be.
    pub(super) fn way(&self, more: Takes) -> Option<Vec<VmId>> {
        let mut others = self.clone();
        for spot in self.spots.iter().filter(|spot| spot.giving_way) {
            others.leave(spot.vm);
        }
        let mut spots: Vec<&Spot> = self.spots.iter().filter(|spot| !spot.giving_way).collect();
        spots.sort_unstable_by_key(|spot| (spot.started, spot.vm));
        let mut asked = Vec::new();
        for spot in spots {
            if others.has(more) {
                break;
            }
            others.leave(spot.vm);
            asked.push(spot.vm);
        }
        if !others.has(more) {
            return None;
        }
        // Some of the first may be too small to matter by now. The youngest that is not needed is spared first.
        for place in (0..asked.len()).rev() {
            let back = asked[place];
            let would_take = self.machines.get(&back).copied().unwrap_or_default();
            let stays = less(would_take, others.machines.get(&back).copied().unwrap_or_default());
            if others.has(sum(more, stays)) {
                others.machines.insert(back, would_take);
                others.taken = sum(others.taken, stays);
                asked.remove(place);
            }
        }
        Some(asked)
    }

    /// A machine that is off takes its disk only.
    fn leave(&mut self, vm: VmId) {
        if let Some(takes) = self.machines.get_mut(&vm) {
            let left = Takes { disk_gib: 0, ..*takes };
            *takes = less(*takes, left);
            self.taken = less(self.taken, left);
        }
    }
}

/// Both together; what no number holds stays at the largest.
pub(super) fn sum(one: Takes, other: Takes) -> Takes {
    Takes {
        vcpus: one.vcpus.saturating_add(other.vcpus),
        memory_mib: one.memory_mib.saturating_add(other.memory_mib),
        disk_gib: one.disk_gib.saturating_add(other.disk_gib),
    }
}

fn less(one: Takes, other: Takes) -> Takes {
    Takes {
        vcpus: one.vcpus.saturating_sub(other.vcpus),
        memory_mib: one.memory_mib.saturating_sub(other.memory_mib),
        disk_gib: one.disk_gib.saturating_sub(other.disk_gib),
    }
}

fn fits(takes: Takes, into: Capacity) -> bool {
    takes.vcpus <= into.vcpus && takes.memory_mib <= into.memory_mib && takes.disk_gib <= into.disk_gib
}
