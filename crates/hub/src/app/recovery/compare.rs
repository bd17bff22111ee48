//! Hub and hosts side by side, machine by machine, and what becomes of each. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::noun::vm::VmRow;
use renkei_types::agent::{MachineIntent, MachineSeen, Part};
use renkei_types::id::{HostId, VmId};
use renkei_types::operation::Generation;
use renkei_types::recovery::{DifferenceKind, MachineDifference, Side};
use renkei_types::vm::{self, Meant, Power};

use crate::app::manifest::{Change, takes};
use crate::app::vm::outcome::mean;

/// A machine that a host has.
#[derive(Clone, Debug)]
pub struct Seen {
    pub host: HostId,
    pub machine: MachineSeen,
}

/// A machine of which hub and hosts do not say the same.
#[derive(Debug)]
pub struct Compared {
    /// What the host that knows most of it says.
    pub seen: Option<Seen>,
    /// For people.
    pub told: MachineDifference,
}

/// What becomes of a machine.
#[derive(Debug)]
pub struct Mended {
    pub row: VmRow,
    pub manifests: Vec<(HostId, (VmId, Change))>,
}

/// All that differs. A host that has not `listed` says nothing, also not by its silence. Copies of which the database knows that they
/// are left over are not among what is `seen`.
pub fn compare<'a>(
    rows: impl Iterator<Item = &'a VmRow>,
    mut seen: BTreeMap<VmId, Vec<Seen>>,
    listed: impl Fn(HostId) -> bool,
) -> Vec<Compared> {
    let mut compared = Vec::new();
    for row in rows {
        let seen = seen.remove(&row.vm.id).and_then(|seen| latest(row, seen));
        let kind = match &seen {
            Some(seen) => differs(row, seen),
            None if row.vm.host.is_some_and(&listed) && !row.vm.meant.tombstone => Some(DifferenceKind::Missing),
            None => None,
        };
        if let Some(kind) = kind {
            let told = MachineDifference {
                vm: row.vm.id,
                name: row.vm.name.to_string(),
                project: row.vm.project,
                host: seen.as_ref().map(|seen| seen.host).or(row.vm.host),
                kind,
                meant: Some(side(row.vm.meant.generation, row.vm.meant.power)),
                seen: seen.as_ref().map(said),
            };
            compared.push(Compared { seen, told });
        }
    }
    let unknown = seen.into_values().flatten().map(|seen| Compared {
        told: MachineDifference {
            vm: seen.machine.id,
            name: seen.machine.name.clone(),
            project: seen.machine.project,
            host: Some(seen.host),
            kind: DifferenceKind::Unknown,
            meant: None,
            seen: Some(said(&seen)),
        },
        seen: Some(seen),
    });
    compared.extend(unknown);
    compared
}

/// Of several copies that of the latest generation; of such the one that is not only kept, at the host that is meant to have it.
fn latest(row: &VmRow, seen: Vec<Seen>) -> Option<Seen> {
    let rank = |seen: &Seen| {
        (
            seen.machine.generation,
            seen.machine.part == Part::Run,
            Some(seen.host) == row.vm.host,
        )
    };
    seen.into_iter().max_by_key(rank)
}

fn differs(row: &VmRow, seen: &Seen) -> Option<DifferenceKind> {
    let meant = &row.vm.meant;
    let machine = &seen.machine;
    let later = machine.generation > meant.generation;
    match () {
        () if meant.tombstone => (later || is_elsewhere(row, seen)).then_some(DifferenceKind::Tombstone),
        () if later || is_elsewhere(row, seen) => Some(DifferenceKind::Later),
        // The same generation meant something else before the database was set back, if it is not so and nothing was wrong.
        () if machine.generation == meant.generation && machine.fault.is_none() && machine.power != meant.power => {
            Some(DifferenceKind::Power)
        }
        () if machine.generation == meant.generation
            && machine.fault.is_none()
            && machine
                .record
                .as_ref()
                .is_some_and(|record| is_other_size(meant, record)) =>
        {
            Some(DifferenceKind::Size)
        }
        () => None,
    }
}

/// Whether a host that the database does not give it to made it so after all that the database has seen of it: it was placed there, or
/// moved there, before the database was set back. What is meant may be later all the same, if something was asked for since.
fn is_elsewhere(row: &VmRow, seen: &Seen) -> bool {
    let known = [row.vm.host, row.vm.leaving].contains(&Some(seen.host));
    !known && seen.machine.part == Part::Run && seen.machine.generation > row.vm.seen.generation
}

