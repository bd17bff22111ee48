//! By which address a machine is reached, from what the hub knows of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use renkei_types::acl::Acl;
use renkei_types::dnat::Dnat;
use renkei_types::id::SegmentId;
use renkei_types::network::Protocol;
use renkei_types::vm::Adapter;

/// What the hub knows of a machine's networks.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its adapters.
    pub adapters: &'a [Adapter],
    /// By the adapter's number: the addresses that it uses.
    pub seen: &'a BTreeMap<u8, Vec<IpAddr>>,
    /// The mappings of its project.
    pub dnats: &'a [Dnat],
    /// The rules of its project.
    pub acls: &'a [Acl],
}

/// An address of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// The address.
    pub address: IpAddr,
    /// In which segment.
    pub segment: SegmentId,
}

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To an outside address that leads there.
    Mapped(IpAddr),
    /// To its own address.
    Own(Inner),
}

/// Why there is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWay {
    /// It has no address.
    NoAddress,
    /// An outside address leads there, and no rule lets anything in to that port.
    Closed(Inner),
}

/// The way to a port of a machine.
pub fn way(known: &Known<'_>, port: u16, now: Timestamp) -> Result<Way, NoWay> {
    let own = inner(known);
    let leads = |dnat: &&Dnat, inner: &Inner| {
        (dnat.segment, dnat.destination) == (inner.segment, inner.address) && holds(dnat.expires, now)
    };
    let mapped: Vec<(&Dnat, Inner)> = own
        .iter()
        .flat_map(|inner| {
            known
                .dnats
                .iter()
                .filter(move |dnat| leads(dnat, inner))
                .map(|dnat| (dnat, *inner))
        })
        .collect();
    let open = mapped
        .iter()
        .find(|(_, inner)| is_open(known.acls, (*inner, port), now));
    match (open, mapped.first(), own.first()) {
        (Some((dnat, _)), _, _) => Ok(Way::Mapped(dnat.global_ip)),
        (None, Some((_, inner)), _) => Err(NoWay::Closed(*inner)),
        (None, None, Some(inner)) => Ok(Way::Own(*inner)),
        (None, None, None) => Err(NoWay::NoAddress),
    }
}

/// Its addresses in the order in which they are tried: by adapter, IPv4 first. What it was given counts until it is seen.
fn inner(known: &Known<'_>) -> Vec<Inner> {
    let of = |adapter: &Adapter| {
        let seen = known.seen.get(&adapter.number).filter(|seen| !seen.is_empty());
        let mut addresses = seen.unwrap_or(&adapter.addresses).clone();
        addresses.retain(|address| !is_link_local(*address));
        addresses.sort_by_key(IpAddr::is_ipv6);
        let segment = adapter.segment;
        addresses.into_iter().map(move |address| Inner { address, segment })
    };
    known.adapters.iter().flat_map(of).collect()
}

/// Such an address says nothing without an interface of the one who asks.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn holds(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_none_or(|expires| expires > now)
}

/// Whether a rule lets somebody in; whether it lets in who asks is not known here.
fn is_open(acls: &[Acl], (inner, port): (Inner, u16), now: Timestamp) -> bool {
    acls.iter().any(|acl| {
        acl.segment == inner.segment
            && holds(acl.expires, now)
            && acl.allowed.protocol == Protocol::Tcp
            && acl.allowed.destination.has(inner.address)
            && acl.allowed.destination_ports.has(port)
    })
}

#[cfg(test)]
mod tests {
    use renkei_types::acl::Allowed;
    use renkei_types::id::{AclId, DnatId, ProjectId, SiteId};
    use renkei_types::network::{Mac, Ports};
    use renkei_types::operation::Generation;
    use uuid::Uuid;

    use super::*;

    const NET: SegmentId = SegmentId(Uuid::from_u128(1));
    const OTHER: SegmentId = SegmentId(Uuid::from_u128(2));

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn adapter(number: u8, segment: SegmentId, addresses: &[&str]) -> Adapter {
        Adapter {
            number,
            segment,
            mac: Mac::drawn([0, 0, number]),
            addresses: addresses.iter().map(|text| ip(text)).collect(),
        }
    }

