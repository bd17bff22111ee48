//! Servers that break the protocol.

use bytes::BytesMut;

use super::peer::{PATIENT, Peer, encoded, status};
use crate::sftp::packet::{Answer, Name, OpenFlags, Request, Version};
use crate::sftp::{Attrs, Limits, LostReason, Malformed, ProtocolError, Sftp, SftpError, StatusCode};

const NAME: Name<'static> = Name {
    name: b"a",
    longname: b"",
    attrs: Attrs::none(),
};

fn protocol(error: &SftpError) -> ProtocolError {
    match error {
        SftpError::Protocol(error) => *error,
        other => panic!("{other} is no protocol error"),
    }
}

/// What becomes of one `lstat` and of another request in flight when the server sends `bytes`.
async fn after(bytes: &[u8]) -> ProtocolError {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let first = sftp.lstat(b"a");
    let second = sftp.remove(b"b");
    peer.id().await;
    peer.send(bytes);
    let error = protocol(&first.await.unwrap_err());
    assert_eq!(protocol(&second.await.unwrap_err()), error, "all in flight end alike");
    assert_eq!(protocol(&sftp.closed().await), error);
    assert_eq!(protocol(&sftp.stat(b"later").await.unwrap_err()), error);
    assert!(sftp.is_closed());
    error
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_ends_the_session() {
    let error = after(&encoded(77, &status(StatusCode::Ok))).await;
    assert_eq!(error, ProtocolError::UnknownId(77));
}

#[tokio::test]
async fn a_second_reply_ends_the_session_but_the_first_counts() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let reply = sftp.remove(b"a");
    let id = peer.id().await;
    peer.ok(id);
    peer.ok(id);
    assert_eq!(protocol(&sftp.closed().await), ProtocolError::UnknownId(id));
    reply.await.unwrap();
}

#[tokio::test]
async fn a_second_reply_does_not_meet_the_next_request() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let first = sftp.remove(b"a");
    let id = peer.id().await;
    peer.ok(id);
    first.await.unwrap();
    let second = sftp.remove(b"b");
    assert_ne!(peer.id().await, id);
    peer.ok(id);
    assert_eq!(protocol(&second.await.unwrap_err()), ProtocolError::UnknownId(id));
}

#[tokio::test]
async fn absurd_lengths_end_the_session() {
    assert_eq!(after(&[0xff; 4]).await, ProtocolError::PacketTooLong(u32::MAX));
    assert_eq!(after(&[0; 4]).await, ProtocolError::PacketEmpty);
    let huge = (256 * 1024 + 1025_u32).to_be_bytes();
    assert_eq!(after(&huge).await, ProtocolError::PacketTooLong(256 * 1024 + 1025));
}

#[tokio::test]
async fn fields_that_are_cut_off_end_the_session() {
    let cut = after(&[0, 0, 0, 6, 105, 0, 0, 0, 0, 0]).await;
    assert_eq!(cut, Malformed::Truncated("attribute flags").into());
    assert_eq!(after(&[0, 0, 0, 1, 9]).await, Malformed::UnknownType(9).into());
}

#[tokio::test]
async fn more_data_than_asked_for_ends_the_session() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let open = sftp.open(b"a", OpenFlags::READ, &Attrs::none());
    let id = peer.id().await;
    peer.answer(id, &Answer::Handle(b"h"));
    let read = sftp.read(&open.await.unwrap(), 0, 4);
    let id = peer.id().await;
    peer.answer(id, &Answer::Data(b"12345"));
    let error = protocol(&read.await.unwrap_err());
    assert_eq!(error, ProtocolError::TooMuchData { asked: 4, got: 5 });
}

