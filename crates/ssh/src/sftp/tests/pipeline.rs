//! Order, sharing of packets, and replies that nobody waits for.

use bytes::Bytes;

use super::peer::{Peer, encoded, status};
use crate::sftp::packet::{Answer, OpenFlags, Request};
use crate::sftp::{Attrs, BufPool, LostReason, SftpError, StatusCode, WriteBuf};

const HANDLE: Answer<'static> = Answer::Handle(b"handle");

/// The request that closes what [`HANDLE`] opened.
fn is_close(packet: &Bytes) -> Option<u32> {
    match Request::decode(packet) {
        Ok((id, Request::Close { handle: b"handle" })) => Some(id),
        _ => None,
    }
}

#[tokio::test]
async fn small_requests_made_together_share_a_packet() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let replies: Vec<_> = (0..100).map(|_| sftp.lstat(b"some/path")).collect();
    for _ in 0..100 {
        let id = peer.id().await;
        peer.answer(id, &Answer::Attrs(Attrs::none()));
    }
    assert_eq!(peer.pieces, 1);
    assert_eq!(sftp.requests_sent(), 100);
    for reply in replies {
        reply.await.unwrap();
    }
}

#[tokio::test]
async fn requests_go_out_in_the_order_of_the_calls() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let open = sftp.open(b"a", OpenFlags::WRITE | OpenFlags::CREATE, &Attrs::with_mode(0o600));
    let id = peer.id().await;
    peer.answer(id, &HANDLE);
    let handle = open.await.unwrap();
    let small = sftp.write(&handle, 0, WriteBuf::from_slice(b"small"));
    let large = sftp.write(&handle, 5, WriteBuf::from_slice(&[7; 20_000]));
    let mode = sftp.fsetstat(&handle, &Attrs::with_mode(0o644));
    let close = sftp.close(&handle);
    let packets = [
        peer.packet().await,
        peer.packet().await,
        peer.packet().await,
        peer.packet().await,
    ];
    let requests: Vec<_> = packets
        .iter()
        .map(|packet| Request::decode(packet).unwrap().1)
        .collect();
    assert!(matches!(
        requests[0],
        Request::Write {
            offset: 0,
            data: b"small",
            ..
        }
    ));
    assert!(matches!(requests[1], Request::Write { offset: 5, data, .. } if data == [7; 20_000]));
    assert!(matches!(requests[2], Request::Fsetstat { .. }));
    assert!(matches!(requests[3], Request::Close { .. }));
    drop((small, large, mode, close));
}

#[tokio::test]
async fn replies_may_come_in_any_order_and_in_any_pieces() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let replies: Vec<_> = (0..1000).map(|_| sftp.stat(b"a")).collect();
    let mut ids = Vec::new();
    for _ in 0..1000 {
        ids.push(peer.id().await);
    }
    let mut stream = Vec::new();
    for (size, &id) in ids.iter().enumerate().rev() {
        let size = Some(size as u64);
        stream.extend_from_slice(&encoded(id, &Answer::Attrs(Attrs { size, ..Attrs::none() })));
    }
    stream.chunks(7).for_each(|chunk| peer.send(chunk));
    for (size, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.await.unwrap().size, Some(size as u64));
    }
}

#[tokio::test]
async fn a_dropped_reply_costs_nothing_and_others_go_on() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    drop(sftp.remove(b"a"));
    let second = sftp.remove(b"b");
    for _ in 0..2 {
        let id = peer.id().await;
        peer.answer(id, &status(StatusCode::NoSuchFile));
    }
    assert_eq!(second.await.unwrap_err().code(), Some(StatusCode::NoSuchFile));
    assert!(!sftp.is_closed());
}

#[tokio::test]
async fn an_abandoned_session_answers_nobody_and_waits_for_nothing() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let (other, before) = (sftp.clone(), sftp.remove(b"a"));
    let _ = peer.id().await;
    sftp.abandon();
    assert!(before.await.unwrap_err().is_transient());
    assert!(other.is_closed() && other.remove(b"b").await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_handle_that_comes_too_late_is_closed() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    drop(sftp.open(b"a", OpenFlags::READ, &Attrs::none()));
    let id = peer.id().await;
    peer.answer(id, &HANDLE);
    let close = is_close(&peer.packet().await).expect("a close");
    peer.ok(close);
    let next = sftp.remove(b"b");
    let id = peer.id().await;
    peer.ok(id);
    next.await.unwrap();
}

#[tokio::test]
async fn a_handle_that_was_not_fetched_is_closed() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let open = sftp.opendir(b"a");
    let other = sftp.stat(b"b");
    let id = peer.id().await;
    peer.answer(id, &HANDLE);
    let id = peer.id().await;
    peer.answer(id, &Answer::Attrs(Attrs::none()));
    // Replies are handed out in the order in which they come, so the handle is there.
    other.await.unwrap();
    drop(open);
    assert!(is_close(&peer.packet().await).is_some());
}

#[tokio::test]
async fn the_end_of_the_channel_is_the_answer_to_all_in_flight() {
    let (sftp, peer) = Peer::session(&[]).await;
    let replies: Vec<_> = (0..100).map(|_| sftp.stat(b"a")).collect();
    drop(peer);
    for reply in replies {
        let error = reply.await.unwrap_err();
        assert!(matches!(error, SftpError::Lost(LostReason::Ended { .. })), "{error}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn an_extension_that_is_not_offered_is_not_asked_for() {
    let (sftp, _peer) = Peer::session(&[(b"hardlink@openssh.com", b"2")]).await;
    let error = sftp.hardlink(b"a", b"b").await.unwrap_err();
    assert_eq!(error.code(), Some(StatusCode::OpUnsupported));
    assert_eq!(sftp.requests_sent(), 0);
}

#[tokio::test]
async fn too_large_a_request_is_refused_here() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let open = sftp.opendir(b"a");
    let id = peer.id().await;
    peer.answer(id, &HANDLE);
    let handle = open.await.unwrap();
    let write = sftp.write(&handle, 0, WriteBuf::from_slice(&[0; 34_000])).await;
    assert!(matches!(write, Err(SftpError::RequestTooLarge { max: 34_000, .. })));
    let path = sftp.stat(&[b'a'; 40_000]).await;
    assert!(matches!(path, Err(SftpError::RequestTooLarge { .. })));
    let next = sftp.remove(b"b");
    let id = peer.id().await;
    peer.ok(id);
    next.await.unwrap();
}

#[tokio::test]
async fn the_last_clone_closes_the_channel() {
    let (sftp, mut peer) = Peer::session(&[]).await;
    let clone = sftp.clone();
    drop(sftp);
    let reply = clone.remove(b"a");
    drop(clone);
    let id = peer.id().await;
    peer.ok(id);
    reply.await.unwrap();
    assert!(peer.ended().await);
}

#[test]
fn a_buffer_comes_back_to_its_pool() {
    let pool = BufPool::new(100_000, 1);
    let (mut one, two) = (pool.take(), pool.take());
    one.data_mut()[..4].copy_from_slice(b"data");
    one.set_len(4);
    let address = one.data().as_ptr();
    let shared = one.freeze();
    let part = shared.slice(1..3);
    drop(shared);
    assert_eq!((&part[..], pool.idle()), (&b"at"[..], 0));
    drop(part);
    drop(two);
    assert_eq!(pool.idle(), 1, "no more than the pool keeps");
    assert_eq!(pool.take().data_mut().as_ptr(), address);
}
