//! Random rules and packets, and what becomes of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use renkei_testkit::seed::Rng;
use renkei_types::acl::Allowed;
use renkei_types::id::{AclId, DnatId};
use renkei_types::network::{Ports, Protocol, Range};
use renkei_types::reach::{Closed, Packet, Place};
use rustix::thread::{CpuSet, sched_setaffinity};
use uuid::Uuid;

use super::frame::{self, Numbered};
use super::lab::{Lab, NOBODYS, address, usual};

/// Of markers, which a rule for the tests alone lets in.
const MARKER_PORT: u16 = 9;
/// Markers have numbers from here on.
const MARKERS: u64 = 1 << 40;

/// Addresses outside that may lead somewhere.
pub fn mapped() -> Vec<IpAddr> {
    let v4 = (60..66).map(|last| IpAddr::from([192, 0, 2, last]));
    let v6 = (0x60..0x64).map(|last| address(&format!("2001:db8:ffff::{last:x}")));
    v4.chain(v6).collect()
}

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> &'a T {
    &all[rng.within(0..all.len() as u64) as usize]
}

/// A packet for when only its addresses matter.
pub fn some(source: IpAddr, destination: IpAddr) -> Packet {
    Packet {
        protocol: Protocol::Udp,
        source,
        source_port: MARKER_PORT,
        destination,
        destination_port: MARKER_PORT,
    }
}

/// Gives each segment other rules, and other outside addresses to its machines.
pub fn change_rules(lab: &mut Lab, rng: &mut Rng) {
    let machines: Vec<(Place, Vec<IpAddr>)> = lab.all.iter().map(|one| (one.place, one.addresses.clone())).collect();
    let mut mapped = mapped();
    for segment in lab.segments.values_mut() {
        // The usual ones stay.
        segment.dnats.retain(|id, _| id.0.as_u128() < 0x100);
    }
    while !mapped.is_empty() {
        let outside = mapped.swap_remove(rng.within(0..mapped.len() as u64) as usize);
        let (place, addresses) = pick(rng, &machines[..lab.campus()]);
        let Place::Segment(id) = place else { continue };
        let inside = addresses.iter().find(|inside| inside.is_ipv4() == outside.is_ipv4());
        // A third leads nowhere.
        if let Some(inside) = inside
            && rng.within(0..3) > 0
        {
            let dnat = DnatId(Uuid::from_u128(u128::from(rng.next_u64()) | 0x1_0000));
            lab.segments.get_mut(id).unwrap().dnats.insert(dnat, (outside, *inside));
        }
    }
    let everywhere: Vec<IpAddr> = machines.iter().flat_map(|(_, addresses)| addresses.clone()).collect();
    let own: Vec<IpAddr> = lab.own.values().copied().collect();
    for segment in lab.segments.values_mut() {
        segment.acls.clear();
        segment.acls.insert(AclId(Uuid::from_u128(1)), marker_rule(segment.v4));
        for number in 0..rng.within(0..7) {
            let ranges: Vec<Range> = [Some(segment.v4), segment.v6].into_iter().flatten().collect();
            let range = *pick(rng, &ranges);
            let sources: Vec<IpAddr> = everywhere.iter().chain(&own).copied().collect();
            let like: Vec<IpAddr> = sources
                .into_iter()
                .filter(|one| one.is_ipv4() == range.is_v4())
                .collect();
            let source = *pick(rng, &like);
            let source = wider(rng, source);
            let first = range.hosts().nth(10 + rng.within(0..2) as usize).unwrap();
            let protocol = *pick(rng, &[Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Icmp]);
            let none = protocol == Protocol::Icmp;
            let allowed = Allowed {
                protocol,
                source,
                source_ports: if none {
                    Ports::ANY
                } else {
                    some_ports(rng, &["any", "any", "1-32767", "32768-65535"])
                },
                destination: if rng.within(0..2) == 0 { range } else { Range::of(first) },
                destination_ports: if none {
                    Ports::ANY
                } else {
                    some_ports(rng, &["any", "22", "80-443", "1000-9999"])
                },
            };
            segment
                .acls
                .insert(AclId(Uuid::from_u128(2 + u128::from(number))), allowed);
        }
    }
}

