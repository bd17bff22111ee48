//! Flows that are open when rules change.

use renkei_types::acl::Allowed;
use renkei_types::id::{AclId, DnatId, SegmentId};
use renkei_types::network::Protocol;
use renkei_types::reach::Packet;
use uuid::Uuid;

use super::frame::{self, ACK, Numbered, SYN};
use super::lab::{Lab, address, segment_id, usual};
use super::{on_a_host, packets};

/// Two ends of a TCP connection, the first of which has opened it.
struct Connection {
    ends: [usize; 2],
    /// As each end sends to the other.
    packets: [Packet; 2],
    /// What each has sent so far.
    sent: [u32; 2],
    number: u64,
}

fn allow(source: &str, destination: &str, port: &str) -> Allowed {
    Allowed {
        protocol: Protocol::Tcp,
        source: source.parse().unwrap(),
        source_ports: Default::default(),
        destination: destination.parse().unwrap(),
        destination_ports: port.parse().unwrap(),
    }
}

/// Gives a segment these rules and none else, but for those of the markers.
fn rules(lab: &mut Lab, segment: SegmentId, rules: &[Allowed]) {
    let segment = lab.segments.get_mut(&segment).unwrap();
    let all = rules.iter().copied().chain([packets::marker_rule(segment.v4)]);
    let number = |(number, rule): (usize, Allowed)| (AclId(Uuid::from_u128(number as u128)), rule);
    segment.acls = all.enumerate().map(number).collect();
    lab.make();
}

/// Lets only markers in anywhere.
fn close(lab: &mut Lab) {
    let all: Vec<SegmentId> = lab.segments.keys().copied().collect();
    for id in all {
        rules(lab, id, &[]);
    }
}

impl Connection {
    /// From the campus to a machine, by an address that leads to it; nothing if it is not let in.
    fn open(lab: &Lab, to: (usize, &str), port: u16, markers: &mut u64) -> Option<Self> {
        let (machine, outside) = (to.0, address(to.1));
        let campus = lab.all[lab.campus()]
            .addresses
            .iter()
            .copied()
            .rfind(|one| one.is_ipv4() == outside.is_ipv4());
        let inside = lab.all[machine]
            .addresses
            .iter()
            .copied()
            .find(|one| one.is_ipv4() == outside.is_ipv4());
        let there = Packet {
            protocol: Protocol::Tcp,
            source: campus.unwrap(),
            source_port: 40_000 + *markers as u16,
            destination: outside,
            destination_port: port,
        };
        let back = Packet {
            protocol: Protocol::Tcp,
            source: inside.unwrap(),
            source_port: port,
            destination: there.source,
            destination_port: there.source_port,
        };
        let mut connection = Self {
            ends: [lab.campus(), machine],
            packets: [there, back],
            sent: [1000, 5000],
            number: 0,
        };
        let opened = connection.send(lab, (0, SYN), markers) && connection.send(lab, (1, SYN | ACK), markers);
        (opened && connection.send(lab, (0, ACK), markers)).then_some(connection)
    }

    /// Whether what an end sends next reaches the other one.
    fn send(&mut self, lab: &Lab, (end, flags): (usize, u8), markers: &mut u64) -> bool {
        self.number += 1;
        let numbered = Numbered {
            packet: self.packets[end],
            number: self.number,
        };
        let [from, to] = [self.ends[end], self.ends[1 - end]];
        let hop = lab.hop(from, numbered.packet.destination);
        let sequence = [self.sent[end], self.sent[1 - end]];
        let frame = frame::build_tcp(hop, numbered, (flags, sequence));
        let arrived = packets::reaches(lab, (from, to), &frame, markers);
        if arrived {
            // 16 bytes of data, and a SYN counts as one.
            self.sent[end] += 16 + u32::from(flags & SYN != 0);
        }
        arrived
    }

    fn lives(&mut self, lab: &Lab, first: usize, markers: &mut u64) -> [bool; 2] {
        [first, 1 - first].map(|end| self.send(lab, (end, ACK), markers))
    }
}

