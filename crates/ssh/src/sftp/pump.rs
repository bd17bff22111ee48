//! The two tasks of a client: one sends what is queued, one reads replies and hands them out.
//!
//! They are apart because a server that is blocked sending replies takes no requests until the replies are read.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::error::{LostReason, SftpError};
use super::frame::Deframer;
use super::pending::Pending;
use super::reply::Payload;
use super::start;
use crate::channel::{ByteReceiver, ByteSender};

/// The direction towards the server: a channel's, or a script's in tests.
pub(super) trait Sink: Send + 'static {
    /// Sends all of `data`; an error if nothing can be sent any more.
    fn send(&mut self, data: Bytes) -> impl Future<Output = Result<(), SendFailed>> + Send;
}

/// Nothing can be sent any more. Why is told by the other direction.
#[derive(Debug)]
pub(super) struct SendFailed;

/// The direction from the server.
pub(super) trait Source: Send + 'static {
    /// The next bytes; `None` at the end.
    fn recv(&mut self) -> impl Future<Output = Option<Bytes>> + Send;

    /// Why there are no more bytes, after [`recv`](Source::recv) gave `None`.
    fn reason(&self) -> LostReason;
}

impl Sink for ByteSender {
    async fn send(&mut self, data: Bytes) -> Result<(), SendFailed> {
        ByteSender::send(self, data).await.map_err(|error| {
            log::debug!("sftp: {error}");
            SendFailed
        })
    }
}

impl Source for ByteReceiver {
    async fn recv(&mut self) -> Option<Bytes> {
        ByteReceiver::recv(self).await
    }

    fn reason(&self) -> LostReason {
        LostReason::Ended {
            end: self.end().clone(),
            stderr: self.stderr().into(),
        }
    }
}

/// How long the reader may take to learn why sending failed; it knows better.
const GRACE: Duration = Duration::from_secs(1);

/// Sends what is queued until the client ends.
pub(super) async fn write(pending: Arc<Pending>, mut sink: impl Sink) {
    let mut batch = Vec::new();
    let failed = async {
        loop {
            poll_fn(|cx| pending.poll_queue(cx, &mut batch)).await;
            for piece in batch.drain(..) {
                let len = piece.len() as u64;
                if sink.send(piece).await.is_err() {
                    return;
                }
                pending.bytes_out.fetch_add(len, Ordering::Relaxed);
            }
        }
    };
    tokio::select! {
        () = failed => {}
        _ = pending.ended() => return,
    }
    if tokio::time::timeout(GRACE, pending.ended()).await.is_err() {
        pending.close(SftpError::Lost(LostReason::SendFailed));
    }
}

/// Reads replies until the channel ends or the server breaks the protocol, or has not begun by `until`.
pub(super) async fn read(pending: Arc<Pending>, mut source: impl Source, until: Instant) {
    let mut deframer = Deframer::new();
    let mut is_announced = false;
    let mut replies = Vec::new();
    let mut wakers = Vec::new();
    let reason = loop {
        let mut broken = None;
        loop {
            match deframer.next_packet() {
                Ok(None) => break,
                Ok(Some(packet)) if !is_announced => match start::read_version(&packet) {
                    Ok(extensions) => {
                        is_announced = true;
                        pending.announced(extensions);
                    }
                    Err(error) => {
                        broken = Some(error);
                        break;
                    }
                },
                Ok(Some(packet)) => match Payload::decode(&packet) {
                    Ok(reply) => replies.push(reply),
                    Err(error) => {
                        broken = Some(error.into());
                        break;
                    }
                },
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        // What came whole before the breach still counts.
        if let Err(error) = pending.deliver(&mut replies, &mut wakers) {
            broken = Some(error);
        }
        if let Some(error) = broken {
            break SftpError::Protocol(error);
        }
        let received = if pending.agreed().is_some() {
            source.recv().await
        } else {
            match tokio::time::timeout_at(until, source.recv()).await {
                Ok(received) => received,
                Err(_) => break SftpError::Lost(LostReason::Silent),
            }
        };
        match received {
            Some(chunk) => {
                pending.bytes_in.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                deframer.push(chunk);
            }
            None => break SftpError::Lost(source.reason()),
        }
    };
    pending.close(reason);
}