    fn dnat(outside: &str, segment: SegmentId, destination: &str) -> Dnat {
        Dnat {
            id: DnatId(Uuid::nil()),
            project: ProjectId(Uuid::nil()),
            site: SiteId(Uuid::nil()),
            global_ip: ip(outside),
            segment,
            destination: ip(destination),
            note: String::new(),
            expires: None,
            generation: Generation(1),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    fn acl(segment: SegmentId, to: &str, ports: &str) -> Acl {
        Acl {
            id: AclId(Uuid::nil()),
            segment,
            project: ProjectId(Uuid::nil()),
            allowed: Allowed {
                protocol: Protocol::Tcp,
                source: "192.0.2.0/24".parse().unwrap(),
                source_ports: Ports::ANY,
                destination: to.parse().unwrap(),
                destination_ports: ports.parse().unwrap(),
            },
            note: String::new(),
            expires: None,
            generation: Generation(1),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    struct Trial {
        adapters: Vec<Adapter>,
        seen: BTreeMap<u8, Vec<IpAddr>>,
        dnats: Vec<Dnat>,
        acls: Vec<Acl>,
    }

    impl Trial {
        fn of(adapters: Vec<Adapter>) -> Self {
            Self {
                adapters,
                seen: BTreeMap::new(),
                dnats: vec![],
                acls: vec![],
            }
        }

        fn way(&self) -> Result<Way, NoWay> {
            let known = Known {
                adapters: &self.adapters,
                seen: &self.seen,
                dnats: &self.dnats,
                acls: &self.acls,
            };
            way(&known, 22, Timestamp::UNIX_EPOCH)
        }
    }

    fn own(text: &str, segment: SegmentId) -> Result<Way, NoWay> {
        let address = ip(text);
        Ok(Way::Own(Inner { address, segment }))
    }

    #[test]
    fn without_a_mapping_it_is_the_first_address_that_it_uses() {
        let mut trial = Trial::of(vec![
            adapter(1, NET, &["fd00::2", "10.15.0.2"]),
            adapter(2, OTHER, &["10.16.0.2"]),
        ]);
        assert_eq!(
            trial.way(),
            own("10.15.0.2", NET),
            "what it was given counts until it is seen"
        );
        trial.seen.insert(1, vec![ip("fe80::1"), ip("fd00::9")]);
        assert_eq!(trial.way(), own("fd00::9", NET));
        trial.dnats = vec![dnat("203.0.113.7", NET, "10.15.0.2")];
        assert_eq!(
            trial.way(),
            own("fd00::9", NET),
            "it does not use what the mapping leads to"
        );
    }

    #[test]
    fn an_outside_address_comes_first_if_a_rule_lets_in() {
        let mut trial = Trial::of(vec![adapter(1, NET, &["10.15.0.2"])]);
        trial.dnats = vec![
            dnat("203.0.113.6", OTHER, "10.15.0.2"),
            dnat("203.0.113.7", NET, "10.15.0.2"),
        ];
        let closed = Err(NoWay::Closed(Inner {
            address: ip("10.15.0.2"),
            segment: NET,
        }));
        assert_eq!(trial.way(), closed);
        for wrong in [
            acl(OTHER, "10.15.0.2", "22"),
            acl(NET, "10.15.0.3", "22"),
            acl(NET, "10.15.0.2", "80"),
        ] {
            trial.acls = vec![wrong];
            assert_eq!(trial.way(), closed);
        }
        trial.acls = vec![acl(NET, "10.15.0.0/24", "20-30")];
        assert_eq!(trial.way(), Ok(Way::Mapped(ip("203.0.113.7"))));
        trial.acls[0].expires = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(trial.way(), closed, "what has expired lets nobody in");
        trial.dnats[1].expires = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(trial.way(), own("10.15.0.2", NET));
    }

    #[test]
    fn a_machine_may_have_no_address() {
        assert_eq!(Trial::of(vec![]).way(), Err(NoWay::NoAddress));
        assert_eq!(Trial::of(vec![adapter(1, NET, &[])]).way(), Err(NoWay::NoAddress));
    }
}
