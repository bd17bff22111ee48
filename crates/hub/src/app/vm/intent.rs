//! What an agent is told of a machine.

use renkei_store::noun::vm::VmRow;
use renkei_types::agent::{AdapterIntent, DiskSource, MachineIntent, Part};
use renkei_types::id::{HostId, ProjectId, VmId};
use renkei_types::operation::Generation;
use renkei_types::template::Template;
use renkei_types::vm::{Power, Source, Stop};

/// What the host with this part is told. `host_of_source` is where the machine is that this one is a clone of; what is gone by now
/// (a template, that machine) is not needed any more once the machine is whole.
pub fn intent(row: &VmRow, template: Option<&Template>, part: Part, host_of_source: Option<HostId>) -> MachineIntent {
    let vm = &row.vm;
    let meant = &vm.meant;
    let runs = part == Part::Run;
    MachineIntent {
        id: vm.id,
        generation: meant.generation,
        part,
        // The host that it moves to has to make it, too.
        make: runs && (!vm.made || vm.leaving.is_some()) && !meant.tombstone,
        project: vm.project,
        name: vm.name.to_string(),
        power: if runs { meant.power } else { Power::Off },
        stop: meant.stop,
        reboots: meant.reboots,
        resets: meant.resets,
        vcpus: meant.shape.vcpus,
        memory_mib: meant.shape.memory_mib,
        disks: meant.shape.disks.clone(),
        adapters: adapters(row),
        source: source(row, template, part, host_of_source),
        key: vm.key.clone(),
        user_data: row.user_data.clone(),
        save: meant.save.as_ref().map(|save| save.image),
    }
}

/// What a host is told of a copy that it is to destroy, which may be all that is left of the machine.
pub fn burial(vm: VmId, generation: Generation) -> MachineIntent {
    MachineIntent {
        id: vm,
        generation,
        part: Part::Gone,
        make: false,
        project: ProjectId(uuid::Uuid::nil()),
        name: String::new(),
        power: Power::Off,
        stop: Stop::PowerOff,
        reboots: 0,
        resets: 0,
        vcpus: 0,
        memory_mib: 0,
        disks: Vec::new(),
        adapters: Vec::new(),
        source: no_template(),
        key: String::new(),
        user_data: None,
        save: None,
    }
}

fn adapters(row: &VmRow) -> Vec<AdapterIntent> {
    let told = row.vm.meant.adapters.iter().map(|adapter| AdapterIntent {
        number: adapter.number,
        segment: adapter.segment,
        mac: adapter.mac,
        addresses: adapter.addresses.clone(),
    });
    told.collect()
}

fn source(row: &VmRow, template: Option<&Template>, part: Part, host_of_source: Option<HostId>) -> DiskSource {
    match (row.vm.leaving, &row.vm.source, host_of_source) {
        (Some(host), _, _) if part == Part::Run => DiskSource::Move { host },
        (_, Source::Clone(vm), Some(host)) => DiskSource::Machine { vm: *vm, host },
        _ => template.map_or_else(no_template, |template| DiskSource::Template {
            name: template.template_name.to_string(),
            image: template.image,
        }),
    }
}

fn no_template() -> DiskSource {
    DiskSource::Template {
        name: String::new(),
        image: None,
    }
}
