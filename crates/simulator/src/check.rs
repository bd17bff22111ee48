//! What must be so in the end, whatever has happened.

mod watch;

use std::collections::{BTreeMap, BTreeSet};

use renkei_host::Verb;
use renkei_hub::app::quota::{of_machine, sum};
use renkei_store::noun::manifest::Manifest;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::vm::VmRow;
use renkei_store::{Noun, Stored};
use renkei_types::agent::Part;
use renkei_types::host::Host;
use renkei_types::id::{HostId, VmId};
use renkei_types::lease::Lease;
use renkei_types::operation::Operation;
use renkei_types::quota::Amounts;
use renkei_types::segment::Segment;
use renkei_types::site::Site;
use renkei_types::vm::Power;

pub use self::watch::Watch;
use crate::hub::at_once;
use crate::world::World;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

/// All that is kept of a noun.
pub fn every<N: Noun>(world: &World) -> Vec<Stored<N>> {
    let mut every: Vec<Stored<N>> = Vec::new();
    loop {
        let after = every.last().map(|last| last.value.id());
        match at_once(world.truth.state.all::<N>(after, 500)) {
            Ok(Ok(some)) if !some.is_empty() => every.extend(some),
            _ => return every,
        }
    }
}

/// What is not yet as it should be: it may still become so.
pub fn unsettled(world: &World) -> Vec<String> {
    let rows: BTreeMap<VmId, VmRow> = every::<VmRow>(world)
        .into_iter()
        .map(|row| (row.value.vm.id, row.value))
        .collect();
    let mut open = Vec::new();
    for Stored { value: operation, .. } in every::<Operation>(world) {
        let waits = rows
            .values()
            .any(|row| row.vm.operation == Some(operation.id) && row.placing.is_some() && operation.waiting.is_some());
        if !operation.state.ended() && !waits {
            open.push(format!(
                "{} of {} is {}",
                operation.verb, operation.object.name, operation.state
            ));
        }
    }
    for row in rows.values() {
        if let Some(differs) = differs(world, row) {
            open.push(format!("{}: {differs}", row.vm.name));
        }
    }
    for Stored { value: manifest, .. } in every::<Manifest>(world) {
        let host = world.hosts.iter().find(|host| host.id == manifest.host);
        let held = host.and_then(|host| Some(host.agent.as_ref()?.kept().held.clone()));
        if held.as_ref() != Some(&manifest.is) && manifest.is.version > 0 {
            open.push(format!(
                "host {} holds {held:?}, meant is {:?}",
                manifest.host, manifest.is
            ));
        }
        open.extend(
            manifest
                .machines
                .iter()
                .filter(|(_, entry)| entry.part != Part::Run)
                .map(|(vm, entry)| {
                    format!(
                        "host {} still has to {:?} {}",
                        manifest.host,
                        entry.part,
                        world.client.called(*vm)
                    )
                }),
        );
    }
    for Stored { value: segment, .. } in every::<Segment>(world) {
        if segment.tombstone || segment.seen != segment.generation {
            open.push(format!(
                "network {}: generation {} is seen, {} is meant, tombstone: {}",
                segment.name, segment.seen, segment.generation, segment.tombstone
            ));
        }
    }
    if let Some(site) = every::<Site>(world)
        .into_iter()
        .find(|site| site.value.recovery.is_some())
    {
        open.push(format!("site {} is in recovery", site.value.name));
    }
    open
}

/// How reality differs from what is meant for a machine.
fn differs(world: &World, row: &VmRow) -> Option<String> {
    let vm = &row.vm;
    if vm.meant.tombstone {
        return Some("it is under a tombstone".to_owned());
    }
    if vm.lost || vm.host.is_none() {
        return None;
    }
    let host = world.hosts.iter().find(|host| Some(host.id) == vm.host)?;
    let Some(machine) = host.fake.truth().remove(&vm.id) else {
        return Some("its host does not have it".to_owned());
    };
    // What its host cannot make so, and has told of, is a person's to decide about, also while something else waits for room.
    let fault = vm.seen.fault.as_ref();
    let decided = vm.operation.is_none() || row.placing.is_some();
    if decided && fault.is_some_and(|fault| fault.generation == vm.meant.generation) {
        return None;
    }
    if vm.seen.generation != vm.meant.generation {
        return Some(format!(
            "generation {} is seen, {} is meant",
            vm.seen.generation, vm.meant.generation
        ));
    }
    if vm.seen.power != Some(machine.power) {
        return Some(format!("it is seen {:?} and is {:?}", vm.seen.power, machine.power));
    }
    // A guest that ends by itself is left alone.
    let rests = machine.halted && machine.power == Power::Off && vm.meant.power == Power::On;
    if machine.power != vm.meant.power && !rests {
        return Some(format!(
            "it is {:?} and is meant to be {:?}",
            machine.power, vm.meant.power
        ));
    }
    vm.leaving.map(|host| format!("it is leaving host {host}"))
}

