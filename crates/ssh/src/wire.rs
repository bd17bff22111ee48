//! The stream under SSH: buffered reading, and a little knowledge of what went over it.
//!
//! russh reads each packet in two small pieces; without a buffer between them that is two system calls a packet. What
//! the server said before its version is kept because that is where OpenSSH says why it closes at once.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// One read from the socket: at 100 MB/s this is some 400 reads a second.
const BUFFER: usize = 256 * 1024;

/// How much of the server's first bytes is kept.
const GREETING: usize = 512;

/// Anything that SSH can run over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What is known of a stream from outside.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    greeting: Mutex<Vec<u8>>,
    turns: AtomicU32,
    reads: AtomicU32,
}

impl Observed {
    /// What the server sent first, as text; empty if it sent nothing.
    pub(crate) fn greeting(&self) -> String {
        let greeting = self.greeting.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&greeting).trim().to_owned()
    }

    /// How often an answer came after something was sent: the round trips so far, as far as the two sides waited for
    /// one another.
    pub(crate) fn round_trips(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }

    /// How often anything came, wrapping; tells a silent server from one at work.
    pub(crate) fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }
}

/// A stream with a read buffer.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    observed: Arc<Observed>,
    greeted: bool,
    sent: bool,
    stall: Stall,
}

/// Notices that nothing can be written any more.
///
/// russh sends its keepalives between writes, so it would wait in a write for as long as the kernel does, a quarter of
/// an hour, or for ever behind a jump host. A server that is alive always takes data: what a slow disk behind it cannot
/// take yet is held back by the window of its channel.
struct Stall {
    patience: Duration,
    since: Option<Instant>,
    /// Set anew only when it has fired, since a full socket is no rare thing at full speed.
    timer: Pin<Box<Sleep>>,
}

impl Stall {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            since: None,
            timer: Box::pin(tokio::time::sleep(patience)),
        }
    }

    /// To be asked whenever a write has to wait: ready when it has waited long enough.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = *self.since.get_or_insert_with(Instant::now) + self.patience;
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl Wire {
    /// A stream that breaks when nothing could be written for as long as `patience`.
    pub(crate) fn new(stream: Box<dyn Stream>, patience: Duration) -> (Self, Arc<Observed>) {
        let observed = Arc::new(Observed::default());
        let wire = Self {
            stream,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            observed: Arc::clone(&observed),
            greeted: false,
            sent: false,
            stall: Stall::new(patience),
        };
        (wire, observed)
    }

    fn observe(&mut self) {
        self.observed.reads.fetch_add(1, Ordering::Relaxed);
        if std::mem::take(&mut self.sent) {
            self.observed.turns.fetch_add(1, Ordering::Relaxed);
        }
        if !self.greeted {
            let mut greeting = self.observed.greeting.lock().unwrap_or_else(PoisonError::into_inner);
            let room = GREETING.saturating_sub(greeting.len());
            let new = self.buffer.get(..self.end.min(room)).unwrap_or_default();
            greeting.extend_from_slice(new);
            self.greeted = greeting.len() >= GREETING || greeting.windows(4).any(|four| four == b"SSH-");
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            let mut space = ReadBuf::new(&mut this.buffer);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut space))?;
            (this.start, this.end) = (0, space.filled().len());
            if this.end > 0 {
                this.observe();
            }
        }
        let count = out.remaining().min(this.end - this.start);
        out.put_slice(this.buffer.get(this.start..this.start + count).unwrap_or_default());
        this.start += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.sent = true;
        if let Poll::Ready(written) = Pin::new(&mut this.stream).poll_write(cx, data) {
            this.stall.since = None;
            return Poll::Ready(written);
        }
        ready!(this.stall.poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the server takes no more data",
        )))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn small_reads_are_served_in_order_and_turns_are_counted() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let (mut wire, observed) = Wire::new(Box::new(near), Duration::MAX / 4);
        far.write_all(b"Exceeded MaxStartups\r\n").await.unwrap();
        let mut two = [0; 2];
        for expected in [b"Ex", b"ce"] {
            wire.read_exact(&mut two).await.unwrap();
            assert_eq!(&two, expected);
        }
        assert_eq!(observed.round_trips(), 0);
        assert_eq!(observed.greeting(), "Exceeded MaxStartups");
        let mut rest = [0; 18];
        wire.read_exact(&mut rest).await.unwrap();
        for _ in 0..2 {
            wire.write_all(b"question").await.unwrap();
            far.write_all(b"an").await.unwrap();
            wire.read_exact(&mut two).await.unwrap();
        }
        assert_eq!(observed.round_trips(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_waits_too_long_is_an_error_and_one_that_goes_on_is_none() {
        let (near, mut far) = tokio::io::duplex(1000);
        let (mut wire, _) = Wire::new(Box::new(near), Duration::from_secs(60));
        // Paused time jumps on when everyone waits.
        let reader = async {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                far.read_exact(&mut [0; 500]).await.unwrap();
            }
        };
        let begun = Instant::now();
        let (written, ()) = tokio::join!(wire.write_all(&[0; 4000]), reader);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 260);
    }
}
