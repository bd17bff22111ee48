//! What must never be, looked at while it happens: who is told that something has failed sees nothing more of it, no machine runs
//! twice, and a database that is set back stops nothing that runs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use renkei_host::Verb;
use renkei_store::Stored;
use renkei_store::noun::manifest::Manifest;
use renkei_store::noun::vm::VmRow;
use renkei_types::agent::Part;
use renkei_types::id::{HostId, OperationId, VmId};
use renkei_types::operation::{Generation, Operation, OperationState};
use renkei_types::recovery::Difference;
use renkei_types::vm::Power;

use super::{Broken, every};
use crate::hub::at_once;
use crate::world::World;

/// How late a deadline may be noticed once nothing goes wrong any more.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// See the module.
#[derive(Debug, Default)]
pub struct Watch {
    /// Operations that were set back.
    set_back: BTreeSet<OperationId>,
    /// What ran at the latest look.
    ran: BTreeSet<(HostId, VmId)>,
    /// What ran when a site went on after its database was set back, and has nothing asked of it since.
    spared: BTreeSet<(HostId, VmId)>,
}

impl Watch {
    /// Looks at operations that are being set back.
    pub fn look(world: &mut World) {
        let key = OperationState::Cancelling.to_string();
        let scan = world.truth.state.scan::<Operation>("state", &key, None, 500);
        let Ok(Ok(open)) = at_once(scan) else { return };
        world.watch.set_back.extend(open.iter().map(|open| open.value.id));
    }

    /// Looks at a step that a host has begun.
    pub fn step(world: &mut World, (host, vm): (HostId, VmId), (verb, generation): (Verb, Generation)) {
        // What is known of the past is gone with it.
        if world.set_back || world.broken.is_some() {
            return;
        }
        // Nobody promises anything of a host of which it was said that it cannot come back.
        if world.hosts.iter().any(|known| known.id == host && known.fenced) {
            return;
        }
        let key = vm.0.to_string();
        let scan = world.truth.state.scan::<Operation>("object", &key, None, 500);
        let Ok(Ok(operations)) = at_once(scan) else { return };
        let over = |operation: &&Stored<Operation>| {
            let operation = &operation.value;
            // What an earlier move has left over goes whatever fails later.
            verb != Verb::Destroy
                && operation.state == OperationState::Failed
                && generation < operation.generation
                && world.watch.set_back.contains(&operation.id)
        };
        let called = world.client.called(vm);
        if let Some(failed) = operations.iter().find(over) {
            world.broken = Some(Broken(format!(
                "host {host}: {verb} {called} for {generation}, though {} of generation {} has failed",
                failed.value.verb, failed.value.generation
            )));
        }
        let runs = |host: &&crate::host::Host| host.fake.truth().get(&vm).is_some_and(|vm| vm.power == Power::On);
        let may_come_back = world.hosts.iter().filter(|host| !host.fenced);
        if may_come_back.filter(runs).count() > 1 {
            world.broken = Some(Broken(format!("{called} runs twice, after {verb} for {generation}")));
        }
    }

    /// What runs, for the next look.
    pub fn remember(world: &mut World) {
        world.watch.ran = running(world);
        let now = world.clock.now();
        if world.storm_is_over_for() < LATE {
            return;
        }
        let late = every::<Operation>(world)
            .into_iter()
            .find(|operation| operation.value.deadline.is_some_and(|deadline| deadline + LATE < now));
        if let Some(late) = late {
            world.broken = Some(Broken(format!(
                "{} of {} is {} though its time is over",
                late.value.verb, late.value.object.name, late.value.state
            )));
        }
    }

    /// The site goes on, and this was told to differ.
    pub fn recovered(world: &mut World, difference: &Difference) {
        let now = running(world);
        let rows: BTreeMap<VmId, VmRow> = every::<VmRow>(world)
            .into_iter()
            .map(|row| (row.value.vm.id, row.value))
            .collect();
        let manifests = every::<Manifest>(world);
        // A copy of which the database knew all along that it is left over, as a move had failed: it goes, as without this.
        let left_over = |host: HostId, vm: VmId| {
            let of_host = manifests.iter().find(|manifest| manifest.value.host == host);
            let entry = of_host.and_then(|manifest| manifest.value.machines.get(&vm));
            entry.is_some_and(|entry| entry.part == Part::Gone)
        };
        let mut spared = BTreeSet::new();
        // What began to run in the last seconds may not have been told yet.
        for (host, vm) in now.intersection(&world.watch.ran).copied() {
            match rows.get(&vm).filter(|row| row.vm.host == Some(host)) {
                Some(row) if row.vm.meant.tombstone || row.vm.meant.power != Power::On => {}
                Some(_) => _ = spared.insert((host, vm)),
                None if left_over(host, vm) => {}
                None => {
                    spared.insert((host, vm));
                    if !difference.machines.iter().any(|told| told.vm == vm) {
                        let called = world.client.called(vm);
                        world.broken = Some(Broken(format!("{called} runs at {host}, and is not told to differ")));
                    }
                }
            }
        }
        world.watch.spared = spared;
    }

    /// Nothing that ran was stopped because the database was set back.
    pub fn after_recovery(world: &World, rows: &BTreeMap<VmId, VmRow>) -> Result<(), Broken> {
        let now = running(world);
        for (host, vm) in world.watch.spared.difference(&now) {
            // A spot machine may have given way since.
            if rows.get(vm).is_none_or(|row| !row.vm.deallocated) {
                let called = world.client.called(*vm);
                return Err(Broken(format!(
                    "{called} ran at {host} and was stopped, as the database was set back"
                )));
            }
        }
        Ok(())
    }
}

/// Machines that run, and with which nothing is being done.
fn running(world: &World) -> BTreeSet<(HostId, VmId)> {
    let mut running = BTreeSet::new();
    for host in &world.hosts {
        let machines = host.fake.truth().into_values();
        let still = machines.filter(|vm| vm.whole && vm.power == Power::On && vm.doing.is_none());
        running.extend(still.map(|vm| (host.id, vm.id)));
    }
    running
}