pub fn marker_rule(range: Range) -> Allowed {
    Allowed {
        protocol: Protocol::Udp,
        source: Range::any(range.address()),
        source_ports: Ports::ANY,
        destination: range,
        destination_ports: "9".parse().unwrap(),
    }
}

fn some_ports(rng: &mut Rng, all: &[&str]) -> Ports {
    pick(rng, all).parse().unwrap()
}

/// An address alone, its network, or everything.
fn wider(rng: &mut Rng, address: IpAddr) -> Range {
    let prefixes: &[u8] = if address.is_ipv4() {
        &[32, 24, 8, 0]
    } else {
        &[128, 64, 48, 0]
    };
    Range::new(address, *pick(rng, prefixes)).unwrap()
}

/// A random packet from somebody. No two have the same source port, so that none belongs to the flow of another.
pub fn packet(lab: &Lab, rng: &mut Rng, number: u64) -> (usize, Packet) {
    let from = rng.within(0..lab.all.len() as u64) as usize;
    let sender = &lab.all[from];
    let to = rng.within(0..lab.all.len() as u64) as usize;
    let mut targets = lab.all[to].addresses.clone();
    match rng.within(0..4) {
        0 => targets = mapped(),
        1 => targets = vec![usual(rng.within(0..lab.campus() as u64) as usize)],
        2 if rng.within(0..4) == 0 => {
            let gateways = ["10.15.0.1", "10.16.0.1", "2001:db8:15:1::1", NOBODYS];
            targets = gateways
                .map(address)
                .into_iter()
                .chain(lab.own.values().copied())
                .collect();
        }
        _ => {}
    }
    let destination = *pick(rng, &targets);
    let mut sources: Vec<IpAddr> = sender.addresses.clone();
    if sender.place == Place::Outside && rng.within(0..3) == 0 {
        // It says that it is inside.
        sources = lab.all[rng.within(0..lab.campus() as u64) as usize].addresses.clone();
    } else if rng.within(0..16) == 0 {
        sources = ["10.16.0.77", "172.16.0.1", "2001:db8:77::1"].map(address).to_vec();
    }
    sources.retain(|source| source.is_ipv4() == destination.is_ipv4());
    let Some(source) = (!sources.is_empty()).then(|| *pick(rng, &sources)) else {
        return packet(lab, rng, number);
    };
    // What a machine sends to itself does not leave it.
    if sender.addresses.contains(&destination) {
        return packet(lab, rng, number);
    }
    let protocol = *pick(rng, &[Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Icmp]);
    let class = rng.within(0..2) * 32_768;
    let ports = match protocol {
        Protocol::Icmp => (0, 0),
        _ => {
            let source = 1024 + class + number % 31_000;
            (source as u16, *pick(rng, &[22, 53, 80, 443, 9000]))
        }
    };
    let packet = Packet {
        protocol,
        source,
        source_port: ports.0,
        destination,
        destination_port: ports.1,
    };
    (from, packet)
}

