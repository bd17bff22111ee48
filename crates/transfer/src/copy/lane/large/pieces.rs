//! Moving one piece: read here or there, write there or here, hash on the way.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use renkei_plan::{PIECE, Piece};
use renkei_ssh::sftp::{CopyRange, Handle, Sftp, WriteBuf};
use renkei_types::tree_hash::{Cv, Part, PieceHasher};

use super::Large;
use crate::copy::endpoint::base::{Base, blocking};
use crate::copy::lane::item::Ends;
use crate::copy::shared::Shared;
use crate::copy::trouble::Trouble;
use crate::local::source::{Source, nonzero_runs};

impl Large {
    /// Moves one piece. No value where the server copied it by itself: then nobody here has seen it.
    pub async fn piece(&self, shared: &Arc<Shared>, ends: &Ends, piece: Piece) -> Result<Option<Cv>, Trouble> {
        if let Some(limiter) = &shared.limiter {
            limiter.take(piece.len).await;
        }
        match (&self.item.source.base, &self.item.target.base) {
            (Base::Near(_), Base::Far { .. }) => self.upload(shared, ends, piece).await.map(Some),
            (Base::Far { .. }, Base::Far { .. }) if ends.copies_by_itself(shared).await => {
                self.copy_there(shared, ends, piece).await.map(|()| None)
            }
            (Base::Far { .. }, _) => {
                let parts = self.read_far(shared, ends, piece).await?;
                self.deliver(shared, ends, piece, parts).await.map(Some)
            }
            (Base::Near(_), Base::Near(_)) => {
                let source = self.near_source()?;
                let content = blocking(move || source.read(piece.offset, piece.len as usize)).await?;
                if content.len() as u64 != piece.len {
                    return Err(Trouble::Changed {
                        path: self.item.shown(),
                    });
                }
                self.deliver(shared, ends, piece, vec![Bytes::from(content)])
                    .await
                    .map(Some)
            }
        }
    }

    /// Has the server copy a piece from one of its files to another.
    async fn copy_there(&self, shared: &Shared, ends: &Ends, piece: Piece) -> Result<(), Trouble> {
        let (sftp, from) = self.source_handle(ends).await?;
        let (_, to) = self.target_handle(shared, ends).await?;
        shared.ledger.content_begins();
        let range = CopyRange {
            from: &from,
            from_offset: piece.offset,
            len: piece.len,
            to: &to,
            to_offset: piece.offset,
        };
        sftp.copy_data(range)
            .await
            .map_err(Trouble::far("copy", &self.item.target.path()))
    }

    fn near_source(&self) -> Result<Arc<Source>, Trouble> {
        self.source.get().cloned().ok_or(Trouble::Ended)
    }

    fn part(&self) -> Part {
        if self.item.facts.size <= PIECE {
            Part::Whole
        } else {
            Part::OneOfMany
        }
    }

    /// Reads straight into the buffers that are sent: the content is not copied on its way.
    async fn upload(&self, shared: &Arc<Shared>, ends: &Ends, piece: Piece) -> Result<Cv, Trouble> {
        let (sftp, handle) = self.target_handle(shared, ends).await?;
        let chunk = even_chunk(piece.len, shared.request_size(sftp.limits().max_write));
        let (source, part, pool) = (self.near_source()?, self.part(), Arc::clone(&shared.buffers));
        let path = self.item.shown();
        let permit = shared.disk.acquire().await.map_err(|_| Trouble::Ended)?;
        let (buffers, cv) = blocking(move || {
            let mut hasher = PieceHasher::new(piece.index, part);
            let mut buffers = Vec::new();
            let mut offset = 0;
            while offset < piece.len {
                let want = (piece.len - offset).min(chunk) as usize;
                let mut buffer = pool.take();
                let slice = buffer.data_mut().get_mut(..want).unwrap_or_default();
                let got = source.read_at(piece.offset + offset, slice)?;
                buffer.set_len(got);
                hasher.update(buffer.data());
                let is_short = got < want;
                buffers.push((offset, buffer));
                if is_short {
                    return Ok((None, hasher.finish()));
                }
                offset += want as u64;
            }
            Ok((Some(buffers), hasher.finish()))
        })
        .await?;
        drop(permit);
        let Some(buffers) = buffers else {
            return Err(Trouble::Changed { path });
        };
        shared.ledger.content_begins();
        shared.ledger.sent_bytes.fetch_add(piece.len, Relaxed);
        let mut writes = Vec::with_capacity(buffers.len());
        let holes = self.onto_hole(shared, piece);
        for (offset, buffer) in buffers {
            if holes {
                for run in nonzero_runs(buffer.data()) {
                    let at = piece.offset + offset + run.start as u64;
                    let slice = WriteBuf::from_slice(buffer.data().get(run).unwrap_or_default());
                    writes.push(sftp.write(&handle, at, slice));
                }
            } else {
                writes.push(sftp.write(&handle, piece.offset + offset, buffer));
            }
        }
        self.written(writes).await?;
        Ok(cv)
    }

    async fn written(&self, writes: Vec<renkei_ssh::sftp::Reply<()>>) -> Result<(), Trouble> {
        let mut first = Ok(());
        for write in writes {
            let result = write.await;
            if first.is_ok() {
                first = result;
            }
        }
        first.map_err(Trouble::far("write", &self.item.target.path()))
    }

