//! The host as the outside: what comes from the transit range it forwards and masquerades, and everything else of it stays as it was.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use renkei_host::network::uplink::{Uplink, UplinkV6};
use renkei_host::network::{Network, Settings};
use renkei_testkit::Namespace;
use renkei_types::acl::Allowed;
use renkei_types::agent::{AdapterIntent, SegmentIntent};
use renkei_types::id::{AclId, DnatId, SegmentId, VmId};
use renkei_types::network::{Mac, Ports, Protocol};
use tempfile::TempDir;
use uuid::Uuid;

use super::lab::{address, segment};
use super::on_a_host;
use crate::guest::Guest;

/// The link in the host's own namespace.
const LINK: &str = "renkei-up";
pub const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

/// A host with a campus beside it, and a machine on it.
pub struct Site {
    pub network: Network,
    pub meant: BTreeMap<SegmentId, SegmentIntent>,
    pub campus: Namespace,
    pub guest: Guest,
    _switch: Namespace,
    pub gateway: Namespace,
    pub folder: TempDir,
}

fn join(host: &Namespace, other: &Namespace, name: &str) {
    let words = [
        "link",
        "add",
        name,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        other.name(),
    ];
    host.ip(&words).unwrap();
    host.ip(&["link", "set", name, "up"]).unwrap();
    other.ip(&["link", "set", "eth0", "up"]).unwrap();
}

impl Site {
    pub fn new(host: &Namespace) -> Self {
        let campus = Namespace::create("campus").unwrap();
        join(host, &campus, "eth0");
        for (space, last) in [(&campus, 1), (host, 2)] {
            let v4 = format!("203.0.113.{last}/24");
            space.ip(&["address", "add", &v4, "dev", "eth0"]).unwrap();
            let v6 = format!("2001:db8:9::{last}/64");
            space.ip(&["address", "add", &v6, "dev", "eth0", "nodad"]).unwrap();
        }
        // The campus knows the way to outside addresses and to the site's prefix, and to nothing else.
        campus
            .ip(&["route", "add", "198.51.100.0/24", "via", "203.0.113.2"])
            .unwrap();
        campus
            .ip(&["route", "add", "2001:db8:15::/48", "via", "2001:db8:9::2"])
            .unwrap();
        let switch = Namespace::reserve("switch");
        let folder = TempDir::new().unwrap();
        let mut network = Network::open(&Settings {
            namespace: switch.name().to_owned(),
            uplink: Some(Uplink {
                v6: Some(UplinkV6 {
                    range: "fd00:198::/64".parse().unwrap(),
                    router: address("fd00:198::1"),
                    prefix: "2001:db8:15::/48".parse().unwrap(),
                }),
                dns: vec![address("203.0.113.1")],
                ntp: vec![address("203.0.113.1")],
                ..Uplink::transit(LINK, Some("eth0"), folder.path())
            }),
        })
        .unwrap();
        let mut lab = segment((1, 0x11), "10.15.0.0/24", Some("2001:db8:15:1::/64"));
        lab.dnats.insert(
            DnatId(Uuid::from_u128(1)),
            (address("198.51.100.10"), address("10.15.0.11")),
        );
        let adapter = AdapterIntent {
            number: 1,
            segment: lab.id,
            mac: MAC,
            addresses: vec![address("10.15.0.11"), address("2001:db8:15:1::b")],
        };
        let vm = VmId(Uuid::from_u128(1));
        let meant: BTreeMap<SegmentId, SegmentIntent> = [(lab.id, lab)].into();
        assert_eq!(network.segments(&meant).len(), 1, "{:?}", network.troubles());
        assert!(network.troubles().is_empty(), "{:?}", network.troubles());
        let tap = network.plug(vm, &adapter, 0).unwrap();
        let guest = Guest::in_place_of(&switch, &tap, MAC);
        network.plug(vm, &adapter, 0).unwrap();
        guest.take("10.15.0.11/24");
        guest.take("2001:db8:15:1::b/64");
        for gateway in ["10.15.0.1", "2001:db8:15:1::1"] {
            guest.space.ip(&["route", "add", "default", "via", gateway]).unwrap();
        }
        let gateway = Namespace::of(format!("{}-{:012x}", switch.name(), 1));
        Self {
            network,
            meant,
            campus,
            guest,
            _switch: switch,
            gateway,
            folder,
        }
    }

