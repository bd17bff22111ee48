//! What these tests stand on: a site with hosts, and machines that were asked for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::manifest::Manifest;
use renkei_store::noun::vm::{Placing, VmRow};
use renkei_store::{Batch, Store, Stored};
use renkei_types::agent::{Held, MachineSeen, Part};
use renkei_types::host::{Capacity, Host, HostSettings, HostState};
use renkei_types::id::{HostId, OperationId, SiteId, VmId};
use renkei_types::operation::Operation;
use renkei_types::site::Site;
use renkei_types::vm::{Power, ServiceLevel, Shape};
use uuid::Uuid;

use super::{Left, run};
use crate::app::App;
use crate::app::manifest::{self, Manifests};
use crate::app::vm::seen::{Heard, report};
use crate::app::vm::trial::machine;

pub const SITE: SiteId = SiteId(Uuid::from_u128(1));

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A site without hosts.
pub async fn town() -> App {
    let app = App::seeded(Store::memory(), 7);
    let mut batch = Batch::new();
    batch.insert(&Site {
        id: SITE,
        name: "kashiwa".parse().unwrap(),
        description: String::new(),
        operators: BTreeSet::new(),
        gateway: None,
        recovery: None,
        created: at(0),
    });
    write(&app, batch).await;
    app
}

pub async fn write(app: &App, batch: Batch) {
    app.store.state.commit(batch).await.unwrap();
}

/// A host that was just heard, with so many processors and as many GiB of memory.
pub async fn host(app: &App, number: u128, vcpus: u32) -> HostId {
    let id = HostId(Uuid::from_u128(1000 + number));
    let mut batch = Batch::new();
    batch.insert(&Host {
        id,
        site: SITE,
        name: format!("h{number}").parse().unwrap(),
        state: HostState::Ready,
        capacity: Capacity {
            vcpus,
            memory_mib: u64::from(vcpus) * 1024,
            disk_gib: 10_000,
            gpus: 0,
        },
        settings: HostSettings {
            vcpu_percent: 100,
            keep_memory_mib: 0,
            ..HostSettings::default()
        },
        driver: String::new(),
        driver_reason: String::new(),
        address: None,
        version: String::new(),
        created: at(0),
    });
    batch.insert(&Contact {
        host: id,
        site: SITE,
        hub: None,
        speaks: 1,
        since: at(0),
        heard: at(0),
        held: Held::default(),
        boot_id: String::new(),
        skew_ms: 0,
        free_disk_gib: 100,
        listed: true,
        unknown: Vec::new(),
        holding: None,
    });
    manifest::first(&mut batch, id, SITE);
    write(app, batch).await;
    id
}

/// Asks for a machine.
pub async fn asked(app: &App, number: u128, vcpus: u32, service_level: ServiceLevel) -> VmId {
    let id = VmId(Uuid::from_u128(number));
    let (mut row, mut operation) = machine(Power::On);
    operation.id = OperationId(Uuid::from_u128(100_000 + number));
    operation.object.id = id.0;
    operation.object.name = format!("m{number}");
    let shape = Shape {
        vcpus,
        memory_mib: u64::from(vcpus) * 1024,
        service_level,
        ..row.vm.meant.shape.clone()
    };
    row.vm.id = id;
    row.vm.site = SITE;
    row.vm.name = format!("m{number}").parse().unwrap();
    row.vm.operation = Some(operation.id);
    row.vm.meant.shape = shape;
    row.placing = Some(Placing {
        meant: row.vm.meant.clone(),
        since: at(0),
    });
    let mut batch = Batch::new();
    batch.insert(&operation);
    batch.insert(&row);
    write(app, batch).await;
    id
}

pub async fn row(app: &App, vm: VmId) -> Stored<VmRow> {
    app.get(VmId::NOUN, vm.0).await.unwrap()
}

pub async fn operation(app: &App, vm: VmId) -> Stored<Operation> {
    let id = row(app, vm).await.value.vm.operation.unwrap();
    app.get(OperationId::NOUN, id.0).await.unwrap()
}

pub async fn waits_for(app: &App, vm: VmId) -> String {
    operation(app, vm).await.value.waiting.unwrap().what
}

/// The host says that what is meant is so.
pub async fn is_so(app: &App, vm: VmId, now: Timestamp) {
    let old = row(app, vm).await;
    let open = match old.value.vm.operation {
        Some(_) => Some(operation(app, vm).await),
        None => None,
    };
    let (host, meant) = (old.value.vm.host.unwrap(), &old.value.vm.meant);
    let mut manifests = Manifests::default();
    let seen = MachineSeen {
        id: vm,
        generation: meant.generation,
        part: Part::Run,
        there: true,
        project: old.value.vm.project,
        name: String::new(),
        power: meant.power,
        doing: None,
        progress: 100,
        fault: None,
        addresses: Default::default(),
        saved: None,
        known: true,
        record: None,
    };
    let heard = Heard {
        host,
        entry: manifests.entry(app, host, vm).await.unwrap(),
        seen: &seen,
    };
    let outcome = report(&old.value, open.as_ref().map(|open| &open.value), heard, now);
    let mut batch = Batch::new();
    batch.update(&old, &outcome.row.unwrap());
    if let (Some(open), Some(changed)) = (open, outcome.operation) {
        batch.update(&open, &changed);
    }
    for (host, change) in outcome.manifests {
        manifests.change(app, host, (vm, change)).await.unwrap();
    }
    manifests.issue(app, &mut batch).await.unwrap();
    write(app, batch).await;
}

pub async fn settle(app: &App, now: Timestamp) {
    while run(app, now).await.unwrap() == Left::More {}
}

pub async fn set_state(app: &App, host: HostId, state: HostState) {
    let old: Stored<Host> = app.get(HostId::NOUN, host.0).await.unwrap();
    let mut batch = Batch::new();
    let new = Host {
        state,
        ..old.value.clone()
    };
    batch.update(&old, &new);
    write(app, batch).await;
}

pub async fn promised(app: &App, host: HostId) -> u32 {
    let manifest: Manifest = app.manifest(host).await.unwrap().value;
    manifest.machines.values().map(|entry| entry.takes.vcpus).sum()
}
