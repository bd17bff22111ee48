//! What is asked before the session has begun.

use std::time::Duration;

use bytes::BytesMut;

use super::peer::{PATIENT, Peer, encoded, status};
use crate::sftp::client::Opening;
use crate::sftp::packet::{Answer, Request, Version, decode_init};
use crate::sftp::{Attrs, Limits, LostReason, ProtocolError, Sftp, SftpError, StatusCode, WriteBuf};

fn version(version: u32, extensions: &[(&[u8], &[u8])]) -> BytesMut {
    let mut out = BytesMut::new();
    let extensions = extensions.to_vec();
    Version { version, extensions }.encode(&mut out);
    out
}

fn is_not_begun(error: &SftpError) -> bool {
    matches!(error, SftpError::Lost(LostReason::NotBegun)) && error.is_transient()
}

#[tokio::test]
async fn the_first_requests_go_out_with_init() {
    let ((tx, rx), mut peer) = Peer::silent();
    let sftp = Sftp::start_over(tx, rx, PATIENT);
    let stat = sftp.stat(b"a");
    assert_eq!(decode_init(&peer.packet().await), Ok(3));
    let (limits, _) = (peer.id().await, peer.send(&version(3, &[(b"fsync@openssh.com", b"1")])));
    let packet = peer.packet().await;
    let Ok((id, Request::Stat { path: b"a" })) = Request::decode(&packet) else {
        panic!("not what was asked");
    };
    assert_eq!(peer.pieces, 1, "all in one packet");
    assert_ne!(id, limits, "each has an id of its own");
    assert!(!sftp.is_ready());
    peer.answer(limits, &status(StatusCode::OpUnsupported));
    peer.answer(id, &Answer::Attrs(Attrs::none()));
    stat.await.unwrap();
    assert!(sftp.is_ready(), "known with the first reply");
    assert!(sftp.extensions().await.unwrap().fsync);
    assert_eq!(sftp.requests_sent(), 1);
}

#[tokio::test]
async fn limits_that_come_behind_other_replies_are_heard() {
    let ((tx, rx), mut peer) = Peer::silent();
    let sftp = Sftp::start_over(tx, rx, PATIENT);
    let stat = sftp.stat(b"a");
    peer.packet().await;
    let (limits, id) = (peer.id().await, peer.id().await);
    peer.send(&version(3, &[(b"limits@openssh.com", b"1")]));
    peer.answer(id, &Answer::Attrs(Attrs::none()));
    stat.await.unwrap();
    assert_eq!(sftp.limits(), Limits::default());
    let body = [200_000_u64; 4].map(u64::to_be_bytes).concat();
    peer.answer(limits, &Answer::Extended(&body));
    sftp.ready().await.unwrap();
    assert_eq!(sftp.limits().max_packet, 200_000);
}

#[tokio::test]
async fn what_was_asked_of_a_session_that_never_began_may_be_asked_of_another() {
    let cases: [(BytesMut, ProtocolError); 5] = [
        (BytesMut::from(&b"Welcome!\n"[..]), ProtocolError::Text(*b"Welc")),
        (version(2, &[]), ProtocolError::Version(2)),
        (version(6, &[]), ProtocolError::Version(6)),
        (encoded(1, &status(StatusCode::Ok)), ProtocolError::NotVersion(101)),
        (encoded(0, &Answer::Handle(b"h")), ProtocolError::NotVersion(102)),
    ];
    for (greeting, expected) in cases {
        let ((tx, rx), peer) = Peer::silent();
        let sftp = Sftp::start_over(tx, rx, PATIENT);
        let stat = sftp.stat(b"a");
        peer.send(&greeting);
        assert!(is_not_begun(&stat.await.unwrap_err()));
        assert!(matches!(sftp.ready().await, Err(SftpError::Protocol(error)) if error == expected));
        assert!(matches!(sftp.start_error(), Some(SftpError::Protocol(error)) if error == expected));
        assert!(matches!(sftp.closed().await, SftpError::Protocol(error) if error == expected));
        assert!(is_not_begun(&sftp.stat(b"later").await.unwrap_err()));
        assert!(sftp.is_closed() && !sftp.is_ready());
    }
}

#[tokio::test]
async fn a_second_version_ends_the_session() {
    let (sftp, peer) = Peer::session(&[]).await;
    peer.send(&version(3, &[(b"fsync@openssh.com", b"1")]));
    assert!(matches!(
        sftp.closed().await,
        SftpError::Protocol(ProtocolError::Malformed(_))
    ));
    assert!(!sftp.extensions().await.unwrap().fsync, "the first counts");
    assert!(sftp.start_error().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_begins_nothing_is_given_up() {
    for greeting in [BytesMut::new(), version(3, &[])] {
        let ((tx, rx), peer) = Peer::silent();
        let patience = Duration::from_secs(60);
        let sftp = Sftp::start_over(tx, rx, Opening { known: None, patience });
        let stat = sftp.stat(b"a");
        peer.send(&greeting);
        assert!(is_not_begun(&stat.await.unwrap_err()));
        assert!(matches!(sftp.ready().await, Err(SftpError::Lost(LostReason::Silent))));
    }
}

#[tokio::test(start_paused = true)]
async fn once_begun_a_session_has_time() {
    let ((tx, rx), peer) = Peer::silent();
    let (patience, known) = (Duration::from_secs(60), Some(Limits::default()));
    let sftp = Sftp::start_over(tx, rx, Opening { known, patience });
    peer.send(&version(3, &[]));
    sftp.ready().await.unwrap();
    let reply = sftp.stat(b"a");
    assert!(tokio::time::timeout(patience * 10, reply).await.is_err());
    assert!(!sftp.is_closed());
}

#[tokio::test]
async fn only_what_every_server_takes_is_sent_before_limits_are_known() {
    let ((tx, rx), mut peer) = Peer::silent();
    let sftp = Sftp::start_over(tx, rx, PATIENT);
    let handle = crate::sftp::Handle("h".into());
    let write = sftp.write(&handle, 0, WriteBuf::from_slice(&[0; 34_000])).await;
    assert!(matches!(write, Err(SftpError::RequestTooLarge { max: 34_000, .. })));
    let read = sftp.read(&handle, 0, u32::MAX);
    peer.packet().await;
    peer.id().await;
    let packet = peer.packet().await;
    assert!(matches!(
        Request::decode(&packet),
        Ok((_, Request::Read { len: 32_768, .. }))
    ));
    drop(read);
}