/// What can never become right any more.
pub fn broken(world: &World) -> Result<(), Broken> {
    let rows: BTreeMap<VmId, VmRow> = every::<VmRow>(world)
        .into_iter()
        .map(|row| (row.value.vm.id, row.value))
        .collect();
    Watch::after_recovery(world, &rows)?;
    nothing_is_left_over(world, &rows)?;
    nothing_unknown_is_gone(world)?;
    disks_are_what_they_were(world, &rows)?;
    quotas_hold(world, &rows)?;
    hosts_hold(world)?;
    for (vm, asked) in &world.client.reboots {
        let done: u64 = world
            .hosts
            .iter()
            .map(|host| host.fake.carried_out(*vm, Verb::Reboot))
            .sum();
        if done > *asked {
            return Err(Broken(format!(
                "{} was asked to reboot {asked} times and did {done} times",
                world.client.called(*vm)
            )));
        }
    }
    Ok(())
}

fn nothing_is_left_over(world: &World, rows: &BTreeMap<VmId, VmRow>) -> Result<(), Broken> {
    let planted: BTreeSet<(HostId, VmId)> = world.client.planted.iter().copied().collect();
    for host in &world.hosts {
        for vm in host.fake.truth().into_keys() {
            let known = rows.get(&vm).is_some_and(|row| row.vm.host == Some(host.id));
            // After the database was set back there may be machines of which it never heard.
            if !known && !planted.contains(&(host.id, vm)) && !world.set_back {
                return Err(Broken(format!(
                    "host {} still has {}",
                    host.id,
                    world.client.called(vm)
                )));
            }
        }
    }
    for Stored { value: lease, .. } in every::<Lease>(world) {
        if lease.vm.is_some_and(|vm| !rows.contains_key(&vm)) {
            return Err(Broken(format!(
                "address {} is held for a machine that is gone",
                lease.address
            )));
        }
    }
    Ok(())
}

fn nothing_unknown_is_gone(world: &World) -> Result<(), Broken> {
    for (id, vm) in &world.client.planted {
        let host = world.hosts.iter().find(|host| host.id == *id);
        if !host.is_some_and(|host| host.fake.truth().contains_key(vm)) {
            return Err(Broken(format!("host {id} has destroyed {vm}, which nobody knows")));
        }
    }
    Ok(())
}

/// What was written onto a disk is there as long as the machine is.
fn disks_are_what_they_were(world: &World, rows: &BTreeMap<VmId, VmRow>) -> Result<(), Broken> {
    for (vm, text) in &world.client.written {
        let Some(row) = rows.get(vm).filter(|row| !row.vm.lost) else {
            continue;
        };
        let host = world.hosts.iter().find(|host| Some(host.id) == row.vm.host);
        let disk = host.and_then(|host| host.fake.disk(*vm));
        if host.is_some() && disk.as_ref() != Some(text) {
            return Err(Broken(format!(
                "{} had {text:?} on its disk, and now has {disk:?}",
                row.vm.name
            )));
        }
    }
    Ok(())
}

fn quotas_hold(world: &World, rows: &BTreeMap<VmId, VmRow>) -> Result<(), Broken> {
    // What was taken by a past that is no longer known is there all the same.
    for Stored { value: quota, .. } in every::<QuotaRow>(world).into_iter().filter(|_| !world.set_back) {
        let of = rows
            .values()
            .filter(|row| row.vm.project == quota.project && row.vm.site == quota.site);
        let used = of.map(of_machine).fold(Amounts::default(), sum);
        let limit = &quota.limit;
        let fits = used.vms <= limit.vms
            && used.vcpus <= limit.vcpus
            && used.memory_mib <= limit.memory_mib
            && used.disk_gib <= limit.disk_gib;
        if !fits {
            return Err(Broken(format!("{used:?} are more than {limit:?}")));
        }
    }
    Ok(())
}

fn hosts_hold(world: &World) -> Result<(), Broken> {
    let hosts: BTreeMap<HostId, Host> = every::<Host>(world)
        .into_iter()
        .map(|host| (host.value.id, host.value))
        .collect();
    // What was placed by a past that is no longer known counts twice until an operator has looked.
    for Stored { value: manifest, .. } in every::<Manifest>(world).into_iter().filter(|_| !world.set_back) {
        let Some(host) = hosts.get(&manifest.host) else {
            continue;
        };
        let promised = host.capacity.promised(&host.settings);
        let takes = manifest.machines.values().map(|entry| entry.takes);
        let (vcpus, memory) = takes.fold((0, 0), |sum, takes| (sum.0 + takes.vcpus, sum.1 + takes.memory_mib));
        if vcpus > promised.vcpus || memory > promised.memory_mib {
            let has = (promised.vcpus, promised.memory_mib);
            return Err(Broken(format!(
                "host {} has promised {vcpus} processors and {memory} MiB of {has:?}",
                host.name
            )));
        }
    }
    Ok(())
}
