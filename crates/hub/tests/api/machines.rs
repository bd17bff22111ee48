//! A machine of `lab` on a host at `kashiwa`, for those tests that need it: while it is there, the project cannot be deleted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::Batch;
use renkei_store::noun::manifest::{Entry, Manifest, Takes};
use renkei_store::noun::vm::VmRow;
use renkei_types::agent::{Held, Part};
use renkei_types::host::{Capacity, Host, HostState};
use renkei_types::id::{HostId, ProjectId, SegmentId, SiteId, TemplateId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::{Adapter, Disk, Meant, Power, Seen, ServiceLevel, Shape, Source, Stop, Vm};
use uuid::Uuid;

/// The ids.
pub struct Machines {
    /// `node`.
    pub vm: VmId,
    /// The host that it is on.
    pub host: HostId,
}

/// Whose it is, and where.
pub struct Place {
    pub project: ProjectId,
    pub site: SiteId,
    pub segment: SegmentId,
    pub template: TemplateId,
}

impl Machines {
    pub fn new() -> Self {
        Self {
            vm: VmId(Uuid::now_v7()),
            host: HostId(Uuid::now_v7()),
        }
    }

    pub fn insert(&self, batch: &mut Batch, place: &Place, power: Power) {
        let generation = Generation(3);
        let created = Timestamp::now();
        batch.insert(&Host {
            id: self.host,
            site: place.site,
            name: "h1".parse().unwrap(),
            state: HostState::Ready,
            capacity: Capacity {
                vcpus: 8,
                memory_mib: 32768,
                disk_gib: 1000,
                gpus: 0,
            },
            settings: Default::default(),
            driver: "fake".to_owned(),
            driver_reason: String::new(),
            address: None,
            version: String::new(),
            created,
        });
        let entry = Entry {
            generation,
            part: Part::Run,
            takes: Takes {
                vcpus: 2,
                memory_mib: 2048,
                disk_gib: 40,
            },
        };
        batch.insert(&Manifest {
            host: self.host,
            site: place.site,
            is: Held::default(),
            machines: BTreeMap::from([(self.vm, entry)]),
            segments: BTreeMap::new(),
        });
        batch.insert(&VmRow {
            vm: self.machine(place, (power, generation), created),
            user_data: None,
            before: None,
            placing: None,
            pinned_by: Vec::new(),
        });
    }

    fn machine(&self, place: &Place, (power, generation): (Power, Generation), created: Timestamp) -> Vm {
        let meant = Meant {
            generation,
            power,
            stop: Stop::Shutdown,
            reboots: 0,
            resets: 0,
            shape: Shape {
                pack: None,
                vcpus: 2,
                memory_mib: 2048,
                gpus: 0,
                disks: vec![Disk { number: 1, gib: 40 }],
                service_level: ServiceLevel::Guarantee,
            },
            adapters: vec![Adapter {
                number: 1,
                segment: place.segment,
                mac: "52:54:00:12:34:56".parse().unwrap(),
                addresses: Vec::new(),
            }],
            save: None,
            tombstone: false,
        };
        Vm {
            id: self.vm,
            project: place.project,
            site: place.site,
            name: "node".parse().unwrap(),
            host: Some(self.host),
            leaving: None,
            source: Source::Template(place.template),
            os_type: "Linux".to_owned(),
            login_username: "user".to_owned(),
            key: String::new(),
            storage_network: String::new(),
            seen: Seen {
                generation,
                power: Some(power),
                ..Seen::default()
            },
            meant,
            operation: None,
            made: true,
            ran: true,
            deallocated: false,
            lost: false,
            started: None,
            by: None,
            created,
            freeze: None,
        }
    }
}