/// What becomes of a machine that its host knows better than the database. What differs otherwise stays as it is.
pub fn mend(row: &VmRow, seen: &Seen, now: Timestamp) -> Mended {
    let mut new = row.clone();
    let mut manifests = Vec::new();
    if differs(row, seen).is_none() {
        return Mended { row: new, manifests };
    }
    let (vm, host) = (row.vm.id, seen.host);
    let generation = row.generation().max(seen.machine.generation).next();
    let part = match row.vm.meant.tombstone {
        true => {
            new.vm.meant.generation = generation;
            Change::Gone(generation)
        }
        false => {
            new.vm.meant = as_seen(&row.vm.meant, &seen.machine, generation);
            Change::Run(generation, takes(&new.vm.meant))
        }
    };
    // Copies elsewhere become unknown: kept, and an operator's to decide about.
    let others = [row.vm.host, row.vm.leaving]
        .into_iter()
        .flatten()
        .filter(|other| *other != host);
    manifests.extend(others.map(|other| (other, (vm, Change::Remove))));
    manifests.push((host, (vm, part)));
    new.vm.host = Some(host);
    new.vm.leaving = None;
    new.placing = None;
    new.before = None;
    if !row.vm.meant.tombstone {
        new.vm.made = true;
        new.vm.lost = false;
        new.vm.deallocated &= seen.machine.power == Power::Off;
        new.vm.ran |= seen.machine.power == Power::On;
        new.vm.seen = vm::Seen {
            generation: seen.machine.generation.min(generation),
            power: Some(seen.machine.power),
            doing: None,
            progress: 0,
            fault: None,
            addresses: seen.machine.addresses.clone(),
            at: Some(now),
        };
    }
    Mended { row: new, manifests }
}

/// What was meant, with all that the host says of it. Counters stay: what they count was obeyed long ago.
fn as_seen(meant: &Meant, seen: &MachineSeen, generation: Generation) -> Meant {
    let mut new = Meant {
        generation,
        power: seen.power,
        save: None,
        ..meant.clone()
    };
    if let Some(record) = &seen.record {
        new.reboots = record.reboots.max(meant.reboots);
        new.resets = record.resets.max(meant.resets);
        new.shape.vcpus = record.vcpus;
        new.shape.memory_mib = record.memory_mib;
        new.shape.disks.clone_from(&record.disks);
        new.shape.pack = meant.shape.pack.filter(|_| !is_other_size(meant, record));
    }
    new
}

/// Adapters are not compared: their addresses may have been given to others since the database was set back.
fn is_other_size(meant: &Meant, record: &MachineIntent) -> bool {
    let shape = &meant.shape;
    (shape.vcpus, shape.memory_mib, &shape.disks) != (record.vcpus, record.memory_mib, &record.disks)
}

/// What is asked of a machine that its host does not have any more, and of which it knows a later generation than is meant: the
/// same, but later than all that it knows, so that it says that it is missing. Nothing if it will be heard as it is, as what was
/// destroyed is under a tombstone.
///
/// One that ran there was whole, whether this database has heard of it or not. One that was destroyed there before this database heard
/// that it was whole is still to be made.
pub fn outbid(row: &VmRow, machine: &MachineSeen) -> Option<Mended> {
    let later = !machine.there && machine.generation >= row.vm.meant.generation;
    if !later || (row.vm.meant.tombstone && machine.part == Part::Gone) {
        return None;
    }
    let mut known = row.clone();
    known.placing = None;
    known.before = None;
    known.vm.made |= machine.part == Part::Run && machine.generation.0 > 0;
    known.vm.meant.generation = row.generation().max(machine.generation);
    // It was there in what is meant, so a move to there was over. A disk that is still where it came from may be the last: it is kept.
    let left = known.vm.leaving.take_if(|_| !row.vm.meant.tombstone);
    let (row, mut changes) = mean(&known, known.vm.meant.clone());
    changes.extend(left.map(|left| (left, Change::Remove)));
    let of_machine = |(host, change)| (host, (machine.id, change));
    let manifests = changes.into_iter().map(of_machine).collect();
    Some(Mended { row, manifests })
}

/// What becomes of a copy that a host is to destroy in `generation`, and of which it knows a later one, so that it does not obey. Of a
/// machine that is gone, or is to be, no copy is to be left; that of another one is kept, and unknown.
pub fn rebury(row: Option<&VmRow>, generation: Generation, machine: &MachineSeen) -> Option<Change> {
    let confirmed = machine.part == Part::Gone && !machine.there;
    let obeys = machine.generation <= generation || confirmed;
    (!obeys).then(|| match row {
        Some(row) if !row.vm.meant.tombstone => Change::Remove,
        _ => Change::Gone(machine.generation.next()),
    })
}

fn said(seen: &Seen) -> Side {
    side(seen.machine.generation, seen.machine.power)
}

fn side(generation: Generation, power: Power) -> Side {
    Side { generation, power }
}
