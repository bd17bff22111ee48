//! Things in project `lab`, as rows: what the dialect shows does not depend on how they came to be.

use std::net::IpAddr;

use jiff::Timestamp;
use renkei_hub::app::App;
use renkei_store::Batch;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::vm::VmRow;
use renkei_types::acl::{Acl, Allowed};
use renkei_types::agent::Held;
use renkei_types::dnat::Dnat;
use renkei_types::global_ip::GlobalIp;
use renkei_types::host::{Capacity, Host, HostSettings, HostState};
use renkei_types::id::{AclId, DnatId, GlobalIpId, HostId, SegmentId, TemplateId, VmId};
use renkei_types::network::{Mac, Ports, Protocol};
use renkei_types::operation::Generation;
use renkei_types::quota::Amounts;
use renkei_types::segment::Segment;
use renkei_types::template::{Template, TemplateFacts};
use renkei_types::vm::{Adapter, Disk, Meant, Pack, PackKind, Power, Seen, ServiceLevel, Shape, Source, Stop, Vm};
use uuid::Uuid;

use crate::hub::Running;
use crate::world::World;

/// The template whose id public notebooks name.
pub const CATALOG: Uuid = Uuid::from_u128(0x32da6d82_bdca_405e_9209_62044bd92923);

/// See the module. Machine `test-1` runs; two segments, the default one not the first by name; two outside addresses, of which
/// one leads to the machine.
pub struct Lab {
    pub world: World,
    pub vm: VmId,
    pub segment: SegmentId,
    pub acl: AclId,
    pub acl_v6: AclId,
    pub dnat: DnatId,
}

impl Lab {
    pub async fn new(running: Running) -> Self {
        let lab = Self {
            world: World::new(running).await,
            vm: VmId(Uuid::now_v7()),
            segment: SegmentId(Uuid::now_v7()),
            acl: AclId(Uuid::now_v7()),
            acl_v6: AclId(Uuid::now_v7()),
            dnat: DnatId(Uuid::now_v7()),
        };
        let mut batch = Batch::new();
        batch.insert(&Segment {
            id: lab.segment,
            ..network(&lab.world, "zone")
        });
        batch.insert(&Segment {
            default: false,
            vni: 584,
            ..network(&lab.world, "annex")
        });
        batch.insert(&VmRow {
            vm: lab.machine(),
            user_data: None,
            before: None,
            placing: None,
            pinned_by: Vec::new(),
        });
        batch.insert(&lab.rule(lab.acl, "192.0.2.0/24", "10.15.0.4/32"));
        batch.insert(&lab.rule(lab.acl_v6, "2001:db8::/64", "2001:db8:1::4/128"));
        for address in ["203.0.113.10", "203.0.113.11"] {
            batch.insert(&lab.outside(address));
        }
        batch.insert(&lab.mapping());
        lab.world.store().state.commit(batch).await.unwrap();
        allow(&lab.world, 4).await;
        host(&lab.world).await;
        seed_template(&lab.world.running.hub.app).await;
        lab
    }

    /// A path with its parameters filled in.
    pub fn path(&self, template: &str) -> String {
        template
            .replace("{project}", &self.world.project.to_string())
            .replace("{task}", &self.world.operation.to_string())
            .replace("{vm}", &self.vm.to_string())
            .replace("{segment}", &self.segment.to_string())
            .replace("{acl}", &self.acl.to_string())
            .replace("{acl_v6}", &self.acl_v6.to_string())
            .replace("{dnat}", &self.dnat.to_string())
    }

    fn machine(&self) -> Vm {
        let shape = Shape {
            pack: Some(Pack {
                kind: PackKind::Cpu,
                number: 3,
            }),
            vcpus: 3,
            memory_mib: 4638,
            gpus: 0,
            disks: vec![Disk { number: 1, gib: 40 }],
            service_level: ServiceLevel::Spot,
        };
        let adapter = Adapter {
            number: 1,
            segment: self.segment,
            mac: Mac::drawn([1, 2, 3]),
            addresses: vec![address("10.15.0.4")],
        };
        Vm {
            id: self.vm,
            project: self.world.project,
            site: self.world.site,
            name: "test-1".parse().unwrap(),
            host: None,
            leaving: None,
            source: Source::Template(TemplateId(CATALOG)),
            os_type: "Linux".to_owned(),
            login_username: "mdxuser".to_owned(),
            key: String::new(),
            storage_network: "portgroup".to_owned(),
            meant: Meant {
                generation: Generation(1),
                power: Power::On,
                stop: Stop::Shutdown,
                reboots: 0,
                resets: 0,
                shape,
                adapters: vec![adapter],
                save: None,
                tombstone: false,
            },
            seen: Seen {
                generation: Generation(1),
                power: Some(Power::On),
                addresses: [(1, vec![address("10.15.0.4")])].into(),
                ..Seen::default()
            },
            operation: None,
            made: true,
            ran: true,
            deallocated: false,
            lost: false,
            started: None,
            by: None,
            created: Timestamp::now(),
            freeze: None,
        }
    }