#[test]
fn a_rule_that_goes_or_shrinks_ends_what_it_let_in() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let mut markers = 0;
        let into = segment_id(0x11);
        close(&mut lab);
        let ways = ["192.0.2.10", "2001:db8:15:1::b"].map(|outside| (0, outside));
        for way in ways {
            assert!(
                Connection::open(&lab, way, 22, &mut markers).is_none(),
                "{way:?} is closed"
            );
        }
        let v4 = allow("0.0.0.0/0", "10.15.0.11", "22");
        let v6 = allow("::/0", "2001:db8:15:1::b", "22");
        rules(&mut lab, into, &[v4, v6]);
        for first in [0, 1] {
            for way in ways {
                let mut open = Connection::open(&lab, way, 22, &mut markers).unwrap();
                assert_eq!(open.lives(&lab, first, &mut markers), [true; 2], "{way:?}");
                // Others come and go, and this one is wider than it was.
                let wider = [
                    allow("0.0.0.0/0", "10.15.0.0/24", "20-25"),
                    allow("::/0", "2001:db8:15:1::/64", "any"),
                ];
                rules(
                    &mut lab,
                    into,
                    &[allow("10.9.0.0/16", "10.15.0.12", "80"), wider[0], wider[1]],
                );
                assert_eq!(open.lives(&lab, first, &mut markers), [true; 2], "{way:?}");
                rules(&mut lab, into, &[v4, v6]);
                assert_eq!(open.lives(&lab, first, &mut markers), [true; 2], "{way:?}");
                // Narrower: from elsewhere only.
                let other = [
                    allow("203.0.113.0/24", "10.15.0.11", "22"),
                    allow("2001:db8:a::/48", "2001:db8:15:1::b", "22"),
                ];
                rules(&mut lab, into, &other);
                assert_eq!(open.lives(&lab, first, &mut markers), [false; 2], "{way:?}");
                rules(&mut lab, into, &[]);
                assert_eq!(open.lives(&lab, first, &mut markers), [false; 2], "{way:?}");
                rules(&mut lab, into, &[v4, v6]);
            }
        }
    });
}

#[test]
fn a_mapping_that_goes_ends_what_came_through_it() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let mut markers = 0;
        let into = segment_id(0x11);
        let ssh = allow("0.0.0.0/0", "10.15.0.0/24", "22");
        rules(&mut lab, into, &[ssh]);
        let mut open = Connection::open(&lab, (0, "192.0.2.10"), 22, &mut markers).unwrap();
        let segment = lab.segments.get_mut(&into).unwrap();
        let id = *segment.dnats.keys().next().unwrap();
        segment.dnats.insert(id, (address("192.0.2.60"), address("10.15.0.11")));
        lab.make();
        // Its marker has no way to the first machine any more; the second one's comes by the same links.
        open.ends[1] = 1;
        assert!(!open.send(&lab, (0, ACK), &mut markers));
        let segment = lab.segments.get_mut(&into).unwrap();
        segment.dnats.insert(id, (usual(0), address("10.15.0.11")));
        lab.make();
        let again = Connection::open(&lab, (0, "192.0.2.10"), 22, &mut markers);
        assert!(again.is_some(), "it leads there again");
    });
}

#[test]
fn a_mapping_to_another_machine_takes_along_who_goes_on_sending() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let into = segment_id(0x11);
        let mut markers = 0;
        for (outside, source, inside) in [
            ("192.0.2.60", "198.51.100.7", ["10.15.0.11", "10.15.0.12"]),
            (
                "2001:db8:ffff::60",
                "2001:db8:9::7",
                ["2001:db8:15:1::b", "2001:db8:15:1::c"],
            ),
        ] {
            let packet = Packet {
                protocol: Protocol::Udp,
                source: address(source),
                source_port: 5000,
                destination: address(outside),
                destination_port: 123,
            };
            let any = if packet.source.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            for (machine, inside) in inside.into_iter().enumerate() {
                let dnat = DnatId(Uuid::from_u128(77));
                let segment = lab.segments.get_mut(&into).unwrap();
                segment.dnats.insert(dnat, (packet.destination, address(inside)));
                let range = if packet.source.is_ipv4() {
                    segment.v4
                } else {
                    segment.v6.unwrap()
                };
                let ntp = Allowed {
                    protocol: Protocol::Udp,
                    ..allow(any, &range.to_string(), "123")
                };
                rules(&mut lab, into, &[ntp]);
                let numbered = Numbered { packet, number: 5 };
                let frame = frame::build(lab.hop(lab.campus(), packet.destination), numbered);
                assert!(
                    packets::reaches(&lab, (lab.campus(), machine), &frame, &mut markers),
                    "{inside}"
                );
            }
        }
    });
}

#[test]
fn a_machine_that_answers_a_flow_nobody_knows_opens_nothing() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let mut markers = 0;
        close(&mut lab);
        // As if the gateway had been made anew while a connection was open.
        let campus = address("2001:db8:9:1::9");
        let back = Packet {
            protocol: Protocol::Tcp,
            source: address("2001:db8:15:1::b"),
            source_port: 22,
            destination: campus,
            destination_port: 50_000,
        };
        let mut open = Connection {
            ends: [lab.campus(), 0],
            packets: [
                Packet {
                    source: campus,
                    source_port: 50_000,
                    destination: back.source,
                    destination_port: 22,
                    ..back
                },
                back,
            ],
            sent: [1000, 5000],
            number: 0,
        };
        assert_eq!(open.lives(&lab, 1, &mut markers), [false; 2]);
    });
}
