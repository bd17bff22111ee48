//! The host's switch in real namespaces, each test with its own. A guest is one end of a pair of virtual Ethernet devices; the other
//! end takes the place of the tap, so that real packets enter where a machine's would.

mod gateway;
mod guest;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;

use renkei_host::network::{Network, NetworkError, Settings};
use renkei_testkit::{Namespace, wait};
use renkei_types::agent::{AdapterIntent, SegmentIntent};
use renkei_types::id::{ProjectId, SegmentId, VmId};
use renkei_types::network::Mac;
use renkei_types::operation::Generation;
use uuid::Uuid;

use guest::Guest;

fn settings(space: &Namespace) -> Settings {
    Settings {
        namespace: space.name().to_owned(),
        uplink: None,
    }
}

fn segment(number: u128) -> SegmentIntent {
    SegmentIntent {
        id: SegmentId(Uuid::from_u128(number)),
        generation: Generation(1),
        tombstone: false,
        project: ProjectId(Uuid::from_u128(1)),
        vni: 7,
        v4: "10.15.0.0/21".parse().unwrap(),
        v6: Some("fd00:15:0:8::/61".parse().unwrap()),
        mtu: 1400,
        dns: Vec::new(),
        ntp: Vec::new(),
        strict: false,
        acls: BTreeMap::new(),
        dnats: BTreeMap::new(),
    }
}

fn adapter(segment: &SegmentIntent, last: u8) -> AdapterIntent {
    AdapterIntent {
        number: 1,
        segment: segment.id,
        mac: Mac::drawn([0, 0, last]),
        addresses: vec![
            address(&format!("10.15.0.{last}")),
            address(&format!("fd00:15:0:8::{last:x}")),
        ],
    }
}

fn vm(number: u8) -> VmId {
    VmId(Uuid::from_u128(number.into()))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn told(segment: &SegmentIntent) -> BTreeMap<SegmentId, SegmentIntent> {
    [(segment.id, segment.clone())].into()
}

/// A switch with one segment and two guests in it, at 10.15.0.10 and 10.15.0.11.
fn two_guests(space: &Namespace) -> (Network, [Guest; 2]) {
    let mut network = Network::open(&settings(space)).unwrap();
    let segment = segment(5);
    assert_eq!(network.segments(&told(&segment)), [(segment.id, Generation(1))].into());
    let guests = [10, 11].map(|last| {
        let adapter = adapter(&segment, last);
        let tap = network.plug(vm(last), &adapter, 0).unwrap();
        let guest = Guest::in_place_of(space, &tap, adapter.mac);
        network.plug(vm(last), &adapter, 0).unwrap();
        guest.take(&format!("10.15.0.{last}/21"));
        guest.take(&format!("fd00:15:0:8::{last:x}/61"));
        guest
    });
    (network, guests)
}

/// What `ip` and `nft` show of a namespace.
fn shown(space: &Namespace) -> String {
    let run = |words: &[&str]| {
        let mut command = space.command(words[0]);
        let output = command.args(&words[1..]).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["ip", "-o", "link"]) + &run(&["nft", "list", "ruleset"])
}

#[test]
fn machines_of_a_segment_reach_one_another_and_what_they_use_is_seen() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    assert!(one.reaches(&two, address("10.15.0.11")));
    assert!(two.reaches(&one, address("fd00:15:0:8::a")));
    let seen = network.seen().unwrap();
    assert_eq!(
        seen[&Mac::drawn([0, 0, 10])],
        [address("10.15.0.10"), address("fd00:15:0:8::a")]
    );
    assert_eq!(
        seen[&Mac::drawn([0, 0, 11])],
        [address("10.15.0.11"), address("fd00:15:0:8::b")]
    );
    network.unplug(vm(10)).unwrap();
    let seen = network.seen().unwrap();
    assert_eq!(seen.keys().collect::<Vec<_>>(), [&Mac::drawn([0, 0, 11])]);
    network.plug(vm(10), &adapter(&segment(5), 10), 0).unwrap();
    assert_eq!(network.seen().unwrap()[&Mac::drawn([0, 0, 10])], Vec::<IpAddr>::new());
}

#[test]
fn addresses_that_are_not_of_the_segment_are_dropped_and_counted() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    assert!(one.reaches(&two, address("10.15.0.11")));
    for (mine, other) in [("192.0.2.1", "192.0.2.2"), ("fd00:77::1", "fd00:77::2")] {
        let prefix = if mine.contains(':') { 64 } else { 24 };
        one.take(&format!("{mine}/{prefix}"));
        two.take(&format!("{other}/{prefix}"));
        let before = network.dropped().unwrap()[&one.mac()].range;
        let sent = one.shout(&two, address(other));
        wait::until("it to be counted", || {
            network.dropped().unwrap()[&one.mac()].range > before
        })
        .unwrap();
        assert!(one.reaches(&two, address("10.15.0.11")));
        assert_eq!(sent.arrived(), 0, "{mine}");
        let seen = &network.seen().unwrap()[&one.mac()];
        assert!(!seen.contains(&address(mine)), "{seen:?}");
    }
}