    fn rule(&self, id: AclId, source: &str, destination: &str) -> Acl {
        Acl {
            id,
            segment: self.segment,
            project: self.world.project,
            allowed: Allowed {
                protocol: Protocol::Tcp,
                source: source.parse().unwrap(),
                source_ports: Ports::ANY,
                destination: destination.parse().unwrap(),
                destination_ports: "22".parse().unwrap(),
            },
            note: "for the workshop".to_owned(),
            expires: None,
            generation: Generation(1),
            created: Timestamp::now(),
        }
    }

    fn outside(&self, text: &str) -> GlobalIp {
        GlobalIp {
            id: GlobalIpId(Uuid::now_v7()),
            site: self.world.site,
            address: address(text),
            project: Some(self.world.project),
            created: Timestamp::now(),
        }
    }

    fn mapping(&self) -> Dnat {
        Dnat {
            id: self.dnat,
            project: self.world.project,
            site: self.world.site,
            global_ip: address("203.0.113.10"),
            segment: self.segment,
            destination: address("10.15.0.4"),
            note: String::new(),
            expires: None,
            generation: Generation(1),
            created: Timestamp::now(),
        }
    }
}

/// Lets `lab` have so many machines, and enough of everything for them.
pub async fn allow(world: &World, vms: u32) {
    let app = &world.running.hub.app;
    let quotas = app
        .every::<QuotaRow>("project", &world.project.to_string())
        .await
        .unwrap();
    let limit = Amounts {
        vms,
        vcpus: 500,
        memory_mib: 1 << 20,
        disk_gib: 10_000,
        global_ips: 2,
        segments: 5,
    };
    let mut batch = Batch::new();
    batch.update(
        &quotas[0],
        &QuotaRow {
            limit,
            ..quotas[0].value.clone()
        },
    );
    app.store.state.commit(batch).await.unwrap();
}

/// A host at `kashiwa` that is connected and has listed what it has.
pub async fn host(world: &World) -> HostId {
    let (id, now) = (HostId(Uuid::now_v7()), Timestamp::now());
    let mut batch = Batch::new();
    batch.insert(&Host {
        id,
        site: world.site,
        name: "h1".parse().unwrap(),
        state: HostState::Ready,
        capacity: Capacity {
            vcpus: 64,
            memory_mib: 1 << 20,
            disk_gib: 10_000,
            gpus: 0,
        },
        settings: HostSettings::default(),
        driver: "test".to_owned(),
        driver_reason: String::new(),
        address: None,
        version: String::new(),
        created: now,
    });
    batch.insert(&Contact {
        host: id,
        site: world.site,
        hub: Some(Uuid::now_v7()),
        speaks: 1,
        since: now,
        heard: now,
        held: Held::default(),
        boot_id: "boot".to_owned(),
        skew_ms: 0,
        free_disk_gib: 10_000,
        listed: true,
        unknown: Vec::new(),
        holding: None,
    });
    renkei_hub::app::manifest::first(&mut batch, id, world.site);
    world.store().state.commit(batch).await.unwrap();
    id
}

/// The template that public notebooks name, if the hub has not made it itself.
pub async fn seed_template(app: &App) {
    if app.get::<Template>(TemplateId::NOUN, CATALOG).await.is_err() {
        let mut batch = Batch::new();
        batch.insert(&template());
        app.store.state.commit(batch).await.unwrap();
    }
}

/// The default network of `lab`, at `kashiwa`.
pub fn network(world: &World, name: &str) -> Segment {
    Segment {
        id: SegmentId(Uuid::now_v7()),
        project: world.project,
        sites: vec![world.site],
        name: name.parse().unwrap(),
        default: true,
        vni: 583,
        v4: "10.15.0.0/21".parse().unwrap(),
        v6: Some("2001:db8:1::/64".parse().unwrap()),
        mtu: 1450,
        dns: Vec::new(),
        ntp: Vec::new(),
        strict: false,
        generation: Generation(1),
        seen: Generation(1),
        tombstone: false,
        created: Timestamp::now(),
    }
}

fn template() -> Template {
    Template {
        id: TemplateId(CATALOG),
        name: "00_Ubuntu-2204-server (Recommended)".parse().unwrap(),
        template_name: "UT-20250205-1029-ubuntu-2204-server".parse().unwrap(),
        project: None,
        image: None,
        facts: TemplateFacts {
            login_username: "mdxuser".to_owned(),
            min_disk_gib: 40,
            ..TemplateFacts::default()
        },
        created: Timestamp::now(),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}
