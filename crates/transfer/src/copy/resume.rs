//! Going on where an earlier run was.
//!
//! What the journal says is believed only as far as the target agrees: a finished file by its size and time (or read back
//! where it was finished shortly before the break), an unfinished one piece by piece.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt;
use renkei_plan::journal::UnfinishedFile;
use renkei_plan::{PIECE, Runs};
use renkei_types::tree_hash::TreeHasher;

use super::base::{Base, sibling};
use super::item::{Ends, Item, Spot};
use super::large::{Large, Resumed};
use super::log::identity;
use super::places::TargetSide;
use super::shared::Shared;
use super::trouble::Trouble;
use crate::local::meta::Kind;

/// Pieces read back at the same time.
const READ_BACK_AT_ONCE: usize = 8;

/// What is to be done with a file.
pub enum Recalled {
    /// From the beginning.
    Fresh(Item),
    /// From where an earlier run was.
    Begun(Item, Box<(Resumed, TreeHasher)>),
}

/// Looks what an earlier run did with the file; none if nothing is left to do.
pub async fn recall(shared: &Shared, item: Item) -> Result<Option<Recalled>, Trouble> {
    if !shared.log.is_resumed() {
        return Ok(Some(Recalled::Fresh(item)));
    }
    if let Some(finished) = shared.log.was_finished(&item)? {
        let unchanged = finished.identity == identity(&item.facts);
        if unchanged && stands(shared, &item, &finished).await? {
            shared.ledger.resumed_bytes.fetch_add(item.facts.size, Relaxed);
            shared.ledger.bytes.fetch_add(item.facts.size, Relaxed);
            shared.ledger.files.fetch_add(1, Relaxed);
            shared.ledger.copied.fetch_add(1, Relaxed);
            shared.proof.file(&item, finished.size, finished.root);
            return Ok(None);
        }
        return Ok(Some(Recalled::Fresh(item)));
    }
    let Some(left) = shared.log.take_unfinished(&item) else {
        return Ok(Some(Recalled::Fresh(item)));
    };
    let usable = left.identity == identity(&item.facts) && item.facts.size > PIECE && !left.temp.is_empty();
    let temp = Spot {
        base: item.target.base.clone(),
        rel: sibling(&item.target.rel, &left.temp),
    };
    let standing = if left.temp.is_empty() {
        None
    } else {
        temp.base.lstat(&temp.rel).await?
    };
    match standing.filter(|facts| facts.kind == Kind::File) {
        Some(facts) if usable => Ok(Some(begun(item, left, facts.size))),
        standing => {
            if standing.is_some() {
                temp.base.remove_file(&temp.rel).await?;
            }
            shared.log.abandoned_seq(left.seq);
            Ok(Some(Recalled::Fresh(item)))
        }
    }
}

fn begun(mut item: Item, left: UnfinishedFile, size: u64) -> Recalled {
    item.serial = left.seq.0;
    // What lies beyond the end of the file was never there, or was cut off since.
    let whole = |piece: u64| {
        piece
            .saturating_mul(PIECE)
            .saturating_add(PIECE)
            .min(left.identity.size)
            <= size
    };
    let mut durable = Runs::new();
    for (start, end) in left.durable.iter() {
        for piece in start..end {
            if whole(piece) {
                durable.insert(piece);
            }
        }
    }
    let cut = durable.len() != left.durable.len();
    let in_doubt = left
        .in_doubt
        .iter()
        .filter(|(piece, _)| whole(**piece))
        .map(|(piece, cv)| (*piece, *cv))
        .collect();
    // Values of pieces that are gone must not stay in the tree; they come again with their bytes.
    let tree = if cut {
        TreeHasher::new(left.identity.size)
    } else {
        left.tree
    };
    Recalled::Begun(
        item,
        Box::new((
            Resumed {
                temp: left.temp,
                durable,
                in_doubt,
            },
            tree,
        )),
    )
}

