use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::*;
use crate::id::{AclId, ProjectId};
use crate::operation::Generation;
use crate::reach::{Packet, Place};

const MINE: SegmentId = SegmentId(Uuid::from_u128(11));
const BESIDE: SegmentId = SegmentId(Uuid::from_u128(12));
const THEIRS: SegmentId = SegmentId(Uuid::from_u128(21));

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn segment(id: SegmentId, project: u128, (v4, v6): (&str, &str)) -> SegmentIntent {
    SegmentIntent {
        id,
        generation: Generation(1),
        tombstone: false,
        project: ProjectId(Uuid::from_u128(project)),
        vni: 1,
        v4: v4.parse().unwrap(),
        v6: v6.parse().ok(),
        mtu: 1450,
        dns: Vec::new(),
        ntp: Vec::new(),
        strict: false,
        acls: BTreeMap::new(),
        dnats: BTreeMap::new(),
    }
}

/// Two segments of one project and one of another, which has the same addresses; machine 9 of each has an outside address.
fn site(rules: &[(SegmentId, Allowed)]) -> BTreeMap<SegmentId, SegmentIntent> {
    let all = [
        segment(MINE, 1, ("10.15.0.0/24", "2001:db8:15:1::/64")),
        segment(BESIDE, 1, ("10.16.0.0/24", "2001:db8:15:2::/64")),
        segment(THEIRS, 2, ("10.15.0.0/24", "2001:db8:15:3::/64")),
    ];
    let mut site = BTreeMap::from(all.map(|segment| (segment.id, segment)));
    for (number, (id, outside, inside)) in [
        (MINE, "192.0.2.9", "10.15.0.9"),
        (BESIDE, "192.0.2.10", "10.16.0.9"),
        (THEIRS, "192.0.2.11", "10.15.0.9"),
    ]
    .into_iter()
    .enumerate()
    {
        let dnats = &mut site.get_mut(&id).unwrap().dnats;
        dnats.insert(
            DnatId(Uuid::from_u128(number as u128)),
            (address(outside), address(inside)),
        );
    }
    for (number, (id, rule)) in rules.iter().enumerate() {
        let acls = &mut site.get_mut(id).unwrap().acls;
        acls.insert(AclId(Uuid::from_u128(number as u128)), *rule);
    }
    site
}

fn own() -> BTreeMap<ProjectId, IpAddr> {
    let own = |number: u128, is| (ProjectId(Uuid::from_u128(number)), address(is));
    [own(1, "192.0.2.241"), own(2, "192.0.2.242")].into()
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Icmp])
}

fn rule() -> impl Strategy<Value = (SegmentId, Allowed)> {
    let sources = |all: &'static [&'static str]| select(all).prop_map(|text| text.parse::<Range>().unwrap());
    let v4 = sources(&[
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.15.0.0/24",
        "10.16.0.8/30",
        "192.0.2.240/28",
        "198.51.100.0/24",
    ]);
    let v6 = sources(&["::/0", "2001:db8:15::/48", "2001:db8:15:2::/64", "2001:db8:9::9"]);
    let into = select(vec![
        (MINE, "10.15.0.9/32", "2001:db8:15:1::9/128"),
        (MINE, "10.15.0.8/29", "2001:db8:15:1::/64"),
        (BESIDE, "10.16.0.0/24", "2001:db8:15:2::/120"),
    ]);
    let ports = || select(vec!["any", "22", "20-30", "1000-2000"]).prop_map(|text| text.parse::<Ports>().unwrap());
    (v4, v6, into, (ports(), ports()), (protocol(), any::<bool>())).prop_map(
        |(v4, v6, (id, to_v4, to_v6), (source_ports, destination_ports), (protocol, is_v4))| {
            let (source, to) = if is_v4 { (v4, to_v4) } else { (v6, to_v6) };
            let rule = Allowed {
                protocol,
                source,
                source_ports,
                destination: to.parse().unwrap(),
                destination_ports,
            };
            (id, rule)
        },
    )
}

fn packet() -> impl Strategy<Value = (Place, Packet)> {
    let from = select(vec![
        (Place::Segment(MINE), "10.15.0.8", "2001:db8:15:1::8"),
        (Place::Segment(MINE), "10.15.0.9", "2001:db8:15:1::9"),
        (Place::Segment(BESIDE), "10.16.0.9", "2001:db8:15:2::9"),
        (Place::Segment(BESIDE), "10.16.0.77", "2001:db8:15:2::77"),
        (Place::Segment(THEIRS), "10.15.0.8", "2001:db8:15:3::8"),
        (Place::Outside, "198.51.100.7", "2001:db8:9::9"),
        (Place::Outside, "192.0.2.250", "2001:db8:9::10"),
    ]);
    let to_v4 = select(vec![
        "10.15.0.9",
        "10.16.0.9",
        "192.0.2.9",
        "192.0.2.10",
        "192.0.2.11",
        "198.51.100.1",
    ]);
    let to_v6 = select(vec!["2001:db8:15:1::9", "2001:db8:15:2::9", "2001:db8:77::1"]);
    let ports = (select(vec![1500_u16, 40_000, 25]), select(vec![22_u16, 25, 80, 1500]));
    (from, to_v4, to_v6, ports, (protocol(), any::<bool>())).prop_map(
        |((place, v4, v6), to_v4, to_v6, (source_port, destination_port), (protocol, is_v4))| {
            let (source, destination) = if is_v4 { (v4, to_v4) } else { (v6, to_v6) };
            let port = |port: u16| if protocol == Protocol::Icmp { 0 } else { port };
            let packet = Packet {
                protocol,
                source: address(source),
                source_port: port(source_port),
                destination: address(destination),
                destination_port: port(destination_port),
            };
            (place, packet)
        },
    )
}

