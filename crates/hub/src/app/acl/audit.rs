//! Rules and mappings that outlive their machine: holes for whoever gets its address next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use renkei_store::noun::vm::VmRow;
use renkei_types::acl::{Acl, AclAudit, Stale, StaleAcl};
use renkei_types::action::Action;
use renkei_types::dnat::Dnat;
use renkei_types::id::{ProjectId, SegmentId};
use renkei_types::lease::Lease;
use renkei_types::network::Range;
use renkei_types::problem::Problem;
use renkei_types::segment::Segment;
use renkei_types::vm::Vm;

use crate::app::{App, Asked};

/// The addresses of each segment that machines have or use.
type Used = BTreeMap<SegmentId, BTreeSet<IpAddr>>;

impl App {
    /// What may no longer be wanted in a project.
    pub async fn audit_acls(&self, asked: &Asked, project: ProjectId) -> Result<AclAudit, Problem> {
        self.project_may(asked, Action::SegmentRead, project).await?;
        let key = project.to_string();
        let mut used = Used::new();
        for lease in self.every::<Lease>("project", &key).await? {
            if lease.value.vm.is_some() {
                used.entry(lease.value.segment).or_default().insert(lease.value.address);
            }
        }
        for row in self.every::<VmRow>("project", &key).await? {
            guests_own(&mut used, &row.value.vm);
        }
        let segments = self.every::<Segment>("project", &key).await?;
        let segments = segments.into_iter().map(|row| (row.value.id, row.value)).collect();
        let acls = self.every::<Acl>("project", &key).await?;
        let dnats = self.every::<Dnat>("project", &key).await?;
        let acls: Vec<Acl> = acls.into_iter().map(|row| row.value).collect();
        let dnats: Vec<Dnat> = dnats.into_iter().map(|row| row.value).collect();
        Ok(audit(&segments, (&acls, &dnats), &used))
    }
}

/// A guest may have given itself other addresses than it was issued.
fn guests_own(used: &mut Used, vm: &Vm) {
    for adapter in &vm.meant.adapters {
        let addresses = vm.seen.addresses.get(&adapter.number).into_iter().flatten();
        used.entry(adapter.segment).or_default().extend(addresses);
    }
}

fn audit(segments: &BTreeMap<SegmentId, Segment>, (acls, dnats): (&[Acl], &[Dnat]), used: &Used) -> AclAudit {
    let is_used = |segment: SegmentId, at: &dyn Fn(&IpAddr) -> bool| {
        used.get(&segment).is_some_and(|addresses| addresses.iter().any(at))
    };
    let stale = |acl: &Acl| {
        let to = acl.allowed.destination;
        if !is_used(acl.segment, &|address| to.has(*address)) {
            return Some(Stale::NoMachine);
        }
        let segment = segments.get(&acl.segment)?;
        let mapped = dnats
            .iter()
            .any(|dnat| dnat.segment == acl.segment && to.has(dnat.destination));
        let inside = to.is_v4() && is_private(&segment.v4);
        (inside && !is_private(&acl.allowed.source) && !mapped).then_some(Stale::NoMapping)
    };
    AclAudit {
        acls: acls
            .iter()
            .filter_map(|acl| {
                let why = stale(acl)?;
                Some(StaleAcl { acl: acl.clone(), why })
            })
            .collect(),
        dnats: dnats
            .iter()
            .filter(|dnat| !is_used(dnat.segment, &|address| *address == dnat.destination))
            .cloned()
            .collect(),
    }
}

/// Whether a range is only within networks of one's own: RFC 1918 and RFC 6598.
fn is_private(range: &Range) -> bool {
    [
        ([10, 0, 0, 0], 8),
        ([172, 16, 0, 0], 12),
        ([192, 168, 0, 0], 16),
        ([100, 64, 0, 0], 10),
    ]
    .into_iter()
    .filter_map(|(first, prefix)| Range::new(IpAddr::from(first), prefix))
    .any(|private| private.has(range.address()) && range.prefix() >= private.prefix())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use renkei_types::acl::Allowed;
    use renkei_types::id::{AclId, DnatId, SiteId};
    use renkei_types::network::{Ports, Protocol};
    use renkei_types::operation::Generation;
    use uuid::Uuid;

    use super::*;

    const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(1));
    const PROJECT: ProjectId = ProjectId(Uuid::from_u128(2));

    fn segment() -> Segment {
        Segment {
            id: SEGMENT,
            project: PROJECT,
            sites: Vec::new(),
            name: "lab".parse().unwrap(),
            default: true,
            vni: 1,
            v4: "10.15.0.0/21".parse().unwrap(),
            v6: None,
            mtu: 1450,
            dns: Vec::new(),
            ntp: Vec::new(),
            strict: false,
            generation: Generation(1),
            seen: Generation(1),
            tombstone: false,
            created: Timestamp::UNIX_EPOCH,
        }
    }

    fn acl(source: &str, destination: &str) -> Acl {
        Acl {
            id: AclId(Uuid::now_v7()),
            segment: SEGMENT,
            project: PROJECT,
            allowed: Allowed {
                protocol: Protocol::Tcp,
                source: source.parse().unwrap(),
                source_ports: Ports::ANY,
                destination: destination.parse().unwrap(),
                destination_ports: Ports::ANY,
            },
            note: String::new(),
            expires: None,
            generation: Generation(1),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    fn dnat(destination: &str) -> Dnat {
        Dnat {
            id: DnatId(Uuid::now_v7()),
            project: PROJECT,
            site: SiteId(Uuid::nil()),
            global_ip: "203.0.113.1".parse().unwrap(),
            segment: SEGMENT,
            destination: destination.parse().unwrap(),
            note: String::new(),
            expires: None,
            generation: Generation(1),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_leads_to_no_machine_is_told_and_what_leads_to_one_is_not() {
        let used = Used::from([(SEGMENT, BTreeSet::from(["10.15.0.2".parse().unwrap()]))]);
        let acls = [
            acl("0.0.0.0/0", "10.15.0.2"),
            acl("10.15.0.0/21", "10.15.0.0/21"),
            acl("0.0.0.0/0", "10.15.0.3"),
        ];
        let dnats = [dnat("10.15.0.2"), dnat("10.15.0.3")];
        let segments = BTreeMap::from([(SEGMENT, segment())]);
        let told = audit(&segments, (&acls, &dnats), &used);
        let stale: Vec<_> = told.acls.iter().map(|stale| (stale.acl.id, stale.why)).collect();
        assert_eq!(stale, [(acls[2].id, Stale::NoMachine)]);
        assert_eq!(told.dnats, [dnats[1].clone()]);
        let told = audit(&segments, (&acls, &[]), &used);
        let stale: Vec<_> = told.acls.iter().map(|stale| (stale.acl.id, stale.why)).collect();
        assert_eq!(stale, [(acls[0].id, Stale::NoMapping), (acls[2].id, Stale::NoMachine)]);
        let told = audit(&segments, (&acls, &dnats), &Used::new());
        assert_eq!((told.acls.len(), told.dnats.len()), (3, 2));
    }

    #[test]
    fn private_is_what_is_wholly_inside_of_a_private_range() {
        for (range, private) in [
            ("10.0.0.0/8", true),
            ("192.168.1.0/24", true),
            ("0.0.0.0/0", false),
            ("172.0.0.0/8", false),
            ("203.0.113.7", false),
        ] {
            assert_eq!(is_private(&range.parse().unwrap()), private, "{range}");
        }
    }
}