    async fn read_far(&self, shared: &Shared, ends: &Ends, piece: Piece) -> Result<Vec<Bytes>, Trouble> {
        let (sftp, handle) = self.source_handle(ends).await?;
        shared.ledger.content_begins();
        let range = (piece.offset, piece.len);
        read_range(&sftp, &handle, range, shared.request_size(sftp.limits().max_read))
            .await
            .map_err(Trouble::far("read", &self.item.source.path()))?
            .ok_or_else(|| Trouble::Changed {
                path: self.item.shown(),
            })
    }

    /// Brings content that is in memory to the target.
    async fn deliver(&self, shared: &Arc<Shared>, ends: &Ends, piece: Piece, parts: Vec<Bytes>) -> Result<Cv, Trouble> {
        shared.ledger.sent_bytes.fetch_add(piece.len, Relaxed);
        let (part, sparse) = (self.part(), self.onto_hole(shared, piece));
        if let Base::Near(_) = &self.item.target.base {
            let output = self.output()?;
            let permit = shared.disk.acquire().await.map_err(|_| Trouble::Ended)?;
            let cv = blocking(move || {
                let cv = hash_parts(piece, part, &parts);
                if sparse {
                    let mut offset = piece.offset;
                    for part in &parts {
                        for run in nonzero_runs(part) {
                            let at = offset + run.start as u64;
                            output.write_at(at, &mut [IoSlice::new(part.get(run).unwrap_or_default())])?;
                        }
                        offset += part.len() as u64;
                    }
                } else {
                    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                    output.write_at(piece.offset, &mut slices)?;
                }
                Ok(cv)
            })
            .await?;
            drop(permit);
            return Ok(cv);
        }
        let (sftp, handle) = self.target_handle(shared, ends).await?;
        let most = shared.request_size(sftp.limits().max_write) as usize;
        let mut writes = Vec::new();
        let mut offset = piece.offset;
        for part in &parts {
            for chunk in part.chunks(most.max(1)) {
                if sparse {
                    for run in nonzero_runs(chunk) {
                        let at = offset + run.start as u64;
                        writes.push(sftp.write(&handle, at, WriteBuf::from_slice(chunk.get(run).unwrap_or_default())));
                    }
                } else {
                    writes.push(sftp.write(&handle, offset, WriteBuf::from_slice(chunk)));
                }
                offset += chunk.len() as u64;
            }
        }
        let cv = hash_parts(piece, part, &parts);
        self.written(writes).await?;
        Ok(cv)
    }

    /// Reads a piece back from the target; none where it is shorter.
    pub async fn read_back(&self, shared: &Shared, ends: &Ends, piece: Piece) -> Result<Option<Cv>, Trouble> {
        let part = self.part();
        if let Base::Near(_) = &self.item.target.base {
            let output = self.output()?;
            let content = blocking(move || output.read(piece.offset, piece.len as usize)).await?;
            let whole = content.len() as u64 == piece.len;
            return Ok(whole.then(|| hash_parts(piece, part, &[Bytes::from(content)])));
        }
        let (sftp, handle) = self.target_handle(shared, ends).await?;
        let most = shared.request_size(sftp.limits().max_read);
        let parts = read_range(&sftp, &handle, (piece.offset, piece.len), most)
            .await
            .map_err(Trouble::far("read back", &self.item.target.path()))?;
        Ok(parts.map(|parts| hash_parts(piece, part, &parts)))
    }
}

/// Equal requests of at most `most` bytes, in whole pages where that is possible.
fn even_chunk(len: u64, most: u32) -> u64 {
    let most = u64::from(most.max(1));
    let chunk = len.div_ceil(len.div_ceil(most).max(1));
    let paged = chunk.div_ceil(4096) * 4096;
    paged.min(most).max(1)
}

fn hash_parts(piece: Piece, part: Part, parts: &[Bytes]) -> Cv {
    let mut hasher = PieceHasher::new(piece.index, part);
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// Reads a range with all requests in flight, and again what came short; none if the file ends before the range does.
pub async fn read_range(
    sftp: &Sftp,
    handle: &Handle,
    (offset, len): (u64, u64),
    most: u32,
) -> Result<Option<Vec<Bytes>>, renkei_ssh::sftp::SftpError> {
    let chunk = even_chunk(len, most);
    let mut reads = Vec::new();
    let mut at = 0;
    while at < len {
        let want = (len - at).min(chunk);
        reads.push((offset + at, want, sftp.read(handle, offset + at, want as u32)));
        at += want;
    }
    let mut parts = Vec::with_capacity(reads.len());
    let mut missing = None;
    for (at, want, read) in reads {
        let mut part = read.await?;
        if missing.is_some() {
            continue;
        }
        let mut got = part.len() as u64;
        parts.push(part);
        while got < want {
            part = sftp.read(handle, at + got, (want - got) as u32).await?;
            if part.is_empty() {
                missing = Some(at + got);
                break;
            }
            got += part.len() as u64;
            parts.push(part);
        }
    }
    Ok(if missing.is_some() { None } else { Some(parts) })
}
