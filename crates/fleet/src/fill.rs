//! Rows straight into the database: ten thousand machines by way of hosts would take longer than what is to be measured. They are
//! what the hub itself would have written for machines that run, without their operations, events and hosts: nothing that is
//! measured over them reads those.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use jiff::Timestamp;
use renkei_store::noun::vm::VmRow;
use renkei_store::{Batch, DatabaseUrl, Store};
use renkei_types::id::{HostId, OrganizationId, ProjectId, SegmentId, SiteId, TemplateId, UserId, VmId};
use renkei_types::operation::Generation;
use renkei_types::organization::Organization;
use renkei_types::project::{Project, ProjectType};
use renkei_types::segment::Segment;
use renkei_types::site::Site;
use renkei_types::vm::{Adapter, Disk, Meant, Power, Seen, ServiceLevel, Shape, Source, Stop, Vm};
use serde_json::json;
use uuid::Uuid;

use crate::{Fill, tell};

/// Rows in one batch.
const AT_ONCE: usize = 500;

/// Writes a site, an organization, and projects with a network and machines.
pub async fn run(fill: &Fill) -> Result<()> {
    let url: DatabaseUrl = fill.database.parse()?;
    let store = Store::open(&url).await?;
    let now = Timestamp::now();
    let mut rows = Rows {
        store,
        batch: Batch::new(),
        open: 0,
    };
    let site = SiteId(Uuid::now_v7());
    let organization = OrganizationId(Uuid::now_v7());
    rows.batch.insert(&Site {
        id: site,
        name: "filled".parse()?,
        description: String::new(),
        operators: BTreeSet::new(),
        gateway: None,
        recovery: None,
        created: now,
    });
    rows.batch.insert(&Organization {
        id: organization,
        name: "filled".parse()?,
        description: String::new(),
        created: now,
        freeze: None,
    });
    for number in 0..fill.projects {
        let project = project((number, organization, site), now)?;
        let segment = segment((number, project.id, site), now)?;
        rows.batch.insert(&project);
        rows.batch.insert(&segment);
        // Machine k is in project k modulo their number.
        for of in (number..fill.machines).step_by(fill.projects) {
            rows.batch.insert(&machine((of, &segment, site), now)?);
            rows.full().await?;
        }
        rows.full().await?;
    }
    rows.commit().await?;
    tell(&json!({"projects": fill.projects, "machines": fill.machines}));
    Ok(())
}

/// Batches of bounded size.
struct Rows {
    store: Store,
    batch: Batch,
    open: usize,
}

impl Rows {
    async fn full(&mut self) -> Result<()> {
        self.open += 1;
        if self.open < AT_ONCE {
            return Ok(());
        }
        self.commit().await
    }

    async fn commit(&mut self) -> Result<()> {
        self.open = 0;
        let batch = std::mem::replace(&mut self.batch, Batch::new());
        Ok(self.store.state.commit(batch).await?)
    }
}

fn project((number, organization, site): (usize, OrganizationId, SiteId), now: Timestamp) -> Result<Project> {
    Ok(Project {
        id: ProjectId(Uuid::now_v7()),
        organization,
        name: format!("project-{number:05}").parse()?,
        kind: ProjectType::Shared,
        description: "filled for a measurement".to_owned(),
        contact: "somebody@example.org".to_owned(),
        institution: "An Institute".to_owned(),
        expires: None,
        default_site: Some(site),
        created: now,
        freeze: None,
    })
}

fn segment((number, project, site): (usize, ProjectId, SiteId), now: Timestamp) -> Result<Segment> {
    let generation = Generation(1);
    Ok(Segment {
        id: SegmentId(Uuid::now_v7()),
        project,
        sites: vec![site],
        name: "default".parse()?,
        default: true,
        vni: u32::try_from(number)? + 10_000,
        v4: "10.15.0.0/21".parse()?,
        v6: None,
        mtu: 1450,
        dns: Vec::new(),
        ntp: Vec::new(),
        strict: false,
        generation,
        seen: generation,
        tombstone: false,
        created: now,
    })
}

/// One that runs.
fn machine((number, segment, site): (usize, &Segment, SiteId), now: Timestamp) -> Result<VmRow> {
    let generation = Generation(3);
    let low = u16::try_from(number % 2000)? + 2;
    let address = IpAddr::from(Ipv4Addr::new(10, 15, low.to_be_bytes()[0], low.to_be_bytes()[1]));
    let [high, middle, last, _] = u32::try_from(number)?.to_le_bytes();
    let meant = Meant {
        generation,
        power: Power::On,
        stop: Stop::Shutdown,
        reboots: 1,
        resets: 0,
        shape: Shape {
            pack: None,
            vcpus: 4,
            memory_mib: 8192,
            gpus: 0,
            disks: vec![Disk { number: 1, gib: 40 }],
            service_level: ServiceLevel::Spot,
        },
        adapters: vec![Adapter {
            number: 1,
            segment: segment.id,
            mac: format!("52:54:00:{high:02x}:{middle:02x}:{last:02x}").parse()?,
            addresses: vec![address],
        }],
        save: None,
        tombstone: false,
    };
    let seen = Seen {
        generation,
        power: Some(Power::On),
        addresses: BTreeMap::from([(1, vec![address])]),
        at: Some(now),
        ..Seen::default()
    };
    let vm = Vm {
        id: VmId(Uuid::now_v7()),
        project: segment.project,
        site,
        name: format!("machine-{number:06}").parse()?,
        host: Some(HostId(Uuid::from_u128(number as u128 % 100))),
        leaving: None,
        source: Source::Template(TemplateId(Uuid::now_v7())),
        os_type: "Linux".to_owned(),
        login_username: "mdxuser".to_owned(),
        key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA somebody@example.org"
            .to_owned(),
        storage_network: String::new(),
        meant,
        seen,
        operation: None,
        made: true,
        ran: true,
        deallocated: false,
        lost: false,
        started: Some(now),
        by: Some(UserId(Uuid::now_v7())),
        created: now,
        freeze: None,
    };
    Ok(VmRow {
        vm,
        user_data: None,
        before: None,
        placing: None,
        pinned_by: Vec::new(),
    })
}