#[tokio::test]
async fn a_name_count_beyond_the_packet_ends_the_session() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let reply = sftp.realpath(b".");
    let mut packet = encoded(peer.id().await, &Answer::Name(vec![NAME]));
    packet[9..13].copy_from_slice(&u32::MAX.to_be_bytes());
    peer.send(&packet);
    let error = protocol(&reply.await.unwrap_err());
    assert!(
        matches!(error, ProtocolError::Malformed(Malformed::Excess { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_path_is_exactly_one_name() {
    for count in [0, 2] {
        let (sftp, mut peer) = Peer::session(&[]).await;
        let reply = sftp.readlink(b"link");
        let id = peer.id().await;
        peer.answer(id, &Answer::Name(vec![NAME; count]));
        assert_eq!(protocol(&reply.await.unwrap_err()), ProtocolError::NameCount(count));
    }
}

#[tokio::test]
async fn a_reply_of_another_kind_ends_the_session() {
    for answer in [status(StatusCode::Ok), Answer::Data(b"h"), Answer::Attrs(Attrs::none())] {
        let (sftp, mut peer) = Peer::session(&[]).await;
        let reply = sftp.opendir(b"a");
        let id = peer.id().await;
        peer.answer(id, &answer);
        let error = protocol(&reply.await.unwrap_err());
        assert!(
            matches!(error, ProtocolError::UnexpectedType { wanted: "handle", .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_handle_of_257_bytes_ends_the_session() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let reply = sftp.opendir(b"a");
    let id = peer.id().await;
    peer.answer(id, &Answer::Handle(&[b'h'; 257]));
    assert_eq!(protocol(&reply.await.unwrap_err()), ProtocolError::HandleTooLong(257));
}

#[tokio::test]
async fn a_listing_without_names_is_at_its_end() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let open = sftp.opendir(b"a");
    let id = peer.id().await;
    peer.answer(id, &Answer::Handle(b"h"));
    let listing = sftp.readdir(&open.await.unwrap());
    let id = peer.id().await;
    peer.answer(id, &Answer::Name(vec![]));
    assert_eq!(listing.await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_sftp_server_is_told_from_one() {
    let noise = Peer::greeted(b"Welcome to the cluster!\n").await.unwrap_err();
    assert_eq!(protocol(&noise), ProtocolError::Text(*b"Welc"));
    let status = Peer::greeted(&encoded(0, &status(StatusCode::Ok))).await.unwrap_err();
    assert_eq!(protocol(&status), ProtocolError::NotVersion(101));
    let mut out = BytesMut::new();
    let extensions = Vec::new();
    Version { version: 2, extensions }.encode(&mut out);
    assert_eq!(
        protocol(&Peer::greeted(&out).await.unwrap_err()),
        ProtocolError::Version(2)
    );
    let nothing = Peer::greeted(&out[..7]).await.unwrap_err();
    assert!(matches!(nothing, SftpError::Lost(LostReason::Ended { .. })));
}

#[tokio::test]
async fn hostile_words_reach_no_terminal() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let reply = sftp.remove(b"a");
    let id = peer.id().await;
    let message = b"\x1b]0;owned\x07\xff\r\nok";
    peer.answer(
        id,
        &Answer::Status {
            code: StatusCode::Failure,
            message,
        },
    );
    let error = reply.await.unwrap_err();
    assert_eq!(error.code(), Some(StatusCode::Failure));
    let shown = error.to_string();
    assert!(shown.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{shown:?}");
    assert!(!sftp.is_closed());
}

#[tokio::test]
async fn limits_that_cannot_be_are_not_believed() {
    for (said, expected) in [(0, 32_768), (1, 1024), (u64::MAX, 261_120)] {
        let ((tx, rx), mut peer) = Peer::silent();
        let mut out = BytesMut::new();
        let extensions: Vec<(&[u8], &[u8])> = vec![(b"limits@openssh.com", b"1"), (b"fsync@openssh.com", b"9")];
        Version { version: 3, extensions }.encode(&mut out);
        peer.send(&out);
        let sftp = Sftp::start_over(tx, rx, PATIENT);
        peer.packet().await;
        assert!(matches!(
            Request::decode(&peer.packet().await),
            Ok((0, Request::Extended(_)))
        ));
        let body = [u64::MAX, said, said, said].map(u64::to_be_bytes).concat();
        peer.answer(0, &Answer::Extended(&body));
        let extensions = sftp.extensions().await.unwrap();
        assert_eq!(sftp.limits().max_write, expected);
        assert_eq!(sftp.limits().max_packet, 256 * 1024);
        assert!(!extensions.fsync, "version 9 is not the one spoken");
    }
}

#[tokio::test]
async fn limits_that_were_not_announced_do_not_count() {
    let ((tx, rx), peer) = Peer::silent();
    let mut out = BytesMut::new();
    let extensions = Vec::new();
    Version { version: 3, extensions }.encode(&mut out);
    peer.send(&out);
    let body = [200_000_u64; 4].map(u64::to_be_bytes).concat();
    peer.answer(0, &Answer::Extended(&body));
    let sftp = Sftp::start_over(tx, rx, PATIENT);
    sftp.ready().await.unwrap();
    assert_eq!(sftp.limits(), Limits::default());
}
