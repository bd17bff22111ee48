//! The host of the world: ready, heard just now, with a machine that nobody knows of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::Batch;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::manifest::Manifest;
use renkei_types::agent::{DiskSource, Held, MachineIntent, MachineSeen, Part};
use renkei_types::host::{Capacity, Host, HostSettings, HostState};
use renkei_types::operation::Generation;
use renkei_types::vm::{Disk, Power, Stop};

use crate::world::World;

/// With all that is kept of it.
pub fn write(world: &World, batch: &mut Batch) {
    batch.insert(&Host {
        id: world.host,
        site: world.site,
        name: "rack-1".parse().unwrap(),
        state: HostState::Ready,
        capacity: Capacity {
            vcpus: 8,
            memory_mib: 1 << 16,
            disk_gib: 1000,
            gpus: 0,
        },
        settings: HostSettings::default(),
        driver: "fake".to_owned(),
        driver_reason: String::new(),
        address: None,
        version: "0.1.0".to_owned(),
        created: Timestamp::now(),
    });
    batch.insert(&Manifest {
        host: world.host,
        site: world.site,
        is: Held::default(),
        machines: BTreeMap::new(),
        segments: BTreeMap::new(),
    });
    batch.insert(&Contact {
        host: world.host,
        site: world.site,
        hub: None,
        speaks: 1,
        since: Timestamp::now(),
        heard: Timestamp::now(),
        held: Held::default(),
        boot_id: String::new(),
        skew_ms: 0,
        free_disk_gib: 900,
        listed: true,
        unknown: vec![stray(world)],
        holding: None,
    });
}

fn stray(world: &World) -> MachineSeen {
    let record = MachineIntent {
        id: world.unknown,
        generation: Generation(4),
        part: Part::Run,
        make: false,
        project: world.project,
        name: "stray".to_owned(),
        power: Power::On,
        stop: Stop::Shutdown,
        reboots: 0,
        resets: 0,
        vcpus: 2,
        memory_mib: 2048,
        disks: vec![Disk { number: 1, gib: 40 }],
        adapters: Vec::new(),
        source: DiskSource::Template {
            name: "lab-own".to_owned(),
            image: None,
        },
        key: String::new(),
        user_data: None,
        save: None,
    };
    MachineSeen {
        id: world.unknown,
        generation: Generation(4),
        part: Part::Run,
        there: true,
        project: world.project,
        name: "stray".to_owned(),
        power: Power::On,
        doing: None,
        progress: 100,
        fault: None,
        addresses: BTreeMap::new(),
        saved: None,
        known: false,
        record: Some(Box::new(record)),
    }
}