    fn allow(&mut self, rules: &[&str]) {
        let segment = self.meant.values_mut().next().unwrap();
        let rule = |source: &&str| {
            let source = source.parse().unwrap();
            let v4 = segment.v4;
            Allowed {
                protocol: Protocol::Tcp,
                source,
                source_ports: Ports::ANY,
                destination: if source.is_v4() { v4 } else { segment.v6.unwrap() },
                destination_ports: Ports::ANY,
            }
        };
        let rules: Vec<Allowed> = rules.iter().map(rule).collect();
        let number = |(number, rule)| (AclId(Uuid::from_u128(number as u128)), rule);
        segment.acls = rules.into_iter().enumerate().map(number).collect();
        segment.generation = segment.generation.next();
        assert_eq!(
            self.network.segments(&self.meant).len(),
            1,
            "{:?}",
            self.network.troubles()
        );
    }
}

/// Connects from one namespace to a listener in another and gives from which address it seems to come there.
fn connect(from: &Namespace, (to, listens, called): (&Namespace, &str, &str)) -> IpAddr {
    let listens = SocketAddr::new(address(listens), 0);
    let listener = to.inside(move || Ok(TcpListener::bind(listens)?)).unwrap();
    let called = SocketAddr::new(address(called), listener.local_addr().unwrap().port());
    let mut one = from.inside(move || Ok(TcpStream::connect(called)?)).unwrap();
    let (mut other, who) = listener.accept().unwrap();
    one.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    other.read_exact(&mut heard).unwrap();
    other.write_all(&heard).unwrap();
    one.read_exact(&mut heard).unwrap();
    who.ip()
}

#[test]
fn machines_get_out_through_the_host_and_are_reached_by_outside_addresses() {
    on_a_host(|host| {
        let mut site = Site::new(host);
        let (guest, campus) = (&site.guest.space, &site.campus);
        let masqueraded = connect(guest, (campus, "203.0.113.1", "203.0.113.1"));
        assert_eq!(masqueraded, address("203.0.113.2"));
        let routed = connect(guest, (campus, "2001:db8:9::1", "2001:db8:9::1"));
        assert_eq!(routed, address("2001:db8:15:1::b"));
        site.allow(&["203.0.113.0/24", "198.18.240.1", "2001:db8:9::/64"]);
        let (guest, campus) = (&site.guest.space, &site.campus);
        let called = connect(campus, (guest, "10.15.0.11", "198.51.100.10"));
        assert_eq!(called, address("203.0.113.1"), "the source outside is what it sees");
        let called = connect(host, (guest, "10.15.0.11", "198.51.100.10"));
        assert_eq!(called, address("198.18.240.1"), "the host by its own end of the uplink");
        let called = connect(campus, (guest, "2001:db8:15:1::b", "2001:db8:15:1::b"));
        assert_eq!(called, address("2001:db8:9::1"));
        // By its own outside address, as everybody does.
        let called = connect(guest, (guest, "10.15.0.11", "198.51.100.10"));
        assert_eq!(called, address("10.15.0.1"));
    });
}

#[test]
fn a_host_without_gateways_keeps_its_namespace_as_it_is() {
    on_a_host(|host| {
        let links = |space: &Namespace| {
            let shown = space.command("ip").args(["-o", "address"]).output().unwrap();
            String::from_utf8(shown.stdout).unwrap() + &others(space)
        };
        let before = links(host);
        let switch = Namespace::reserve("switch");
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            namespace: switch.name().to_owned(),
            uplink: Some(Uplink::transit(LINK, None, folder.path())),
        };
        let mut network = Network::open(&settings).unwrap();
        assert!(network.segments(&BTreeMap::new()).is_empty());
        assert!(network.troubles().is_empty(), "{:?}", network.troubles());
        assert_eq!(links(host), before);
    });
}

#[test]
fn outside_addresses_of_the_last_segment_lead_nowhere_on_the_host() {
    on_a_host(|host| {
        let mut site = Site::new(host);
        let routes = |space: &Namespace| {
            let shown = space
                .command("ip")
                .args(["route", "show", "proto", "82"])
                .output()
                .unwrap();
            String::from_utf8(shown.stdout).unwrap()
        };
        assert!(routes(host).contains("198.51.100.10"), "{}", routes(host));
        site.network.unplug(VmId(Uuid::from_u128(1))).unwrap();
        let segment = site.meant.values_mut().next().unwrap();
        segment.tombstone = true;
        segment.generation = segment.generation.next();
        assert_eq!(
            site.network.segments(&site.meant).len(),
            1,
            "{:?}",
            site.network.troubles()
        );
        assert_eq!(routes(host), "");
        assert!(!site.gateway.path().exists());
    });
}

