//! What becomes of a machine: the few steps that all decisions about machines are made of. All are pure.
//!
//! They keep these rules:
//!
//! - A machine's `host` has an entry in its manifest with the generation that is meant: to run it or, under a tombstone, to destroy it.
//! - `leaving` is set while a move is under way: that host keeps the disk until the new one has made it so.
//! - Any other entry for the machine is one to destroy a copy that is left over, with a generation of its own.

use jiff::Timestamp;
use renkei_store::noun::manifest::Takes;
use renkei_store::noun::vm::{Placing, VmRow};
use renkei_types::id::HostId;
use renkei_types::operation::{Generation, Operation, OperationState};
use renkei_types::vm::{Meant, Power};

use super::verb::Verb;
use crate::app::manifest::{Change, takes};

/// What becomes of a machine and its open operation, and what its hosts are to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The machine; nothing once it is gone.
    pub row: Option<VmRow>,
    /// The operation, if it has changed.
    pub operation: Option<Operation>,
    /// Entries in manifests.
    pub manifests: Vec<(HostId, Change)>,
}

impl Outcome {
    /// Nothing has changed.
    pub fn same(row: &VmRow) -> Self {
        Self {
            row: Some(row.clone()),
            operation: None,
            manifests: Vec::new(),
        }
    }
}

/// `row` with another intent, which gets the next generation, and what its hosts are to know.
pub fn mean(row: &VmRow, meant: Meant) -> (VmRow, Vec<(HostId, Change)>) {
    let mut row = row.clone();
    let generation = row.generation().next();
    row.vm.meant = Meant { generation, ..meant };
    let change = match row.vm.meant.tombstone {
        true => Change::Gone(generation),
        false => Change::Run(generation, takes(&row.vm.meant)),
    };
    let keep = match row.vm.meant.tombstone {
        true => Change::Gone(generation),
        false => Change::Keep(generation),
    };
    let host = row.vm.host.map(|host| (host, change));
    let leaving = row.vm.leaving.map(|host| (host, keep));
    (row, host.into_iter().chain(leaving).collect())
}

/// An operation begins that makes `meant` so. What needs more room than the machine has waits for it.
pub fn begin(row: &VmRow, operation: Operation, meant: Meant, now: Timestamp) -> Outcome {
    let mut row = row.clone();
    let was = row.vm.meant.clone();
    if row.vm.host.is_some() {
        // If the operation before is not so yet, it is set back to what was before both.
        row.before.get_or_insert(was.clone());
    }
    row.vm.operation = Some(operation.id);
    let manifests = if row.vm.host.is_none() || more(takes(&meant), takes(&was)) {
        let generation = row.generation().next();
        let meant = Meant { generation, ..meant };
        if row.vm.host.is_none() {
            row.vm.meant = meant.clone();
        }
        let since = row.placing.map_or(now, |placing| placing.since);
        row.placing = Some(Placing { meant, since });
        Vec::new()
    } else {
        let (changed, manifests) = mean(&row, meant);
        row = changed;
        row.placing = None;
        manifests
    };
    let limit = Verb::of(&operation).and_then(Verb::limit);
    let operation = Operation {
        generation: row.generation(),
        // While it waits no time runs.
        deadline: limit.filter(|_| row.placing.is_none()).map(|limit| now + limit),
        ..operation
    };
    Outcome {
        row: Some(row),
        operation: Some(operation),
        manifests,
    }
}

/// Whether one takes more of anything than the other.
fn more(one: Takes, other: Takes) -> bool {
    one.vcpus > other.vcpus || one.memory_mib > other.memory_mib || one.disk_gib > other.disk_gib
}

/// An operation begins that destroys a machine. One that no host ever had is gone at once.
pub fn destroy(row: &VmRow, operation: Operation, now: Timestamp) -> Outcome {
    if row.vm.host.is_none() {
        return Outcome {
            row: None,
            operation: Some(ended(&operation, OperationState::Done, now)),
            manifests: Vec::new(),
        };
    }
    let (mut row, manifests) = bury(row);
    row.vm.operation = Some(operation.id);
    let generation = row.vm.meant.generation;
    Outcome {
        row: Some(row),
        operation: Some(Operation {
            generation,
            ..operation
        }),
        manifests,
    }
}

/// The machine is to be gone. What waits for room no longer does.
pub fn bury(row: &VmRow) -> (VmRow, Vec<(HostId, Change)>) {
    let meant = Meant {
        power: Power::Off,
        tombstone: true,
        ..row.vm.meant.clone()
    };
    let (mut row, manifests) = mean(row, meant);
    row.placing = None;
    row.before = None;
    (row, manifests)
}

/// What was meant before becomes what is meant. Counters stay: what they count was obeyed, or never will be.
pub fn set_back(row: &VmRow) -> (VmRow, Vec<(HostId, Change)>) {
    let mut row = row.clone();
    let before = row.before.take().unwrap_or_else(|| row.vm.meant.clone());
    let meant = Meant {
        reboots: row.vm.meant.reboots,
        resets: row.vm.meant.resets,
        ..before
    };
    // A move that is not over ends where the disk still is.
    let target = row.vm.leaving.take().and_then(|left| row.vm.host.replace(left));
    let (row, mut manifests) = mean(&row, meant);
    let generation = row.vm.meant.generation;
    manifests.extend(target.map(|target| (target, Change::Gone(generation))));
    (row, manifests)
}

/// What waits for room gets it at `host`; its disk comes from where it was.
///
/// A host that still has an entry for the machine must not be chosen, unless it is the one that has the disk.
pub fn placed(row: &VmRow, host: HostId) -> (VmRow, Vec<(HostId, Change)>) {
    let mut row = row.clone();
    let Some(placing) = row.placing.take() else {
        return (row, Vec::new());
    };
    let generation = placing.meant.generation;
    row.vm.meant = placing.meant;
    row.vm.leaving = row.vm.host.filter(|left| *left != host);
    row.vm.host = Some(host);
    let mut manifests = vec![(host, Change::Run(generation, takes(&row.vm.meant)))];
    manifests.extend(row.vm.leaving.map(|left| (left, Change::Keep(generation))));
    (row, manifests)
}

/// The operation has ended so.
pub fn ended(operation: &Operation, state: OperationState, now: Timestamp) -> Operation {
    Operation {
        state,
        progress: match state {
            OperationState::Done => 100,
            _ => operation.progress,
        },
        waiting: None,
        deadline: None,
        ended: Some(now),
        ..operation.clone()
    }
}

/// The operation is given up, and what is meant is set back: it fails once `generation` is seen.
pub fn cancelling(operation: &Operation, generation: Generation, why: &str) -> Operation {
    Operation {
        generation,
        state: OperationState::Cancelling,
        waiting: None,
        error: Some(why.to_owned()),
        deadline: None,
        ..operation.clone()
    }
}

/// What takes away is asked for once more: the host no longer tries the generation that has failed.
pub fn insist(row: &VmRow, operation: &Operation, now: Timestamp) -> Outcome {
    let meant = Meant {
        stop: renkei_types::vm::Stop::PowerOff,
        ..row.vm.meant.clone()
    };
    let (row, manifests) = mean(row, meant);
    let limit = Verb::of(operation).and_then(Verb::limit);
    let operation = Operation {
        generation: row.vm.meant.generation,
        deadline: limit.map(|limit| now + limit),
        ..operation.clone()
    };
    Outcome {
        row: Some(row),
        operation: Some(operation),
        manifests,
    }
}