#[test]
fn frames_from_another_hardware_address_are_dropped_and_counted() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    assert!(one.reaches(&two, address("10.15.0.11")));
    let before = network.dropped().unwrap()[&one.mac()].mac;
    one.pretend(Mac::drawn([9, 9, 9]));
    let sent = one.shout(&two, address("10.15.0.11"));
    wait::until("the frames to be counted", || {
        network.dropped().unwrap()[&one.mac()].mac > before
    })
    .unwrap();
    one.pretend(one.mac());
    assert!(one.reaches(&two, address("10.15.0.11")));
    assert_eq!(sent.arrived(), 0);
}

#[test]
fn nobody_becomes_the_gateway_by_saying_so() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    let gateways = [address("10.15.0.1"), address("fd00:15:0:8::1")];
    one.take("10.15.0.1/21");
    one.take("fd00:15:0:8::1/61");
    for gateway in gateways {
        let before = network.dropped().unwrap()[&one.mac()].gateway;
        // The guest answers for the address, and nobody hears it.
        let sent = two.shout(&one, gateway);
        wait::until("an answer to be dropped", || {
            network.dropped().unwrap()[&one.mac()].gateway > before
        })
        .unwrap();
        assert_eq!(sent.arrived(), 0, "{gateway}");
        assert!(!network.seen().unwrap()[&one.mac()].contains(&gateway));
    }
}

#[test]
fn an_address_that_was_not_issued_is_a_claim_until_it_is() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    let claimed = ["10.15.0.77", "fd00:15:0:8::77"].map(address);
    for (number, claim) in claimed.into_iter().enumerate() {
        let prefix = if claim.is_ipv4() { 21 } else { 61 };
        one.take(&format!("{claim}/{prefix}"));
        let dropped = network.dropped().unwrap()[&one.mac()].claim;
        // It answers for it, and nobody hears that.
        let sent = two.shout(&one, claim);
        wait::until("it to be counted", || {
            network.dropped().unwrap()[&one.mac()].claim > dropped
        })
        .unwrap();
        assert_eq!(sent.arrived(), 0);
        assert_eq!(network.claims().unwrap()[&one.mac()], claimed[..=number]);
        assert!(!network.seen().unwrap()[&one.mac()].contains(&claim));
    }
    let mut issued = adapter(&segment(5), 10);
    issued.addresses.extend(claimed);
    network.plug(vm(10), &issued, 0).unwrap();
    for claim in claimed {
        assert!(two.reaches(&one, claim));
        assert!(network.seen().unwrap()[&one.mac()].contains(&claim));
    }
    assert!(!network.claims().unwrap().contains_key(&one.mac()));
    let strict = SegmentIntent {
        strict: true,
        ..segment(5)
    };
    network.plug(vm(10), &adapter(&segment(5), 10), 0).unwrap();
    assert!(network.claims().unwrap().contains_key(&one.mac()));
    network.segments(&told(&strict));
    assert!(network.claims().unwrap().is_empty());
}

#[test]
fn more_claims_than_are_remembered_are_dropped_as_well() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    let claimed: Vec<IpAddr> = (1..=70).map(|last| IpAddr::from([10, 15, 3, last])).collect();
    for (number, claim) in (1..).zip(&claimed) {
        one.take(&format!("{claim}/21"));
        let sent = two.shout(&one, *claim);
        wait::until("it to be counted", || {
            network.dropped().unwrap()[&one.mac()].claim >= number
        })
        .unwrap();
        assert_eq!(sent.arrived(), 0, "{claim}");
    }
    assert_eq!(network.claims().unwrap()[&one.mac()].len(), 64);
}

#[test]
fn plugged_twice_is_plugged_once_and_known_by_whoever_comes_later() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    assert!(one.reaches(&two, address("10.15.0.11")));
    let (links, seen) = (shown(&space), network.seen().unwrap());
    let links: Vec<&str> = links.lines().filter(|line| line.contains(" master ")).collect();
    drop(network);
    let mut network = Network::open(&settings(&space)).unwrap();
    for last in [10, 11] {
        network.plug(vm(last), &adapter(&segment(5), last), 0).unwrap();
    }
    let after = shown(&space);
    let after: Vec<&str> = after.lines().filter(|line| line.contains(" master ")).collect();
    assert_eq!(after, links);
    assert_eq!(network.seen().unwrap(), seen);
    assert!(one.reaches(&two, address("10.15.0.11")));
}

#[test]
fn what_somebody_removed_comes_back() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    let whole = shown(&space).matches("goto from-").count();
    assert_eq!(whole, 2);
    space.ip(&["link", "del", "b000000000005"]).unwrap();
    let flush = space
        .command("nft")
        .args(["flush", "table", "bridge", "renkei"])
        .status();
    assert!(flush.unwrap().success());
    network.plug(vm(11), &adapter(&segment(5), 11), 0).unwrap();
    assert!(one.reaches(&two, address("10.15.0.11")));
    assert_eq!(shown(&space).matches("goto from-").count(), whole);
    let delete = space
        .command("nft")
        .args(["delete", "table", "bridge", "renkei"])
        .status();
    assert!(delete.unwrap().success());
    network.segments(&BTreeMap::new());
    assert_eq!(shown(&space).matches("goto from-").count(), whole);
}