/// Links and tables of a namespace, without those that are ours.
fn others(space: &Namespace) -> String {
    let run = |words: &[&str]| {
        let output = space.command(words[0]).args(&words[1..]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let links = run(&["ip", "-o", "address"]);
    let links: Vec<&str> = links.lines().filter(|line| !line.contains(LINK)).collect();
    let tables = run(&["nft", "list", "tables"]);
    let tables: Vec<&str> = tables
        .lines()
        .filter(|line| *line != format!("table inet {LINK}"))
        .collect();
    let kept = run(&["nft", "list", "table", "ip", "filter"]) + &run(&["nft", "list", "table", "ip", "nat"]);
    let routes = run(&["ip", "route"]);
    let routes: Vec<&str> = routes.lines().filter(|line| !line.contains(LINK)).collect();
    let settings = run(&[
        "sysctl",
        "net.bridge",
        "net.ipv4.ip_forward",
        "net.ipv4.conf.docker0.forwarding",
    ]);
    format!("{links:#?}{tables:#?}{kept}{routes:#?}{settings}")
}

#[test]
fn containers_on_the_host_go_on_as_before() {
    on_a_host(|host| {
        // As Docker does: a bridge of its own, frames on it seen by the rules for IP, and what is forwarded dropped unless it is its own.
        host.ip(&["link", "add", "docker0", "type", "bridge"]).unwrap();
        host.ip(&["address", "add", "172.17.0.1/16", "dev", "docker0"]).unwrap();
        host.ip(&["link", "set", "docker0", "up"]).unwrap();
        let rules = "table ip filter {
            chain DOCKER-USER { }
            chain FORWARD {
                type filter hook forward priority filter; policy drop;
                jump DOCKER-USER
                iifname docker0 accept
                oifname docker0 ct state related,established accept
            }
        }
        table ip nat {
            chain POSTROUTING {
                type nat hook postrouting priority srcnat;
                ip saddr 172.17.0.0/16 oifname != docker0 masquerade
            }
        }";
        let forward = host
            .command("sysctl")
            .args(["-qw", "net.ipv4.ip_forward=1"])
            .status()
            .unwrap();
        assert!(forward.success());
        assert!(host.command("nft").arg(rules).status().unwrap().success());
        let containers = ["one", "two"].map(|name| {
            let container = Namespace::create(name).unwrap();
            join(host, &container, name);
            host.ip(&["link", "set", name, "master", "docker0"]).unwrap();
            container
        });
        for (container, last) in containers.iter().zip([2, 3]) {
            let own = format!("172.17.0.{last}/16");
            container.ip(&["address", "add", &own, "dev", "eth0"]).unwrap();
            container.ip(&["route", "add", "default", "via", "172.17.0.1"]).unwrap();
        }
        let [one, two] = &containers;
        let beside = |one: &Namespace| connect(one, (two, "172.17.0.3", "172.17.0.3"));
        assert_eq!(beside(one), address("172.17.0.2"));
        let site_less = others(host);
        let mut site = Site::new(host);
        // What the operator does, in the place that Docker has for it.
        let user = format!(
            "add rule ip filter DOCKER-USER iifname {LINK} accept; add rule ip filter DOCKER-USER oifname {LINK} accept"
        );
        assert_eq!(without_campus(&others(host)), without_campus(&site_less));
        assert!(host.command("nft").arg(&user).status().unwrap().success());
        assert_eq!(beside(one), address("172.17.0.2"));
        let campus = &site.campus;
        assert_eq!(
            connect(one, (campus, "203.0.113.1", "203.0.113.1")),
            address("203.0.113.2")
        );
        assert_eq!(
            connect(&site.guest.space, (campus, "203.0.113.1", "203.0.113.1")),
            address("203.0.113.2")
        );
        // And the machines of a segment among themselves meet no rule of the host.
        site.allow(&["203.0.113.0/24"]);
        let called = connect(&site.campus, (&site.guest.space, "10.15.0.11", "198.51.100.10"));
        assert_eq!(called, address("203.0.113.1"));
    });
}

/// The test itself gives the host a link to the campus.
fn without_campus(shown: &str) -> Vec<&str> {
    shown.lines().filter(|line| !line.contains("eth0")).collect()
}
