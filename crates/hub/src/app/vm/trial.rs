//! What the tests of this folder stand on: a machine that waits for a host, and operations on it.

use jiff::Timestamp;
use renkei_store::noun::vm::{Placing, VmRow};
use renkei_types::id::{HostId, OperationId, ProjectId, SiteId, TemplateId, VmId};
use renkei_types::operation::{Generation, Object, Operation, OperationState};
use renkei_types::vm::{Disk, Meant, Power, Seen, ServiceLevel, Shape, Source, Stop, Vm};
use uuid::Uuid;

use super::verb::Verb;

/// A host.
pub const HOST: HostId = HostId(Uuid::from_u128(1));

/// A machine that was asked for just now, and the operation that makes it.
pub fn machine(power: Power) -> (VmRow, Operation) {
    let id = VmId(Uuid::from_u128(1));
    let meant = Meant {
        generation: Generation(1),
        power,
        stop: Stop::Shutdown,
        reboots: 0,
        resets: 0,
        shape: Shape {
            pack: None,
            vcpus: 2,
            memory_mib: 2048,
            gpus: 0,
            disks: vec![Disk { number: 1, gib: 10 }],
            service_level: ServiceLevel::Spot,
        },
        adapters: Vec::new(),
        save: None,
        tombstone: false,
    };
    let operation = operation(Verb::Deploy, id, 0);
    let vm = Vm {
        id,
        project: ProjectId(Uuid::from_u128(2)),
        site: SiteId(Uuid::from_u128(3)),
        name: "m".parse().unwrap(),
        host: None,
        leaving: None,
        source: Source::Template(TemplateId(Uuid::from_u128(4))),
        os_type: "Linux".to_owned(),
        login_username: String::new(),
        key: String::new(),
        storage_network: String::new(),
        meant: meant.clone(),
        seen: Seen::default(),
        operation: Some(operation.id),
        made: false,
        ran: false,
        deallocated: false,
        lost: false,
        started: None,
        by: None,
        created: Timestamp::UNIX_EPOCH,
        freeze: None,
    };
    let row = VmRow {
        vm,
        user_data: None,
        before: None,
        placing: Some(Placing {
            meant,
            since: Timestamp::UNIX_EPOCH,
        }),
        pinned_by: Vec::new(),
    };
    (row, operation)
}

/// An operation on it.
pub fn operation(verb: Verb, vm: VmId, number: u128) -> Operation {
    Operation {
        id: OperationId(Uuid::from_u128(100 + number)),
        verb: verb.as_str().to_owned(),
        object: Object {
            noun: VmId::NOUN.to_owned(),
            id: vm.0,
            name: "m".to_owned(),
        },
        project: None,
        by: None,
        generation: Generation(1),
        through: None,
        state: OperationState::Running,
        progress: 0,
        waiting: None,
        error: None,
        created: Timestamp::UNIX_EPOCH,
        deadline: None,
        ended: None,
    }
}
