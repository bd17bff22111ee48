//! A site in namespaces of its own: two tenants with equal addresses, two segments each, two machines in each segment, and a campus
//! network outside. Machines and campus are TAP devices that the test itself reads and writes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;

use renkei_host::network::uplink::{Outside, Uplink, UplinkV6};
use renkei_host::network::{Network, Settings};
use renkei_testkit::tap::Tap;
use renkei_testkit::{Namespace, wait};
use renkei_types::agent::{AdapterIntent, SegmentIntent};
use renkei_types::id::{DnatId, ProjectId, SegmentId, VmId};
use renkei_types::network::{Mac, Range};
use renkei_types::operation::Generation;
use renkei_types::reach::{Networks, Place};
use tempfile::TempDir;
use uuid::Uuid;

use super::frame::{self, Hop, Numbered};
use super::packets;

/// Of the campus.
pub const ROUTER: &str = "192.0.2.1";
const CAMPUS: Mac = Mac([0x52, 0x54, 0, 0xff, 0, 1]);
/// On the uplink, but of no gateway.
pub const NOBODYS: &str = "192.0.2.200";
pub const PREFIX: &str = "2001:db8:15::/48";

/// Somebody who sends and receives.
pub struct Somebody {
    pub place: Place,
    pub mac: Mac,
    /// A machine's, IPv4 before IPv6; of the campus, some that are there.
    pub addresses: Vec<IpAddr>,
    tap: Tap,
}

/// The site.
pub struct Lab {
    pub network: Network,
    pub segments: BTreeMap<SegmentId, SegmentIntent>,
    /// The campus is the last one.
    pub all: Vec<Somebody>,
    pub own: BTreeMap<ProjectId, IpAddr>,
    issued: BTreeMap<SegmentId, BTreeSet<IpAddr>>,
    pub gateways: Vec<(ProjectId, Rc<Namespace>)>,
    pub switch: Rc<Namespace>,
    /// Behind the namespaces, with which the services go.
    pub folder: TempDir,
}

pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn project(number: u128) -> ProjectId {
    ProjectId(Uuid::from_u128(number))
}

pub fn segment_id(number: u128) -> SegmentId {
    SegmentId(Uuid::from_u128(number))
}

/// Each machine has an outside address of its own besides those that the tests give.
pub fn usual(machine: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, 10 + machine as u8])
}

