//! Writing one file through a device or FIFO that was named as target: in order, with no temporary name and no resume.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use renkei_plan::PIECE;
use renkei_ssh::sftp::{Attrs, OpenFlags, WriteBuf};
use tokio::sync::mpsc;

use super::large::read_range;
use crate::copy::endpoint::base::{Base, blocking};
use crate::copy::endpoint::places::TargetSide;
use crate::copy::endpoint::spot::Spot;
use crate::copy::ledger::Ledger;
use crate::copy::server::Server;
use crate::copy::shared::REQUEST;
use crate::copy::trouble::Trouble;
use crate::local::output::open_stream;

/// Pieces read ahead of the one that is written.
const AHEAD: usize = 4;

type Pieces = mpsc::Receiver<Result<Vec<Bytes>, Trouble>>;

/// Copies `source` of `size` bytes into what stands at `path`. Gives the bytes written.
pub async fn write(source: &Spot, size: u64, side: &TargetSide, path: &[u8], ledger: &Ledger) -> Result<u64, Trouble> {
    let mut pieces = read(source.clone(), size);
    let mut written = 0;
    ledger.found(size);
    ledger.content_begins();
    match side {
        TargetSide::Near => {
            let opened = path.to_vec();
            // Opening a FIFO waits for its reader, as with any program.
            let output = Arc::new(blocking(move || open_stream(&opened)).await?);
            while let Some(parts) = pieces.recv().await {
                let parts = parts?;
                let (output, offset) = (Arc::clone(&output), written);
                let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
                blocking(move || {
                    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                    output.write_at(offset, &mut slices)
                })
                .await?;
                written += length;
                ledger.acknowledged(length);
            }
        }
        TargetSide::Far(server) => {
            let sftp = server.any().await?;
            // OpenSSH seeks before each write unless the file is open for appending, and a FIFO cannot seek.
            let flags = OpenFlags::WRITE | OpenFlags::APPEND;
            let handle = sftp
                .open(path, flags, &Attrs::none())
                .await
                .map_err(Trouble::far("open", path))?;
            let most = sftp.limits().max_write.min(REQUEST) as usize;
            while let Some(parts) = pieces.recv().await {
                for part in &parts? {
                    for chunk in part.chunks(most.max(1)) {
                        let write = sftp.write(&handle, written, WriteBuf::from_slice(chunk));
                        write.await.map_err(Trouble::far("write", path))?;
                        written += chunk.len() as u64;
                        ledger.acknowledged(chunk.len() as u64);
                    }
                }
            }
            sftp.close(&handle).await.map_err(Trouble::far("close", path))?;
        }
    }
    ledger
        .sent_bytes
        .fetch_add(written, std::sync::atomic::Ordering::Relaxed);
    Ok(written)
}

/// The content of a file in order, piece by piece.
fn read(source: Spot, size: u64) -> Pieces {
    let (sender, receiver) = mpsc::channel(AHEAD);
    match source.base.clone() {
        Base::Near(root) => {
            tokio::task::spawn_blocking(move || {
                let result = (|| {
                    let file = root.open_source(&source.rel)?;
                    let mut offset = 0;
                    loop {
                        let content = file.read(offset, PIECE as usize)?;
                        if content.is_empty() {
                            return Ok(());
                        }
                        offset += content.len() as u64;
                        if sender.blocking_send(Ok(vec![Bytes::from(content)])).is_err() {
                            return Ok(());
                        }
                    }
                })();
                if let Err(error) = result {
                    let _ = sender.blocking_send(Err(Trouble::Near(error)));
                }
            });
        }
        Base::Far { server, .. } => {
            tokio::spawn(async move {
                if let Err(trouble) = read_far(&server, &source.path(), size, &sender).await {
                    let _ = sender.send(Err(trouble)).await;
                }
            });
        }
    }
    receiver
}

async fn read_far(
    server: &Server,
    path: &[u8],
    size: u64,
    sender: &mpsc::Sender<Result<Vec<Bytes>, Trouble>>,
) -> Result<(), Trouble> {
    let sftp = server.any().await?;
    let handle = sftp
        .open(path, OpenFlags::READ, &Attrs::none())
        .await
        .map_err(Trouble::far("open", path))?;
    let most = sftp.limits().max_read.min(REQUEST);
    let ranges = (0..size.div_ceil(PIECE)).map(|index| (index * PIECE, (size - index * PIECE).min(PIECE)));
    let reads = ranges.map(|range| read_range(&sftp, &handle, range, most));
    let mut reads = futures_util::stream::iter(reads).buffered(AHEAD);
    while let Some(parts) = reads.next().await {
        let parts = parts.map_err(Trouble::far("read", path))?;
        let Some(parts) = parts else {
            return Err(Trouble::Changed { path: path.to_vec() });
        };
        if sender.send(Ok(parts)).await.is_err() {
            break;
        }
    }
    drop(reads);
    sftp.close(&handle).await.map_err(Trouble::far("close", path))
}