/// Whether a way is that of a packet, which comes from `source` as its machine sees it.
fn fits(way: &Way, packet: &Packet, source: IpAddr) -> bool {
    let called = match way.through {
        Some(through) => through == packet.destination,
        None => way.to.has(packet.destination),
    };
    way.protocol.is_none_or(|protocol| protocol == packet.protocol)
        && way.from.has(source)
        && way.from_ports.has(packet.source_port)
        && way.ports.has(packet.destination_port)
        && called
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// What the list of an address says is what the model says of each packet.
    #[test]
    fn the_list_and_the_model_agree(rules in vec(rule(), 0..6), (place, packet) in packet()) {
        let (segments, own) = (site(&rules), own());
        let networks = Networks::new(&segments, "2001:db8:15::/48".parse().ok(), &own);
        let arrival = networks.reach(place, packet);
        // Others' machines come from their project's address.
        let source = match place {
            Place::Segment(THEIRS) if packet.source.is_ipv4() => address("192.0.2.242"),
            _ => packet.source,
        };
        for me in ["10.15.0.9", "2001:db8:15:1::9"].map(|text| (MINE, address(text))) {
            let comes = arrival.is_ok_and(|arrival| {
                let to_me = (arrival.at, arrival.packet.destination) == (Place::Segment(MINE), me.1);
                // Neighbours by an outside address: they are told of as neighbours.
                to_me && (arrival.by != Open::SameSegment || arrival.mapping.is_none())
            });
            let neighbour = place == Place::Segment(MINE) && packet.destination != me.1;
            let ways = networks.ways(me);
            let listed = ways.iter().any(|way| way.direction == Direction::In && fits(way, &packet, source));
            prop_assert_eq!(listed && !neighbour, comes, "{:?} {:?} {:?}", packet, arrival, ways);
        }
        if let Place::Segment(id) = place && id != THEIRS {
            let ways = networks.ways((id, packet.source));
            let out = |way: &&Way| way.direction == Direction::Out && fits(way, &packet, packet.source);
            let listed: Vec<Open> = ways.iter().filter(out).map(|way| way.by).collect();
            match arrival {
                Ok(arrival) if arrival.by == Open::SameSegment && arrival.mapping.is_some() => {}
                Ok(arrival) if arrival.at == Place::Segment(THEIRS) => prop_assert!(listed.contains(&Open::Outgoing)),
                Ok(arrival) => prop_assert!(listed.contains(&arrival.by), "{:?} {:?}", arrival, listed),
                Err(_) => prop_assert!(!listed.iter().any(|by| *by != Open::Outgoing), "{:?}", listed),
            }
        }
    }
}

fn ssh(source: &str) -> Allowed {
    Allowed {
        protocol: Protocol::Tcp,
        source: source.parse().unwrap(),
        source_ports: Ports::ANY,
        destination: "10.15.0.9".parse().unwrap(),
        destination_ports: "22".parse().unwrap(),
    }
}

fn incoming(rules: &[Allowed]) -> Vec<Way> {
    let rules: Vec<_> = rules.iter().map(|rule| (MINE, *rule)).collect();
    let (segments, own) = (site(&rules), own());
    let networks = Networks::new(&segments, None, &own);
    let mut ways = networks.ways((MINE, address("10.15.0.9")));
    ways.retain(|way| way.direction == Direction::In);
    ways
}

fn sources(ways: &[Way]) -> Vec<String> {
    ways.iter().map(|way| way.from.to_string()).collect()
}

#[test]
fn only_what_becomes_open_or_closed_differs() {
    let (wide, narrow) = (incoming(&[ssh("0.0.0.0/0")]), incoming(&[ssh("198.51.100.0/24")]));
    let both = incoming(&[ssh("198.51.100.0/24"), ssh("0.0.0.0/0")]);
    let told = |before: &[Way], after: &[Way]| {
        let (opens, closes) = differ(before, after);
        (sources(&opens), sources(&closes))
    };
    let none: Vec<String> = Vec::new();
    // By its outside address, and from the project's other segment.
    let all = ["0.0.0.0/0", "10.16.0.0/24"].map(str::to_owned).to_vec();
    assert_eq!(told(&incoming(&[]), &wide), (all.clone(), none.clone()));
    assert_eq!(told(&both, &wide), (none.clone(), none), "another rule has it too");
    assert_eq!(told(&wide, &narrow), (vec!["198.51.100.0/24".to_owned()], all.clone()));
    assert_eq!(told(&narrow, &wide), (all, vec![]));
}

#[test]
fn one_packet_is_answered_by_the_ways_that_let_it_in() {
    let ways = incoming(&[ssh("198.51.100.0/24")]);
    let open = |from: &str, protocol, port| {
        let from = address(from);
        ways.iter().filter(|way| way.lets_in(from, protocol, port)).count()
    };
    let tcp = Some(Protocol::Tcp);
    assert_eq!(open("198.51.100.7", tcp, Some(22)), 1);
    assert_eq!(open("198.51.100.7", None, None), 1);
    assert_eq!(open("198.51.100.7", tcp, Some(23)), 0);
    assert_eq!(open("198.51.100.7", Some(Protocol::Udp), Some(22)), 0);
    assert_eq!(open("192.0.2.1", tcp, Some(22)), 0);
    assert_eq!(open("10.15.0.8", Some(Protocol::Icmp), None), 1, "a neighbour");
}

#[test]
fn nobody_has_a_gateways_address_or_one_from_elsewhere() {
    let (segments, own) = (site(&[]), own());
    let networks = Networks::new(&segments, None, &own);
    for text in ["10.15.0.1", "10.16.0.9", "2001:db8:15:1::1"] {
        assert_eq!(networks.ways((MINE, address(text))), []);
    }
}