/// Sends what each has to send, and gives what came for whom, by its number. Each sender's packets go out from one thread on one processor,
/// and behind them to each receiver a marker: what has not come before it will not come.
pub fn carry(
    lab: &Lab,
    packets: &BTreeMap<u64, (usize, Packet)>,
    markers: &mut u64,
) -> BTreeMap<u64, Vec<(usize, Packet)>> {
    let mut processor = CpuSet::new();
    processor.set(0);
    sched_setaffinity(None, &processor).unwrap();
    let mut come: BTreeMap<u64, Vec<(usize, Packet)>> = BTreeMap::new();
    for from in 0..lab.all.len() {
        for (number, (_, packet)) in packets.iter().filter(|(_, (of, _))| *of == from) {
            let numbered = Numbered {
                packet: *packet,
                number: *number,
            };
            let hop = lab.hop(from, packet.destination);
            lab.send(from, &frame::build(hop, numbered));
        }
        // A machine may reach itself by its outside address.
        let receivers = (0..lab.all.len()).filter(|to| *to != from || from != lab.campus());
        let receivers: Vec<(usize, u64)> = receivers
            .map(|to| {
                *markers += 1;
                mark(lab, (from, to), *markers);
                (to, MARKERS + *markers)
            })
            .collect();
        for (to, marker) in receivers {
            for numbered in lab.until(to, marker) {
                // Markers of others, and what made the bridges know everybody.
                if numbered.number > 0 && numbered.number < MARKERS {
                    come.entry(numbered.number).or_default().push((to, numbered.packet));
                }
            }
        }
    }
    come
}

fn mark(lab: &Lab, (from, to): (usize, usize), marker: u64) {
    let source = lab.all[from]
        .addresses
        .iter()
        .find(|address| address.is_ipv4())
        .unwrap();
    let destination = lab.marked(from, to);
    let packet = Packet {
        source_port: 1024 + (marker % 60_000) as u16,
        ..some(*source, destination)
    };
    let numbered = Numbered {
        packet,
        number: MARKERS + marker,
    };
    lab.send(from, &frame::build(lab.hop(from, destination), numbered));
}

/// Whether a frame reaches somebody: it has not, if the marker that was sent behind it has come first.
pub fn reaches(lab: &Lab, (from, to): (usize, usize), frame: &[u8], markers: &mut u64) -> bool {
    lab.send(from, frame);
    *markers += 1;
    mark(lab, (from, to), *markers);
    let come = lab.until(to, MARKERS + *markers);
    come.iter()
        .any(|numbered| numbered.number > 0 && numbered.number < MARKERS)
}

/// What the model says of a packet: who gets it, and how it looks there. Nobody, if no machine has the address, or the gateway takes it.
pub fn expected(lab: &Lab, (from, packet): (usize, Packet)) -> (Vec<(usize, Packet)>, Option<Closed>) {
    match lab.networks().reach(lab.all[from].place, packet) {
        Ok(arrival) => {
            let there = |one: &usize| {
                let somebody = &lab.all[*one];
                somebody.place == arrival.at
                    && (arrival.at == Place::Outside || somebody.addresses.contains(&arrival.packet.destination))
            };
            let receivers = (0..lab.all.len()).filter(there);
            (receivers.map(|one| (one, arrival.packet)).collect(), None)
        }
        Err(closed) => (Vec::new(), Some(closed)),
    }
}

/// The pairs of which packets and model do not say the same.
pub fn differences(
    lab: &Lab,
    packets: &BTreeMap<u64, (usize, Packet)>,
    come: &BTreeMap<u64, Vec<(usize, Packet)>>,
) -> Vec<String> {
    let differs = |(number, (from, packet)): (&u64, &(usize, Packet))| {
        let (meant, closed) = expected(lab, (*from, *packet));
        let came = come.get(number).cloned().unwrap_or_default();
        // The gateway may choose another port where it translates the source.
        let plain = |all: &[(usize, Packet)]| -> Vec<(usize, Packet)> {
            let port = |(to, packet): &(usize, Packet)| {
                (
                    *to,
                    Packet {
                        source_port: 0,
                        ..*packet
                    },
                )
            };
            all.iter().map(port).collect()
        };
        let place = lab.all[*from].place;
        (plain(&meant) != plain(&came)).then(|| {
            format!("{number}: from {from} {place:?} {packet:?}\n  model: {meant:?} {closed:?}\n  came: {came:?}")
        })
    };
    packets.iter().filter_map(differs).collect()
}
