//! A server that a test plays itself, over an in-memory channel.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::channel::ChannelEnd;
use crate::sftp::client::Opening;
use crate::sftp::frame::Deframer;
use crate::sftp::packet::{Answer, Request, Version, decode_init};
use crate::sftp::pump::{SendFailed, Sink, Source};
use crate::sftp::{LostReason, Sftp, SftpError, StatusCode};

type Tx = mpsc::UnboundedSender<Bytes>;
type Rx = mpsc::UnboundedReceiver<Bytes>;

impl Sink for Tx {
    async fn send(&mut self, data: Bytes) -> Result<(), SendFailed> {
        Tx::send(self, data).map_err(|_| SendFailed)
    }
}

impl Source for Rx {
    async fn recv(&mut self) -> Option<Bytes> {
        Rx::recv(self).await
    }

    fn reason(&self) -> LostReason {
        LostReason::Ended {
            end: ChannelEnd::Lost,
            stderr: Arc::from(""),
        }
    }
}

/// A session whose server may take its time.
pub(super) const PATIENT: Opening = Opening {
    known: None,
    patience: Duration::from_secs(600),
};

/// The far end of an in-memory channel.
pub(super) struct Peer {
    tx: Tx,
    rx: Rx,
    frames: Deframer,
    /// Pieces received so far, each of which would be an SSH packet or more.
    pub(super) pieces: usize,
}

impl Peer {
    /// A channel whose far end has not said anything: its near end and the far one.
    pub(super) fn silent() -> ((Tx, Rx), Peer) {
        let (to_peer, rx) = mpsc::unbounded_channel();
        let (tx, from_peer) = mpsc::unbounded_channel();
        let frames = Deframer::new();
        (
            (to_peer, from_peer),
            Peer {
                tx,
                rx,
                frames,
                pieces: 0,
            },
        )
    }

    /// A session with a server that has these extensions (not limits).
    pub(super) async fn session(extensions: &[(&[u8], &[u8])]) -> (Sftp, Peer) {
        let ((tx, rx), mut peer) = Peer::silent();
        let mut out = BytesMut::new();
        let extensions = extensions.to_vec();
        Version { version: 3, extensions }.encode(&mut out);
        peer.send(&out);
        peer.answer(0, &status(StatusCode::OpUnsupported));
        let sftp = Sftp::start_over(tx, rx, PATIENT);
        sftp.ready().await.unwrap();
        assert_eq!(decode_init(&peer.packet().await), Ok(3));
        assert!(matches!(
            Request::decode(&peer.packet().await),
            Ok((0, Request::Extended(_)))
        ));
        assert_eq!(peer.pieces, 1, "the question goes out with INIT");
        peer.pieces = 0;
        (sftp, peer)
    }

    /// How a session begins with a server whose first words are `greeting`.
    pub(super) async fn greeted(greeting: &[u8]) -> Result<Sftp, SftpError> {
        let ((tx, rx), peer) = Peer::silent();
        peer.send(greeting);
        let (_requests, sftp) = (peer.rx, Sftp::start_over(tx, rx, PATIENT));
        drop(peer.tx);
        sftp.ready().await.map(|()| sftp)
    }

    /// The next request packet.
    pub(super) async fn packet(&mut self) -> Bytes {
        loop {
            if let Some(packet) = self.frames.next_packet().unwrap() {
                return packet;
            }
            self.frames.push(self.rx.recv().await.expect("the client goes on"));
            self.pieces += 1;
        }
    }

    /// The id of the next request.
    pub(super) async fn id(&mut self) -> u32 {
        Request::decode(&self.packet().await).unwrap().0
    }

    /// Whether the client closed its direction; waits until it does.
    pub(super) async fn ended(&mut self) -> bool {
        self.rx.recv().await.is_none()
    }

    pub(super) fn send(&self, bytes: &[u8]) {
        // A client that has given up does not listen; what it says then is what the test looks at.
        let _ = self.tx.send(Bytes::copy_from_slice(bytes));
    }

    pub(super) fn answer(&self, id: u32, answer: &Answer<'_>) {
        self.send(&encoded(id, answer));
    }

    pub(super) fn ok(&self, id: u32) {
        self.answer(id, &status(StatusCode::Ok));
    }
}

pub(super) fn status(code: StatusCode) -> Answer<'static> {
    Answer::Status { code, message: b"" }
}

pub(super) fn encoded(id: u32, answer: &Answer<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    answer.encode(id, &mut out);
    out
}
