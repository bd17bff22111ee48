//! Frames with a number in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use renkei_types::network::{Mac, Protocol};
use renkei_types::reach::Packet;

/// What our frames begin with behind their headers.
const OURS: &[u8; 8] = b"renkei\0\0";
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// TCP's flags (RFC 9293, section 3.1).
pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;

/// What a frame carries, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Numbered {
    pub packet: Packet,
    pub number: u64,
}

/// Where a frame goes on its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    pub from: Mac,
    pub to: Mac,
}

/// A frame that begins a flow.
pub fn build(hop: Hop, numbered: Numbered) -> Vec<u8> {
    build_tcp(hop, numbered, (SYN, [0, 0]))
}

/// The same; if it is TCP, with these flags, sequence and acknowledgement.
pub fn build_tcp(hop: Hop, numbered: Numbered, (flags, [sequence, acknowledged]): (u8, [u32; 2])) -> Vec<u8> {
    let Packet {
        protocol,
        source,
        source_port,
        destination,
        destination_port,
    } = numbered.packet;
    let mut data = OURS.to_vec();
    data.extend(numbered.number.to_be_bytes());
    let mut body = Vec::new();
    match protocol {
        Protocol::Tcp => {
            body.extend(source_port.to_be_bytes());
            body.extend(destination_port.to_be_bytes());
            body.extend(sequence.to_be_bytes());
            body.extend(acknowledged.to_be_bytes());
            body.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        }
        Protocol::Udp => {
            body.extend(source_port.to_be_bytes());
            body.extend(destination_port.to_be_bytes());
            body.extend((8 + data.len() as u16).to_be_bytes());
            body.extend([0, 0]);
        }
        Protocol::Icmp => {
            body.extend([if source.is_ipv4() { 8 } else { 128 }, 0, 0, 0]);
            // The identifier, by which flows are told apart, and the sequence number.
            body.extend((numbered.number as u16).to_be_bytes());
            body.extend([0, 0]);
        }
    }
    body.extend(&data);
    let number = number_of(protocol, source);
    let at = match protocol {
        Protocol::Tcp => 16,
        Protocol::Udp => 6,
        Protocol::Icmp => 2,
    };
    let plain = protocol == Protocol::Icmp && source.is_ipv4();
    let sum = match plain {
        true => checksum(&body),
        false => {
            let mut pseudo = bytes(source);
            pseudo.extend(bytes(destination));
            pseudo.extend((body.len() as u32).to_be_bytes());
            pseudo.extend([0, 0, 0, number]);
            pseudo.extend(&body);
            checksum(&pseudo)
        }
    };
    // RFC 768: a sum of 0 would say that there is none.
    let sum = if protocol == Protocol::Udp && sum == 0 {
        0xffff
    } else {
        sum
    };
    body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    let mut frame = hop.to.0.to_vec();
    frame.extend(hop.from.0);
    if source.is_ipv4() {
        frame.extend(IPV4);
        let mut header = vec![0x45, 0];
        header.extend((20 + body.len() as u16).to_be_bytes());
        header.extend([0, 0, 0x40, 0, 64, number, 0, 0]);
        header.extend(bytes(source));
        header.extend(bytes(destination));
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend(header);
    } else {
        frame.extend(IPV6);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend((body.len() as u16).to_be_bytes());
        frame.extend([number, 64]);
        frame.extend(bytes(source));
        frame.extend(bytes(destination));
    }
    frame.extend(body);
    frame
}

/// Reads one of our frames that is for `mac`.
pub fn read(frame: &[u8], mac: Mac) -> Option<Numbered> {
    if frame.get(..6)? != mac.0 {
        return None;
    }
    let kind: [u8; 2] = frame.get(12..14)?.try_into().ok()?;
    let packet = frame.get(14..)?;
    let (number, source, destination, body) = match kind {
        IPV4 => {
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let destination: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            let addresses = (Ipv4Addr::from(source).into(), Ipv4Addr::from(destination).into());
            (packet[9], addresses.0, addresses.1, packet.get(20..)?)
        }
        IPV6 => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let destination: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            let addresses: (IpAddr, IpAddr) = (Ipv6Addr::from(source).into(), Ipv6Addr::from(destination).into());
            (packet[6], addresses.0, addresses.1, packet.get(40..)?)
        }
        _ => return None,
    };
    let (protocol, header) = match number {
        6 => (Protocol::Tcp, 20),
        17 => (Protocol::Udp, 8),
        1 | 58 => (Protocol::Icmp, 8),
        _ => return None,
    };
    // An answer of a gateway, or an error, has ours in it as well.
    if protocol == Protocol::Icmp && !matches!(body.first()?, 8 | 128) {
        return None;
    }
    let data = body.get(header..)?.strip_prefix(OURS)?;
    let port = |at: usize| match protocol {
        Protocol::Icmp => 0,
        _ => u16::from_be_bytes([body[at], body[at + 1]]),
    };
    Some(Numbered {
        packet: Packet {
            protocol,
            source,
            source_port: port(0),
            destination,
            destination_port: port(2),
        },
        number: u64::from_be_bytes(data.get(..8)?.try_into().ok()?),
    })
}

fn number_of(protocol: Protocol, address: IpAddr) -> u8 {
    match (protocol, address) {
        (Protocol::Tcp, _) => 6,
        (Protocol::Udp, _) => 17,
        (Protocol::Icmp, IpAddr::V4(_)) => 1,
        (Protocol::Icmp, IpAddr::V6(_)) => 58,
    }
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
