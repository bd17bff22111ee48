use super::*;
use crate::operation::Generation;
use uuid::Uuid;

fn id(number: u128) -> SegmentId {
    SegmentId(Uuid::from_u128(number))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn segment((project, number): (u128, u128), v4: &str, v6: Option<&str>) -> SegmentIntent {
    SegmentIntent {
        id: id(number),
        generation: Generation(1),
        tombstone: false,
        project: ProjectId(Uuid::from_u128(project)),
        vni: 1,
        v4: v4.parse().unwrap(),
        v6: v6.map(|range| range.parse().unwrap()),
        mtu: 1450,
        dns: Vec::new(),
        ntp: Vec::new(),
        strict: false,
        acls: BTreeMap::new(),
        dnats: BTreeMap::new(),
    }
}

/// Two tenants with equal ranges; the second one's machine 10.15.0.9 is 192.0.2.9 outside, and open to ssh from 192.0.2.240/28.
fn site() -> BTreeMap<SegmentId, SegmentIntent> {
    let mine = segment((1, 11), "10.15.0.0/24", Some("2001:db8:15:1::/64"));
    let beside = segment((1, 12), "10.16.0.0/24", Some("fd00::/64"));
    let mut theirs = segment((2, 21), "10.15.0.0/24", Some("2001:db8:15:3::/64"));
    let mapping = (address("192.0.2.9"), address("10.15.0.9"));
    theirs.dnats.insert(DnatId(Uuid::from_u128(1)), mapping);
    let rule = Allowed {
        protocol: Protocol::Tcp,
        source: "192.0.2.240/28".parse().unwrap(),
        source_ports: Default::default(),
        destination: "10.15.0.9".parse().unwrap(),
        destination_ports: "22".parse().unwrap(),
    };
    theirs.acls.insert(AclId(Uuid::from_u128(1)), rule);
    let all = [mine, beside, theirs];
    all.map(|segment| (segment.id, segment)).into()
}

fn own() -> BTreeMap<ProjectId, IpAddr> {
    [1, 2]
        .map(|number| {
            (
                ProjectId(Uuid::from_u128(number)),
                address(&format!("192.0.2.24{number}")),
            )
        })
        .into()
}

fn ssh(source: &str, destination: &str) -> Packet {
    Packet {
        protocol: Protocol::Tcp,
        source: address(source),
        source_port: 40_000,
        destination: address(destination),
        destination_port: 22,
    }
}

/// What becomes of ssh from a place.
fn reach(from: Place, source: &str, destination: &str) -> Result<(Place, String, String), Closed> {
    let (segments, own) = (site(), own());
    let networks = Networks::new(&segments, "2001:db8:15::/48".parse().ok(), &own);
    let arrival = networks.reach(from, ssh(source, destination))?;
    let packet = arrival.packet;
    Ok((arrival.at, packet.source.to_string(), packet.destination.to_string()))
}

fn so(place: Place, source: &str, destination: &str) -> Result<(Place, String, String), Closed> {
    Ok((place, source.to_owned(), destination.to_owned()))
}

#[test]
fn tenants_with_equal_addresses_meet_by_outside_ones_only() {
    let mine = Place::Segment(id(11));
    let theirs = Place::Segment(id(21));
    assert_eq!(
        reach(mine, "10.15.0.8", "10.15.0.9"),
        so(mine, "10.15.0.8", "10.15.0.9")
    );
    assert_eq!(
        reach(mine, "10.15.0.8", "192.0.2.9"),
        so(theirs, "192.0.2.241", "10.15.0.9")
    );
    assert_eq!(
        reach(theirs, "10.15.0.8", "192.0.2.9"),
        so(theirs, "10.15.0.1", "10.15.0.9")
    );
    assert_eq!(
        reach(Place::Outside, "198.51.100.1", "192.0.2.9"),
        Err(Closed::NoRule(id(21)))
    );
    assert_eq!(
        reach(Place::Outside, "192.0.2.250", "192.0.2.9"),
        so(theirs, "192.0.2.250", "10.15.0.9")
    );
    assert_eq!(
        reach(Place::Outside, "192.0.2.250", "10.15.0.9"),
        Err(Closed::NoAddress)
    );
    assert_eq!(reach(Place::Outside, "10.15.0.7", "192.0.2.9"), Err(Closed::Source));
}

#[test]
fn segments_of_a_project_are_outside_for_one_another() {
    let mine = Place::Segment(id(11));
    assert_eq!(reach(mine, "10.15.0.8", "10.16.0.8"), Err(Closed::NoRule(id(12))));
    assert_eq!(
        reach(mine, "10.15.0.8", "10.16.0.1"),
        Err(Closed::NoAddress),
        "a gateway's address"
    );
    assert_eq!(reach(mine, "10.16.0.8", "10.15.0.9"), Err(Closed::Source));
    assert_eq!(
        reach(mine, "10.15.0.1", "10.15.0.9"),
        Err(Closed::Source),
        "nobody is the gateway"
    );
}

#[test]
fn out_goes_everything_that_can_come_back() {
    let outside = Place::Outside;
    let mine = Place::Segment(id(11));
    assert_eq!(
        reach(mine, "10.15.0.8", "198.51.100.1"),
        so(outside, "192.0.2.241", "198.51.100.1")
    );
    let v6 = reach(mine, "2001:db8:15:1::8", "2001:db8:9::9");
    assert_eq!(v6, so(outside, "2001:db8:15:1::8", "2001:db8:9::9"));
    let beside = Place::Segment(id(12));
    assert_eq!(reach(beside, "fd00::8", "2001:db8:9::9"), Err(Closed::NoRoute));
    assert_eq!(
        reach(mine, "10.15.0.8", "192.0.2.242"),
        Err(Closed::NoAddress),
        "a gateway's own address"
    );
}

#[test]
fn a_gateway_serves_its_own_segment_only() {
    let (segments, own) = (site(), own());
    let networks = Networks::new(&segments, None, &own);
    let name = |source, destination| Packet {
        protocol: Protocol::Udp,
        destination_port: 53,
        ..ssh(source, destination)
    };
    let asked = networks.reach(Place::Segment(id(11)), name("10.15.0.8", "10.15.0.1"));
    assert_eq!(asked.unwrap().at, Place::Gateway(id(11)));
    let asked = networks.reach(Place::Segment(id(11)), name("10.15.0.8", "10.16.0.1"));
    assert_eq!(asked, Err(Closed::NoAddress));
    let asked = networks.reach(Place::Segment(id(11)), ssh("10.15.0.8", "10.15.0.1"));
    assert_eq!(asked, Err(Closed::NoAddress), "no ssh to gateways");
}

#[test]
fn of_segments_that_overlap_the_first_one_has_the_gateway() {
    let mut segments = site();
    let second = segment((1, 13), "10.15.0.128/25", None);
    let routed_twice = segment((2, 22), "10.17.0.0/24", Some("2001:db8:15:1::/64"));
    for more in [second, routed_twice] {
        segments.insert(more.id, more);
    }
    let own = own();
    let networks = Networks::new(&segments, "2001:db8:15::/48".parse().ok(), &own);
    let gated: Vec<SegmentId> = networks.with_gateway().map(|segment| segment.id).collect();
    assert_eq!(gated, [11, 12, 21, 22].map(id));
    let routed = gated.iter().filter(|id| networks.routed(&segments[*id]).is_some());
    assert_eq!(routed.copied().collect::<Vec<_>>(), [11, 21].map(id));
    let out = networks.reach(Place::Segment(id(13)), ssh("10.15.0.130", "198.51.100.1"));
    assert_eq!(out, Err(Closed::NoRoute));
}
