//! A stream through a channel of another connection: a jump host.
//!
//! Two pumps and a pipe stand between the channel and the connection inside it. The obvious way, russh's own stream
//! over a channel, waits for ever in a write when the channel goes away while its window is full; here the end of
//! either direction ends both.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

use crate::channel::{ByteReceiver, ByteSender};
use crate::connection::Connection;
use crate::error::ConnectError;
use crate::wire::Stream;

/// What each direction may hold between the two connections.
const PIPE: usize = 256 * 1024;

/// A stream to `host` and `port` through `hop`, and the time its opening took: the round trip to the hop, and from
/// there to the host.
pub(crate) async fn through(
    hop: Connection,
    host: &str,
    port: u16,
) -> Result<(Box<dyn Stream>, Duration), ConnectError> {
    let begun = Instant::now();
    let (tx, rx) = hop.forward(host, port).await?.split();
    let rtt = begun.elapsed();
    let (near, far) = tokio::io::duplex(PIPE);
    let (from_near, to_near) = tokio::io::split(far);
    tokio::spawn(async move {
        tokio::select! {
            () = outward(from_near, tx) => {}
            () = inward(rx, to_near) => {}
        }
        // Lives as long as what goes through it.
        drop(hop);
    });
    Ok((Box::new(near), rtt))
}

async fn outward(mut from: ReadHalf<DuplexStream>, mut to: ByteSender) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIPE);
        match from.read_buf(&mut buffer).await {
            Ok(1..) if to.send(buffer.split().freeze()).await.is_ok() => {}
            _ => return,
        }
    }
}

async fn inward(mut from: ByteReceiver, mut to: WriteHalf<DuplexStream>) {
    while let Some(data) = from.recv().await {
        if to.write_all(&data).await.is_err() {
            return;
        }
    }
}