pub fn segment((project_number, number): (u128, u128), v4: &str, v6: Option<&str>) -> SegmentIntent {
    SegmentIntent {
        id: segment_id(number),
        generation: Generation(1),
        tombstone: false,
        project: project(project_number),
        vni: number as u32,
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

pub fn uplink(folder: &Path) -> Uplink {
    Uplink {
        outside: Outside::Link("campus".to_owned()),
        v4: "192.0.2.0/24".parse().unwrap(),
        router: address(ROUTER),
        snat_pool: "192.0.2.240/28".parse().unwrap(),
        v6: Some(UplinkV6 {
            range: "2001:db8:ffff::/64".parse().unwrap(),
            router: address("2001:db8:ffff::1"),
            prefix: PREFIX.parse().unwrap(),
        }),
        mtu: 1500,
        dns: Vec::new(),
        ntp: Vec::new(),
        folder: folder.to_owned(),
    }
}

/// The addresses of a segment's machines.
fn addresses(segment: &SegmentIntent) -> [Vec<IpAddr>; 2] {
    let ranges = [Some(segment.v4), segment.v6].into_iter().flatten();
    let ranges: Vec<Range> = ranges.collect();
    [10, 11].map(|number| ranges.iter().map(|range| range.hosts().nth(number).unwrap()).collect())
}

impl Lab {
    /// To be called on a thread that is in a namespace of its own: the host's.
    pub fn new(host: &Namespace) -> Self {
        let segments = [
            segment((1, 0x11), "10.15.0.0/24", Some("2001:db8:15:1::/64")),
            segment((1, 0x12), "10.16.0.0/24", Some("2001:db8:15:2::/64")),
            segment((2, 0x21), "10.15.0.0/24", Some("2001:db8:15:3::/64")),
            // Not of the site's prefix.
            segment((2, 0x22), "10.16.0.0/24", Some("fd00:22::/64")),
        ];
        host.ip(&["tuntap", "add", "dev", "campus", "mode", "tap"]).unwrap();
        let switch = Namespace::reserve("switch");
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            namespace: switch.name().to_owned(),
            uplink: Some(uplink(folder.path())),
        };
        let mut network = Network::open(&settings).unwrap();
        let mut all = Vec::new();
        let mut meant = BTreeMap::new();
        let mut taps = Vec::new();
        let mut issued: BTreeMap<SegmentId, BTreeSet<IpAddr>> = BTreeMap::new();
        for mut segment in segments {
            for addresses in addresses(&segment) {
                let machine = all.len() + taps.len();
                let dnat = DnatId(Uuid::from_u128(machine as u128));
                segment.dnats.insert(dnat, (usual(machine), addresses[0]));
                issued.entry(segment.id).or_default().extend(&addresses);
                let mac = Mac([0x52, 0x54, 0, 0, 0, machine as u8]);
                let adapter = AdapterIntent {
                    number: 1,
                    segment: segment.id,
                    mac,
                    addresses: addresses.clone(),
                };
                let tap = network
                    .plug(VmId(Uuid::from_u128(machine as u128)), &adapter, 0)
                    .unwrap();
                taps.push((tap, Place::Segment(segment.id), mac, addresses));
            }
            meant.insert(segment.id, segment);
        }
        let so = network.segments(&meant);
        assert_eq!(so.len(), meant.len(), "{:?}", network.troubles());
        let campus = [
            ROUTER,
            "198.51.100.7",
            "198.51.100.130",
            "2001:db8:9::7",
            "2001:db8:9:1::9",
        ];
        let outside = (
            "outside".to_owned(),
            Place::Outside,
            CAMPUS,
            campus.map(address).to_vec(),
        );
        for (name, place, mac, addresses) in taps.into_iter().chain([outside]) {
            let tap = Tap::open(&switch, &name).unwrap();
            all.push(Somebody {
                place,
                mac,
                addresses,
                tap,
            });
        }
        let gateways = [1, 2].map(|number| {
            let name = format!("{}-{:012x}", switch.name(), number);
            (project(number), Rc::new(Namespace::of(name)))
        });
        let lab = Self {
            own: network.own_addresses().unwrap(),
            issued,
            network,
            segments: meant,
            all,
            gateways: gateways.into(),
            switch: Rc::new(switch),
            folder,
        };
        lab.prime();
        lab.prime_outside();
        lab
    }

    /// The model.
    pub fn networks(&self) -> Networks<'_> {
        let networks = Networks::new(&self.segments, Some(PREFIX.parse().unwrap()), &self.own);
        networks.with_issued(&self.issued)
    }

    pub fn campus(&self) -> usize {
        self.all.len() - 1
    }

    fn project_of(&self, place: Place) -> Option<ProjectId> {
        match place {
            Place::Segment(id) => Some(self.segments[&id].project),
            _ => None,
        }
    }

    fn gateway_of(&self, project: ProjectId) -> &Namespace {
        &self.gateways.iter().find(|(of, _)| *of == project).unwrap().1
    }

    /// Everybody knows everybody before the first packet: neighbours for good, and the bridges by a frame from each.
    pub fn prime(&self) {
        let know = |space: &Namespace, address: &IpAddr, (mac, link): (Mac, &str)| {
            let words = ["neigh", "replace", &address.to_string(), "lladdr", &mac.to_string()];
            let rest = ["dev", link, "nud", "permanent"];
            space.ip(&[&words[..], &rest[..]].concat()).unwrap();
        };
        for somebody in &self.all[..self.campus()] {
            let Place::Segment(id) = somebody.place else { continue };
            let link = format!("s{:012x}", id.0.as_u128());
            let gateway = self.gateway_of(self.segments[&id].project);
            for address in &somebody.addresses {
                know(gateway, address, (somebody.mac, &link));
            }
        }
        for somebody in &self.all {
            let number = Numbered {
                packet: packets::some(somebody.addresses[0], somebody.addresses[0]),
                number: 0,
            };
            let hop = Hop {
                from: somebody.mac,
                to: Mac([0xff; 6]),
            };
            somebody.tap.send(&frame::build(hop, number)).unwrap();
        }
    }

    /// The same outside. New addresses of a link make it forget its neighbours, so it comes after each change.
    pub fn prime_outside(&self) {
        let routers = [ROUTER, "2001:db8:ffff::1", NOBODYS].map(address);
        let given = |outside: &IpAddr| {
            let mut segments = self.segments.values();
            segments.any(|segment| segment.dnats.values().any(|(given, _)| given == outside))
        };
        // What is nobody's here may be somebody's on the campus.
        let campus = packets::mapped().into_iter().filter(|outside| !given(outside));
        let campus: Vec<(IpAddr, Mac)> = campus.chain(routers).map(|one| (one, CAMPUS)).collect();
        let mut known: Vec<(ProjectId, IpAddr)> = Vec::new();
        for (project, own) in &self.own {
            let IpAddr::V4(v4) = own else { continue };
            let bits = v4.to_bits();
            let v6 = address(&format!("2001:db8:ffff::{:x}:{:x}", bits >> 16, bits & 0xffff));
            known.extend([(*project, *own), (*project, v6)]);
        }
        for segment in self.segments.values() {
            known.extend(segment.dnats.values().map(|(outside, _)| (segment.project, *outside)));
        }
        for (mine, gateway) in &self.gateways {
            let theirs = known.iter().filter(|(of, _)| of != mine);
            let theirs = theirs.map(|(of, address)| (*address, way_mac(*of)));
            let lines: Vec<String> = theirs
                .chain(campus.iter().copied())
                .map(|(address, mac)| format!("neigh replace {address} lladdr {mac} dev uplink nud permanent\n"))
                .collect();
            let mut command = gateway.command("ip");
            let mut child = command.args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(lines.concat().as_bytes())
                .unwrap();
            assert!(child.wait().unwrap().success());
        }
    }

    /// Makes what is meant so.
    pub fn make(&mut self) {
        for segment in self.segments.values_mut() {
            segment.generation = segment.generation.next();
        }
        let so = self.network.segments(&self.segments);
        assert_eq!(so.len(), self.segments.len(), "{:?}", self.network.troubles());
        self.prime_outside();
    }

    /// How a packet leaves somebody: to a machine beside it, or to a gateway.
    pub fn hop(&self, from: usize, to: IpAddr) -> Hop {
        let sender = &self.all[from];
        let beside = self.all.iter().find(|other| {
            other.place == sender.place && other.place != Place::Outside && other.addresses.contains(&to)
        });
        let mac = match (beside, sender.place) {
            (Some(other), _) => other.mac,
            (None, Place::Segment(id)) => {
                let [.., a, b, c, d, e] = id.0.into_bytes();
                Mac([0x0a, a, b, c, d, e])
            }
            (None, _) => way_mac(self.leads_to(to)),
        };
        Hop {
            from: sender.mac,
            to: mac,
        }
    }

    /// Whose gateway the campus would send it to; anybody's if nobody has the address.
    fn leads_to(&self, to: IpAddr) -> ProjectId {
        let has = |segment: &&SegmentIntent| {
            let mapped = segment.dnats.values().any(|(outside, _)| *outside == to);
            mapped || segment.v6.is_some_and(|range| range.has(to)) || self.own.get(&segment.project) == Some(&to)
        };
        self.segments
            .values()
            .find(has)
            .map_or(project(1), |segment| segment.project)
    }

    pub fn send(&self, from: usize, frame: &[u8]) {
        self.all[from].tap.send(frame).unwrap();
    }

    /// An address by which somebody's marker reaches somebody else, always: by their outside address, which is the longest way.
    pub fn marked(&self, from: usize, to: usize) -> IpAddr {
        let (sender, receiver) = (
            self.project_of(self.all[from].place),
            self.project_of(self.all[to].place),
        );
        match receiver {
            None => address("198.51.100.7"),
            Some(_) if sender == receiver && self.all[from].place != self.all[to].place => self.all[to].addresses[0],
            Some(_) => usual(to),
        }
    }

    /// The next frame that somebody hears, whoever it is for.
    pub fn hears(&self, receiver: usize) -> Option<Vec<u8>> {
        self.all[receiver].tap.receive().unwrap()
    }

    /// What has come for somebody until the frame with this number comes, which is not given.
    pub fn until(&self, receiver: usize, marker: u64) -> Vec<Numbered> {
        let somebody = &self.all[receiver];
        let mut come = Vec::new();
        let all = wait::until_some("the marker", wait::PATIENCE, || {
            while let Some(frame) = somebody.tap.receive().unwrap() {
                match frame::read(&frame, somebody.mac) {
                    Some(numbered) if numbered.number == marker => return Some(()),
                    Some(numbered) => come.push(numbered),
                    None => {}
                }
            }
            None
        });
        all.unwrap_or_else(|error| panic!("from {marker:#x} to {:?}: {error}", somebody.place));
        come
    }
}

pub fn way_mac(project: ProjectId) -> Mac {
    let [.., a, b, c, d, e] = project.0.into_bytes();
    Mac([0x0e, a, b, c, d, e])
}
