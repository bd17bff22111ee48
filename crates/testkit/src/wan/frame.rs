//! Packets as a TUN device gives them, and what is left of one when some of its segments are lost.
//!
//! A frame is a `virtio_net_hdr` (virtio 1.2, section 5.1.6; ten bytes, little endian) and an IP packet. A TCP packet may be
//! larger than the link's MTU; the header then says into what segments a network card would cut it. On the emulated wire
//! every such segment is lost or queued by itself.

use std::ops::Range;

/// Length of `virtio_net_hdr` without the number of buffers.
pub(super) const HEADER: usize = 10;
/// No frame is longer: an IPv4 packet has at most 65,535 bytes.
pub(super) const LONGEST: usize = HEADER + 65_536;

const GSO_TYPE: usize = 1;
const GSO_SIZE: Range<usize> = 4..6;
const TCP: u8 = 6;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// How a frame falls into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Segments on the wire.
    pub segments: usize,
    ip_header: usize,
    /// IP and TCP headers, which each segment has.
    headers: usize,
    segment_size: usize,
    payload: usize,
}

impl Layout {
    pub(super) fn of(frame: &[u8]) -> Self {
        let packet = &frame[HEADER..];
        let whole = Self {
            segments: 1,
            ip_header: 0,
            headers: 0,
            segment_size: packet.len(),
            payload: packet.len(),
        };
        let segment_size = usize::from(u16::from_le_bytes([frame[4], frame[5]]));
        let is_tcp4 = packet.len() >= 40 && packet[0] >> 4 == 4 && packet[9] == TCP;
        if frame[GSO_TYPE] == 0 || segment_size == 0 || !is_tcp4 {
            return whole;
        }
        let ip_header = usize::from(packet[0] & 15) * 4;
        let Some(offset) = packet.get(ip_header + 12) else {
            return whole;
        };
        let headers = ip_header + usize::from(offset >> 4) * 4;
        match packet.len().checked_sub(headers) {
            Some(payload) if payload > segment_size => Self {
                segments: payload.div_ceil(segment_size),
                ip_header,
                headers,
                segment_size,
                payload,
            },
            _ => whole,
        }
    }

    /// Bytes of these segments on the wire, all headers counted.
    pub(super) fn wire_bytes(&self, segments: &Range<usize>) -> usize {
        self.payload_of(segments).len() + segments.len() * self.headers
    }

    fn payload_of(&self, segments: &Range<usize>) -> Range<usize> {
        let end = |segment: usize| (segment * self.segment_size).min(self.payload);
        end(segments.start)..end(segments.end)
    }

    /// Writes into `out` the frame that carries only these segments of `frame`.
    pub(super) fn cut(&self, frame: &[u8], segments: Range<usize>, out: &mut Vec<u8>) {
        let payload = self.payload_of(&segments);
        let start_of_payload = HEADER + self.headers;
        out.clear();
        out.extend_from_slice(&frame[..start_of_payload]);
        out.extend_from_slice(&frame[start_of_payload + payload.start..start_of_payload + payload.end]);
        if segments.len() == 1 {
            out[GSO_TYPE] = 0;
            out[GSO_SIZE].fill(0);
        }
        let (ip, tcp) = out[HEADER..].split_at_mut(self.ip_header);
        let length = (ip.len() + tcp.len()) as u16;
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        ip[10..12].fill(0);
        let checksum = !folded(sum(ip));
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());

        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(payload.start as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if segments.start > 0 {
            tcp[13] &= !CWR; // Only the first segment tells of the smaller window (RFC 3168, section 6.1.2).
        }
        if payload.end < self.payload {
            tcp[13] &= !(FIN | PSH); // These belong to the last byte.
        }
        // The header asks the receiving kernel to finish the checksum; it starts from the sum of the pseudo header.
        let pseudo = folded(sum(&ip[12..20]) + u32::from(TCP) + tcp.len() as u32);
        tcp[16..18].copy_from_slice(&pseudo.to_be_bytes());
    }
}

/// Sum of 16-bit words (RFC 1071); headers have an even length.
fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum()
}

fn folded(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: usize = 1000;

    /// A frame of `payload` bytes, each telling its segment; PSH, FIN and CWR set, sequence 5.
    fn frame(payload: usize) -> Vec<u8> {
        let mut frame = vec![1, 1, 40, 0, 0, 0, 20, 0, 16, 0];
        frame[GSO_SIZE].copy_from_slice(&(SEGMENT as u16).to_le_bytes());
        let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, TCP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        ip[2..4].copy_from_slice(&((40 + payload) as u16).to_be_bytes());
        let mut tcp = vec![0; 20];
        tcp[7] = 5;
        tcp[12] = 5 << 4;
        tcp[13] = FIN | PSH | CWR;
        frame.extend(ip);
        frame.extend(tcp);
        frame.extend((0..payload).map(|at| (at / SEGMENT) as u8));
        frame
    }

    #[test]
    fn wire_bytes_count_every_header() {
        let frame = frame(2500);
        let layout = Layout::of(&frame);
        assert_eq!(layout.segments, 3);
        assert_eq!(layout.wire_bytes(&(0..3)), 2500 + 3 * 40);
        assert_eq!(layout.wire_bytes(&(2..3)), 500 + 40);
    }

    #[test]
    fn a_middle_segment_stands_alone() {
        let frame = frame(2500);
        let mut out = vec![];
        Layout::of(&frame).cut(&frame, 1..2, &mut out);
        assert_eq!(out[GSO_TYPE], 0);
        let (ip, tcp) = out[HEADER..].split_at(20);
        assert_eq!(folded(sum(ip)), 0xffff, "the IP checksum is right");
        assert_eq!(u16::from_be_bytes([ip[2], ip[3]]) as usize, 40 + SEGMENT);
        assert_eq!(u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]), 5 + SEGMENT as u32);
        assert_eq!(tcp[13], 0);
        assert_eq!(tcp[20..], vec![1; SEGMENT]);
    }

    #[test]
    fn the_last_segments_keep_their_end() {
        let frame = frame(2500);
        let mut out = vec![];
        Layout::of(&frame).cut(&frame, 1..3, &mut out);
        assert_eq!(out[GSO_TYPE], 1);
        assert_eq!(out[HEADER + 20 + 13], FIN | PSH);
        assert_eq!(out.len(), HEADER + 40 + 1500);
    }

    #[test]
    fn what_is_not_tcp_is_one_segment() {
        let mut frame = frame(2500);
        frame[HEADER + 9] = 17;
        let layout = Layout::of(&frame);
        assert_eq!((layout.segments, layout.wire_bytes(&(0..1))), (1, 2540));
    }
}