/// Whether a finished file stands at the target as the journal says.
async fn stands(shared: &Shared, item: &Item, finished: &crate::journal::FinishedFile) -> Result<bool, Trouble> {
    let Some(facts) = item.target.base.lstat(&item.target.rel).await? else {
        return Ok(false);
    };
    let same_time = finished.mtime.is_none_or(|mtime| mtime == facts.mtime.secs);
    if facts.kind != Kind::File || facts.size != finished.size || !same_time {
        return Ok(false);
    }
    if !finished.in_doubt {
        return Ok(true);
    }
    let Some(root) = finished.root else { return Ok(false) };
    let read = super::verify::hash_spot(&item.target, finished.size).await?;
    if read == Some(root) {
        shared.log.checked(finished.seq);
        return Ok(true);
    }
    Ok(false)
}

/// Reads back the pieces that are in doubt and compares them; gives those that must go again.
pub async fn compare(large: &Large, shared: &Arc<Shared>, ends: &Ends, resumed: &Resumed) -> Result<Runs, Trouble> {
    let mut wrong = Runs::new();
    let checks = futures_util::stream::iter(resumed.in_doubt.clone().into_iter().map(|(index, cv)| async move {
        let there = large.read_back(shared, ends, large.piece_at(index)).await?;
        Ok::<_, Trouble>((index, cv, there == Some(cv)))
    }));
    let mut checks = checks.buffered(READ_BACK_AT_ONCE);
    while let Some(check) = checks.next().await {
        let (index, cv, right) = check?;
        if right {
            large.acknowledged(index, cv);
            shared.log.piece(&large.item, index, cv);
        } else {
            wrong.insert(index);
        }
    }
    if !wrong.is_empty() {
        shared
            .log
            .lost(&large.item, wrong.iter().map(|(start, end)| start..end).collect());
    }
    Ok(wrong)
}

/// Ends what an earlier run left in the middle of moving an old file aside: the old file is back under its name, or gone
/// where the new one has it.
pub async fn put_right(shared: &Shared, side: &TargetSide) {
    let asides = shared.log.with_resume(|resume| {
        resume
            .asides()
            .map(|(seq, aside)| (seq, aside.clone()))
            .collect::<Vec<_>>()
    });
    let Some(server) = side.server() else { return };
    for (seq, aside) in asides.unwrap_or_default() {
        let base = Base::Far {
            server: Arc::clone(server),
            dir: Arc::from(&b""[..]),
        };
        let old = sibling(&aside.target, &aside.aside);
        let replaced = aside.replaced || base.lstat(&aside.target).await.is_ok_and(|there| there.is_some());
        let ended = if replaced {
            base.remove_file(&old).await
        } else {
            let rename = |sftp: renkei_ssh::sftp::Sftp| {
                let (old, target) = (old.clone(), aside.target.clone());
                async move {
                    sftp.rename(&old, &target)
                        .await
                        .map_err(Trouble::far("rename to", &target))
                }
            };
            server.run(rename).await
        };
        match ended {
            Ok(()) => shared.log.aside_done(seq),
            Err(trouble) if trouble.is_missing() => shared.log.aside_done(seq),
            Err(trouble) => shared.ledger.note(&trouble.reason()),
        }
    }
}

/// Removes what an earlier run left of files that the sources do not have any more.
pub async fn sweep(shared: &Shared, spot_of: impl Fn(u32, &[u8], &[u8]) -> Option<Spot>) {
    let left = shared.log.with_resume(|resume| {
        resume
            .unfinished()
            .map(|file| (file.seq, file.source.0, file.path.clone(), file.temp.clone()))
            .collect::<Vec<_>>()
    });
    for (seq, source, path, temp) in left.unwrap_or_default() {
        if temp.is_empty() {
            continue;
        }
        if let Some(spot) = spot_of(source, &path, &temp) {
            if spot.base.remove_file(&spot.rel).await.is_ok() {
                shared.log.abandoned_seq(seq);
            }
        }
    }
}
