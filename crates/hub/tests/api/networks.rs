//! What `lab` has of networks at `kashiwa`, for those tests that need it: while it is there, the project cannot be deleted.

use jiff::Timestamp;
use renkei_store::Batch;
use renkei_types::acl::{Acl, Allowed};
use renkei_types::dnat::Dnat;
use renkei_types::global_ip::GlobalIp;
use renkei_types::id::{AclId, DnatId, GlobalIpId, LeaseId, ProjectId, SegmentId, SiteId};
use renkei_types::lease::Lease;
use renkei_types::network::{Ports, Protocol};
use renkei_types::operation::Generation;
use renkei_types::segment::Segment;
use uuid::Uuid;

/// The ids.
pub struct Networks {
    /// The default segment.
    pub segment: SegmentId,
    /// `10.15.0.9`, reserved.
    pub lease: LeaseId,
    pub acl: AclId,
    /// `203.0.113.1` leads to `10.15.0.9`.
    pub dnat: DnatId,
    /// `203.0.113.1`.
    mapped: GlobalIpId,
    /// `203.0.113.2`, of `lab`, leads nowhere.
    pub taken: GlobalIpId,
    /// `203.0.113.3`, nobody's.
    pub free: GlobalIpId,
}

impl Networks {
    pub fn new() -> Self {
        Self {
            segment: SegmentId(Uuid::now_v7()),
            lease: LeaseId(Uuid::now_v7()),
            acl: AclId(Uuid::now_v7()),
            dnat: DnatId(Uuid::now_v7()),
            mapped: GlobalIpId(Uuid::now_v7()),
            taken: GlobalIpId(Uuid::now_v7()),
            free: GlobalIpId(Uuid::now_v7()),
        }
    }

    pub fn insert(&self, batch: &mut Batch, (project, site): (ProjectId, SiteId)) {
        let generation = Generation(3);
        let created = Timestamp::now();
        batch.insert(&Segment {
            id: self.segment,
            project,
            sites: vec![site],
            name: "lan".parse().unwrap(),
            default: true,
            vni: 4711,
            v4: "10.15.0.0/21".parse().unwrap(),
            v6: None,
            mtu: 1450,
            dns: Vec::new(),
            ntp: Vec::new(),
            strict: false,
            generation,
            seen: generation,
            tombstone: false,
            created,
        });
        batch.insert(&Lease {
            id: self.lease,
            segment: self.segment,
            project,
            address: "10.15.0.9".parse().unwrap(),
            vm: None,
            reserved: true,
            note: String::new(),
            created,
        });
        batch.insert(&Acl {
            id: self.acl,
            segment: self.segment,
            project,
            allowed: Allowed {
                protocol: Protocol::Tcp,
                source: "0.0.0.0/0".parse().unwrap(),
                source_ports: Ports::ANY,
                destination: "10.15.0.9".parse().unwrap(),
                destination_ports: "443".parse().unwrap(),
            },
            note: String::new(),
            expires: None,
            generation,
            created,
        });
        batch.insert(&Dnat {
            id: self.dnat,
            project,
            site,
            global_ip: "203.0.113.1".parse().unwrap(),
            segment: self.segment,
            destination: "10.15.0.9".parse().unwrap(),
            note: String::new(),
            expires: None,
            generation,
            created,
        });
        let addresses = [
            (self.mapped, "203.0.113.1", Some(project)),
            (self.taken, "203.0.113.2", Some(project)),
            (self.free, "203.0.113.3", None),
        ];
        for (id, address, project) in addresses {
            batch.insert(&GlobalIp {
                id,
                site,
                address: address.parse().unwrap(),
                project,
                created,
            });
        }
    }
}
