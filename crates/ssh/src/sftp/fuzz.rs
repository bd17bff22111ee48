//! Entry points for fuzzing: each takes any bytes and must return, without a panic and in time and memory bounded by their
//! length. They check on the way that what was read is written and read again as the same.

use bytes::{Bytes, BytesMut};

use super::frame::Deframer;
use super::packet::{Answer, Request, Version, decode_init};
use super::reply::{Payload, Wanted};

/// Takes bytes for one packet, in each role that a packet can have.
///
/// # Panics
/// If a packet that was read is not written again as one that reads the same.
pub fn fuzz_packet(data: &[u8]) {
    let mut out = BytesMut::new();
    if let Ok((id, request)) = Request::decode(data) {
        request.encode(id, &mut out);
        assert_eq!(Request::decode(body(&out)), Ok((id, request)));
    }
    out.clear();
    if let Ok((id, answer)) = Answer::decode(data) {
        answer.encode(id, &mut out);
        assert_eq!(Answer::decode(body(&out)), Ok((id, answer)));
    }
    out.clear();
    if let Ok(version) = Version::decode(data) {
        version.encode(&mut out);
        assert_eq!(Version::decode(body(&out)), Ok(version));
    }
    let _ = decode_init(data);
}

/// Takes bytes for what a channel brings: the first says how long the chunks are, the rest is the stream.
///
/// # Panics
/// If a packet within the stream is not what stands there.
pub fn fuzz_stream(data: &[u8]) {
    let Some((&step, stream)) = data.split_first() else {
        return;
    };
    let mut rest = stream;
    let mut deframer = Deframer::new();
    for chunk in stream.chunks(usize::from(step) + 1) {
        deframer.push(Bytes::copy_from_slice(chunk));
        loop {
            match deframer.next_packet() {
                Err(_) => return,
                Ok(None) => break,
                Ok(Some(packet)) => {
                    let (_, behind) = rest.split_at_checked(4).unwrap_or_default();
                    assert!(behind.starts_with(&packet), "a packet is not what the stream has");
                    rest = behind.get(packet.len()..).unwrap_or_default();
                    judge(&packet);
                }
            }
        }
    }
}

/// Reads an answer as the client does, for every kind of request.
fn judge(packet: &Bytes) {
    let Ok((_, payload)) = Payload::decode(packet) else {
        return;
    };
    for wanted in [
        Wanted::Status,
        Wanted::Handle,
        Wanted::Data { asked: 16 },
        Wanted::Names,
        Wanted::OneName,
        Wanted::Attrs,
        Wanted::StatVfs,
        Wanted::Limits,
    ] {
        let _ = wanted.check(&payload);
    }
}

/// A packet without its length field.
fn body(packet: &[u8]) -> &[u8] {
    packet.get(4..).unwrap_or_default()
}
