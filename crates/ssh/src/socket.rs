//! A TCP socket that acknowledges at once while the login goes back and forth.
//!
//! sshd leaves Nagle's algorithm on until a session is interactive: a small packet of its waits until the one before is
//! acknowledged. Linux holds acknowledgements back for up to 40 ms when there is nothing to send along, so a login at
//! 100 ms lost more than one round trip to waiting. The switch is not kept by the kernel and is set again after each
//! read; during bulk transfer it would only cost.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// So many reads are acknowledged at once: a login with certificates and several methods takes some thirty.
const READS: u32 = 64;

/// The socket of one connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    left: u32,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        acknowledge(&stream);
        Self { stream, left: READS }
    }
}

#[cfg(target_os = "linux")]
fn acknowledge(stream: &TcpStream) {
    // Without it the login only takes longer.
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge(_: &TcpStream) {}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, out));
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            acknowledge(&self.stream);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
