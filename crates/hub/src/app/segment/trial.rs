//! What the tests of networks stand on: a project that may use a site, and a host that says what it is told.

use renkei_store::Batch;
use renkei_store::noun::manifest::Manifest;
use renkei_types::acl::{Allowed, NewAcl};
use renkei_types::dnat::NewDnat;
use renkei_types::global_ip::{GlobalIp, NewGlobalIp};
use renkei_types::id::{HostId, ProjectId, SegmentId, SiteId, UserId};
use renkei_types::network::{Ports, Protocol};
use renkei_types::operation::Operation;
use renkei_types::quota::Amounts;
use renkei_types::segment::{NewSegment, Segment};
use renkei_types::site::Site;
use uuid::Uuid;

use crate::app::quota::Share;
use crate::app::trial::{Trial, done};
use crate::app::{Asked, manifest};

/// `ann` owns project `Lab`, which may use site `Kashiwa`.
pub struct Net {
    pub trial: Trial,
    pub ann: UserId,
    pub project: ProjectId,
    pub site: SiteId,
}

impl Net {
    pub async fn new() -> Self {
        let trial = Trial::new().await;
        let ann = trial.user("ann").await;
        let project = trial.project("Lab", ann).await;
        let site = trial.site("Kashiwa", &[]).await;
        let net = Self {
            trial,
            ann,
            project,
            site,
        };
        net.allow(project, site).await;
        net
    }

    /// Lets a project use four networks and four outside addresses of a site.
    pub async fn allow(&self, project: ProjectId, site: SiteId) {
        let limit = Amounts {
            segments: 4,
            global_ips: 4,
            ..Amounts::default()
        };
        let admin = self.trial.by(self.trial.admin).await;
        done(self.trial.app.set_quota(&admin, Share { project, site }, limit).await);
    }

    pub async fn asked(&self) -> Asked {
        self.trial.by(self.ann).await
    }

    pub async fn segment(&self, name: &str) -> Segment {
        let made = self
            .trial
            .app
            .create_segment(&self.asked().await, self.project, new(name))
            .await;
        done(made).value
    }

    /// As it is now.
    pub async fn now(&self, id: SegmentId) -> Option<Segment> {
        let row = self.trial.app.row::<Segment>(id.0).await.unwrap();
        row.map(|row| row.value)
    }

    /// A host comes, and is the gateway of the site.
    pub async fn gateway(&self) -> HostId {
        let host = HostId(Uuid::now_v7());
        let site = self.trial.app.get::<Site>("site", self.site.0).await.unwrap();
        let mut batch = Batch::new();
        manifest::first(&mut batch, host, self.site);
        let with = Site {
            gateway: Some(host),
            ..site.value.clone()
        };
        batch.update(&site, &with);
        self.trial.app.store.state.commit(batch).await.unwrap();
        host
    }

    pub async fn manifest(&self, host: HostId) -> Manifest {
        self.trial.app.manifest(host).await.unwrap().value
    }

    /// The host has done all that its manifest says.
    pub async fn obeys(&self, host: HostId) {
        let segments = self.manifest(host).await.segments;
        let now = jiff::Timestamp::now();
        self.trial.app.heard_segments(host, &segments, now).await.unwrap();
    }

    /// The operations of an object, in the order of the generations that they wait for.
    pub async fn operations(&self, object: Uuid) -> Vec<Operation> {
        let mut found = self.trial.app.history_of(&self.asked().await, object).await.unwrap();
        found.sort_by_key(|operation| operation.generation);
        found
    }

    pub async fn address(&self, address: &str) -> GlobalIp {
        self.address_at(self.site, address).await
    }

    pub async fn address_at(&self, site: SiteId, address: &str) -> GlobalIp {
        let admin = self.trial.by(self.trial.admin).await;
        let new = NewGlobalIp {
            address: address.parse().unwrap(),
        };
        done(self.trial.app.add_global_ip(&admin, site, new).await).value
    }
}

pub fn new(name: &str) -> NewSegment {
    NewSegment {
        name: name.parse().unwrap(),
        sites: Vec::new(),
        default: false,
        v4: None,
        v6: None,
        mtu: None,
        dns: Vec::new(),
        ntp: Vec::new(),
        strict: false,
    }
}

pub fn rule(source: &str, destination: &str) -> NewAcl {
    NewAcl {
        allowed: Allowed {
            protocol: Protocol::Tcp,
            source: source.parse().unwrap(),
            source_ports: Ports::ANY,
            destination: destination.parse().unwrap(),
            destination_ports: "443".parse().unwrap(),
        },
        note: String::new(),
        expires: None,
    }
}

pub fn mapping(global_ip: &str, segment: SegmentId, destination: &str) -> NewDnat {
    NewDnat {
        global_ip: global_ip.parse().unwrap(),
        segment,
        destination: destination.parse().unwrap(),
        note: String::new(),
        expires: None,
    }
}