#[test]
fn a_table_that_cannot_be_mended_is_made_anew_with_what_it_had_learned() {
    let space = Namespace::reserve("switch");
    let (mut network, [one, two]) = two_guests(&space);
    assert!(one.reaches(&two, address("10.15.0.11")));
    let seen = network.seen().unwrap();
    let rules = "delete chain bridge renkei enter; \
                 add chain bridge renkei enter { type filter hook forward priority 5; policy accept; }";
    assert!(space.command("nft").arg(rules).status().unwrap().success());
    assert!(
        network.segments(&told(&segment(5))).len() == 1,
        "{:?}",
        network.troubles()
    );
    assert!(shown(&space).contains("hook prerouting"));
    assert_eq!(network.seen().unwrap(), seen);
}

#[test]
fn other_tables_and_the_hosts_own_namespace_stay_as_they_are() {
    let space = Namespace::reserve("switch");
    let before = bridge_settings();
    let (mut network, _guests) = two_guests(&space);
    let rules = "add table ip kept; add chain ip kept one; add table bridge kept";
    assert!(space.command("nft").arg(rules).status().unwrap().success());
    network.plug(vm(12), &adapter(&segment(6), 12), 0).unwrap();
    network.unplug(vm(12)).unwrap();
    let shown = shown(&space);
    assert!(shown.contains("table ip kept {\n\tchain one {"), "{shown}");
    assert!(shown.contains("table bridge kept"), "{shown}");
    let links = Command::new("ip").args(["-o", "link"]).output().unwrap().stdout;
    let links = String::from_utf8(links).unwrap();
    for name in ["b000000000005", "t00000000000a01", "t00000000000c01"] {
        assert!(!links.contains(name), "{links}");
    }
    assert_eq!(bridge_settings(), before);
    let inside = space.command("cat").args(BRIDGE_SETTINGS).output().unwrap();
    assert_eq!(String::from_utf8(inside.stdout).unwrap().trim(), "0\n0\n0");
}

const BRIDGE_SETTINGS: [&str; 3] = [
    "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
    "/proc/sys/net/bridge/bridge-nf-call-arptables",
];

fn bridge_settings() -> Vec<Option<String>> {
    BRIDGE_SETTINGS.map(|file| std::fs::read_to_string(file).ok()).into()
}

#[test]
fn segments_are_kept_apart_changed_and_gone_on_their_tombstone() {
    let space = Namespace::reserve("switch");
    let (mut network, _guests) = two_guests(&space);
    let other = segment(6);
    network.segments(&told(&other));
    assert!(shown(&space).contains("b000000000006"));
    let wider = SegmentIntent {
        generation: Generation(2),
        mtu: 1300,
        ..segment(5)
    };
    assert_eq!(network.segments(&told(&wider)), [(wider.id, Generation(2))].into());
    let mtus = shown(&space).matches("mtu 1300").count();
    assert_eq!(mtus, 3, "the bridge and both taps");
    let gone = |segment: SegmentIntent| SegmentIntent {
        generation: Generation(3),
        tombstone: true,
        ..segment
    };
    assert_eq!(
        network.segments(&told(&gone(wider.clone()))),
        BTreeMap::new(),
        "it is used"
    );
    assert!(shown(&space).contains("b000000000005"));
    let other = gone(other);
    assert_eq!(network.segments(&told(&other)), [(other.id, Generation(3))].into());
    assert!(!shown(&space).contains("b000000000006"));
    network.unplug(vm(10)).unwrap();
    network.unplug(vm(11)).unwrap();
    assert_eq!(
        network.segments(&told(&gone(wider.clone()))),
        [(wider.id, Generation(3))].into()
    );
}

#[test]
fn a_link_of_somebody_else_is_named_and_left() {
    let space = Namespace::reserve("switch");
    let mut network = Network::open(&settings(&space)).unwrap();
    space.ip(&["link", "add", "b000000000005", "type", "bridge"]).unwrap();
    space.ip(&["link", "set", "b000000000005", "alias", "mine"]).unwrap();
    assert_eq!(network.segments(&told(&segment(5))), BTreeMap::new());
    assert!(matches!(network.troubles(), [NetworkError::Foreign { .. }]));
    let text = network.troubles()[0].to_string();
    assert!(text.contains("`b000000000005`") && text.contains("`mine`"), "{text}");
}

#[test]
fn a_real_tap_is_of_its_user_and_stays_without_anybody() {
    let space = Namespace::reserve("switch");
    let mut network = Network::open(&settings(&space)).unwrap();
    let adapter = adapter(&segment(5), 10);
    let tap = network.plug(vm(10), &adapter, 4242).unwrap();
    let owner = |space: &Namespace| {
        let output = space
            .command("ip")
            .args(["-d", "link", "show", "dev", &tap])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(owner(&space).contains("persist on user 4242"), "{}", owner(&space));
    network.plug(vm(10), &adapter, 4243).unwrap();
    assert!(owner(&space).contains("persist on user 4243"), "{}", owner(&space));
}
