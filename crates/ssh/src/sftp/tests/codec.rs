//! Properties of the codec.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::sftp::frame::Deframer;
use crate::sftp::packet::{Answer, Extended, Name, OpenFlags, Request};
use crate::sftp::{Attrs, Owner, SftpError, StatusCode, Times, fuzz_packet, fuzz_stream};

fn attrs() -> impl Strategy<Value = Attrs> {
    let owner = option::of(any::<(u32, u32)>());
    let times = option::of(any::<(u32, u32)>());
    (any::<Option<u64>>(), owner, any::<Option<u32>>(), times).prop_map(|(size, owner, permissions, times)| Attrs {
        size,
        owner: owner.map(|(uid, gid)| Owner { uid, gid }),
        permissions,
        times: times.map(|(atime, mtime)| Times { atime, mtime }),
    })
}

/// A request of each kind from the same parts.
fn requests<'a>(one: &'a [u8], two: &'a [u8], attrs: Attrs, (number, len): (u64, u32)) -> Vec<Request<'a>> {
    let flags = OpenFlags(len);
    let extended = [
        Extended::Limits,
        Extended::PosixRename { from: one, to: two },
        Extended::Hardlink { from: one, to: two },
        Extended::Fsync { handle: one },
        Extended::Statvfs { path: one },
        Extended::Lsetstat { path: one, attrs },
        Extended::ExpandPath { path: one },
        Extended::HomeDirectory { user: one },
        Extended::CopyData {
            from: one,
            from_offset: number,
            len: number,
            to: two,
            to_offset: number,
        },
        Extended::Other {
            name: b"x@y",
            data: two,
        },
    ];
    let mut all = vec![
        Request::Open {
            path: one,
            flags,
            attrs,
        },
        Request::Close { handle: one },
        Request::Read {
            handle: one,
            offset: number,
            len,
        },
        Request::Write {
            handle: one,
            offset: number,
            data: two,
        },
        Request::Lstat { path: one },
        Request::Fstat { handle: one },
        Request::Setstat { path: one, attrs },
        Request::Fsetstat { handle: one, attrs },
        Request::Opendir { path: one },
        Request::Readdir { handle: one },
        Request::Remove { path: one },
        Request::Mkdir { path: one, attrs },
        Request::Rmdir { path: one },
        Request::Realpath { path: one },
        Request::Stat { path: one },
        Request::Rename { from: one, to: two },
        Request::Readlink { path: one },
        Request::Symlink { target: one, link: two },
    ];
    all.extend(extended.map(Request::Extended));
    all
}

/// An answer of each kind from the same parts.
fn answers<'a>(one: &'a [u8], two: &'a [u8], attrs: Attrs, code: u32) -> Vec<Answer<'a>> {
    let code = StatusCode::from_u32(code);
    let name = Name {
        name: one,
        longname: two,
        attrs,
    };
    vec![
        Answer::Status { code, message: one },
        Answer::Handle(one),
        Answer::Data(two),
        Answer::Name(vec![name; 3]),
        Answer::Attrs(attrs),
        Answer::Extended(two),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(
        one in vec(any::<u8>(), 0..300),
        two in vec(any::<u8>(), 0..300),
        attrs in attrs(),
        numbers in any::<(u64, u32)>(),
        id in any::<u32>(),
    ) {
        let mut out = BytesMut::new();
        for request in requests(&one, &two, attrs, numbers) {
            out.clear();
            request.encode(id, &mut out);
            prop_assert_eq!(u32::from_be_bytes(*out.first_chunk().unwrap()) as usize, out.len() - 4);
            prop_assert_eq!(Request::decode(&out[4..]), Ok((id, request)));
        }
        for answer in answers(&one, &two, attrs, numbers.1) {
            out.clear();
            answer.encode(id, &mut out);
            prop_assert_eq!(Answer::decode(&out[4..]), Ok((id, answer)));
        }
    }

    #[test]
    fn a_packet_cut_short_is_an_error(
        one in vec(any::<u8>(), 1..20),
        two in vec(any::<u8>(), 1..20),
        attrs in attrs(),
        numbers in any::<(u64, u32)>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut out = BytesMut::new();
        for request in requests(&one, &two, attrs, numbers) {
            // The body of an extension that is not known has no form that it could lack.
            if matches!(request, Request::Extended(Extended::Other { .. })) {
                continue;
            }
            out.clear();
            request.encode(1, &mut out);
            let packet = &out[4..];
            prop_assert!(Request::decode(&packet[..cut.index(packet.len())]).is_err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(kind in 0_u8..=255, rest in vec(any::<u8>(), 0..200), chunk in any::<u8>()) {
        let packet: Vec<u8> = [kind].into_iter().chain(rest).collect();
        fuzz_packet(&packet);
        let len = u32::try_from(packet.len()).unwrap().to_be_bytes();
        fuzz_stream(&[&[chunk][..], &len[..], &packet[..], &packet[..]].concat());
        fuzz_stream(&packet);
    }

    #[test]
    fn chunks_make_no_difference_to_packets(
        lens in vec(prop_oneof![1_usize..2000, 60_000_usize..263_000], 1..6),
        cuts in vec(1_usize..40_000, 1..20),
    ) {
        let packets: Vec<Vec<u8>> = lens.iter().map(|&len| (0..len).map(|at| (at * 7 + len) as u8).collect()).collect();
        let mut stream = Bytes::from(
            packets
                .iter()
                .flat_map(|packet| [&(packet.len() as u32).to_be_bytes()[..], packet].concat())
                .collect::<Vec<u8>>(),
        );
        let mut deframer = Deframer::new();
        let mut cut = cuts.iter().cycle();
        let mut found = Vec::new();
        while !stream.is_empty() {
            deframer.push(stream.split_to(stream.len().min(*cut.next().unwrap())));
            while let Some(packet) = deframer.next_packet().unwrap() {
                found.push(packet);
            }
        }
        prop_assert!(found == packets);
    }

    #[test]
    fn no_message_of_a_server_has_controls_when_shown(code in any::<u32>(), message in vec(any::<u8>(), 0..100)) {
        let code = StatusCode::from_u32(code);
        let shown = SftpError::Status { code, message: message.into() }.to_string();
        prop_assert!(!shown.chars().any(char::is_control));
    }
}

#[test]
fn a_packet_in_thousands_of_crumbs_is_put_together() {
    let packet: Vec<u8> = (0..10_000_u32).map(|at| at as u8).collect();
    let stream = [&10_000_u32.to_be_bytes()[..], &packet].concat();
    let mut deframer = Deframer::new();
    for crumb in stream.chunks(1) {
        assert_eq!(deframer.next_packet(), Ok(None));
        deframer.push(Bytes::copy_from_slice(crumb));
    }
    assert_eq!(deframer.next_packet(), Ok(Some(Bytes::from(packet))));
}
