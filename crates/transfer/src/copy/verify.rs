//! Hashes of what stands at a target, by reading it back.

use std::sync::Arc;

use futures_util::StreamExt;
use renkei_plan::{FileId, PIECE, Piece};
use renkei_ssh::sftp::{Attrs, OpenFlags};
use renkei_types::tree_hash::{Part, PieceHasher, Root as Hash, TreeHasher, hash_whole};

use super::base::{Base, blocking};
use super::item::Spot;
use super::large::read_range;
use super::shared::REQUEST;
use super::trouble::Trouble;

/// Pieces of one file read back at the same time.
const PIECES_AT_ONCE: usize = 8;

/// The hash of a file as it stands; none if its size is not `size`.
pub async fn hash_spot(spot: &Spot, size: u64) -> Result<Option<Hash>, Trouble> {
    match &spot.base {
        Base::Near(root) => {
            let (root, rel) = (Arc::clone(root), spot.rel.clone());
            blocking(move || {
                let source = root.open_source(&rel)?;
                if source.meta().size != size {
                    return Ok(None);
                }
                let mut tree = TreeHasher::new(size);
                let part = if size <= PIECE { Part::Whole } else { Part::OneOfMany };
                for index in 0..size.div_ceil(PIECE) {
                    let content = source.read(index * PIECE, PIECE as usize)?;
                    let mut hasher = PieceHasher::new(index, part);
                    hasher.update(&content);
                    // A wrong length shows as a tree that does not end.
                    let _ = tree.add(index, hasher.finish());
                }
                Ok(if size == 0 {
                    Some(hash_whole(&[]))
                } else {
                    tree.finish()
                })
            })
            .await
        }
        Base::Far { server, .. } => {
            let path = spot.path();
            server.run(|sftp| hash_far(sftp, path.clone(), size)).await
        }
    }
}

async fn hash_far(sftp: renkei_ssh::sftp::Sftp, path: Vec<u8>, size: u64) -> Result<Option<Hash>, Trouble> {
    let handle = sftp
        .open(&path, OpenFlags::READ, &Attrs::none())
        .await
        .map_err(Trouble::far("read back", &path))?;
    let most = sftp.limits().max_read.min(REQUEST);
    let part = if size <= PIECE { Part::Whole } else { Part::OneOfMany };
    let mut tree = TreeHasher::new(size);
    let reads = futures_util::stream::iter((0..size.div_ceil(PIECE)).map(|index| {
        let offset = index * PIECE;
        let piece = Piece {
            file: FileId(0),
            index,
            offset,
            len: (size - offset).min(PIECE),
        };
        let (sftp, handle) = (sftp.clone(), handle.clone());
        async move { (piece, read_range(&sftp, &handle, (piece.offset, piece.len), most).await) }
    }));
    let mut reads = reads.buffered(PIECES_AT_ONCE);
    let mut whole = true;
    let mut failed = None;
    while let Some((piece, parts)) = reads.next().await {
        match parts {
            Ok(Some(parts)) => {
                let mut hasher = PieceHasher::new(piece.index, part);
                parts.iter().for_each(|part| hasher.update(part));
                let _ = tree.add(piece.index, hasher.finish());
            }
            Ok(None) => whole = false,
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(reads);
    // One byte past the end: a file that is longer is another file.
    let past = sftp.read(&handle, size, 1);
    let close = sftp.close(&handle);
    let past = past.await;
    let _ = close.await;
    if let Some(error) = failed {
        return Err(Trouble::far("read back", &path)(error));
    }
    let longer = past
        .map_err(Trouble::far("read back", &path))
        .map(|byte| !byte.is_empty())?;
    if !whole || longer {
        return Ok(None);
    }
    Ok(if size == 0 {
        Some(hash_whole(&[]))
    } else {
        tree.finish()
    })
}
