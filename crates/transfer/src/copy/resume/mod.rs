//! Going on where an earlier run was.
//!
//! What the journal says is believed only as far as the target agrees: a finished file by its size and time (or read back
//! where it was finished shortly before the break), an unfinished one piece by piece. A break within one run, when all
//! connections were lost for a while, means the same for what was not durable then.

pub mod drop;
pub mod log;
pub mod opening;
mod recent;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt;
use renkei_plan::journal::{FileSeq, Resume, UnfinishedFile};
use renkei_plan::{PIECE, Runs};
use renkei_types::tree_hash::{Cv, Root as Hash, TreeHasher};

use self::log::{Log, Moved, identity};
use self::recent::Done;
use super::endpoint::base::{Base, sibling};
use super::endpoint::landing::{Landed, join, last_name};
use super::endpoint::places::{Place, TargetSide};
use super::endpoint::publish::earlier_attempts;
use super::endpoint::spot::Spot;
use super::lane::batch::Stored;
use super::lane::item::{Ends, Item};
use super::lane::large::{Large, Resumed};
use super::ledger::Ledger;
use super::proof::verify::{Budget, hash_within};
use super::shared::Shared;
use super::trouble::Trouble;
use crate::local::meta::Kind;

/// Pieces of one file read back at the same time.
const READ_BACK_AT_ONCE: usize = 8;
/// Files read back, or removed, at the same time.
const FILES_AT_ONCE: usize = 64;

/// What is to be done with a file.
pub enum Recalled {
    /// From the beginning.
    Fresh(Item),
    /// From where an earlier run was.
    Begun(Item, Box<(Resumed, TreeHasher)>),
}

/// Looks what an earlier run did with the file; none if nothing is left to do.
///
/// # Errors
/// Only that the connection is lost for good.
pub async fn recall(shared: &Shared, item: Item) -> Result<Option<Recalled>, Trouble> {
    if !shared.log.is_resumed() {
        return Ok(Some(Recalled::Fresh(item)));
    }
    match look(shared, &item).await {
        Ok(Found::Done) => Ok(None),
        Ok(Found::Checked(size, root)) => {
            shared.log.finished_lately(&Arc::new(item), (size, root), shared.now());
            Ok(None)
        }
        Ok(Found::Nothing) => Ok(Some(Recalled::Fresh(item))),
        Ok(Found::Begun(left, size)) => Ok(Some(begun(shared, item, *left, size))),
        Err(trouble) if trouble.is_lost() => Err(trouble),
        Err(trouble) => {
            shared.failed(&item, &trouble);
            Ok(None)
        }
    }
}

enum Found {
    Nothing,
    Done,
    /// It was in doubt and is right; size and hash.
    Checked(u64, Option<Hash>),
    /// With the size that its temporary file has.
    Begun(Box<UnfinishedFile>, u64),
}

async fn look(shared: &Shared, item: &Item) -> Result<Found, Trouble> {
    if let Some(finished) = shared.log.was_finished(item)? {
        let unchanged = finished.identity == identity(&item.facts);
        if unchanged && stands(shared, item, &finished).await? {
            count(shared, item, (finished.size, finished.root));
            return Ok(match finished.in_doubt {
                false => Found::Done,
                true => Found::Checked(finished.size, finished.root),
            });
        }
        return Ok(Found::Nothing);
    }
    let Some(left) = shared.log.take_unfinished(item) else {
        return Ok(Found::Nothing);
    };
    if left.temp.is_empty() {
        // Written in place: from the beginning.
        return Ok(Found::Nothing);
    }
    let temp = Spot {
        base: item.target.base.clone(),
        rel: sibling(&item.target.rel, &left.temp),
    };
    let usable = left.identity == identity(&item.facts) && item.facts.size > PIECE;
    if usable {
        match temp.base.lstat(&temp.rel).await? {
            Some(facts) if facts.kind == Kind::File => {
                remove_all(&temp, &earlier_attempts(&left.temp)).await?;
                return Ok(Found::Begun(Box::new(left), facts.size));
            }
            None => {
                if let Some(found) = renamed(shared, item, &left).await? {
                    return Ok(found);
                }
            }
            Some(_) => {}
        }
    }
    match remove_temp(&temp).await {
        Ok(()) => shared.log.stale(temp),
        Err(trouble) if trouble.is_lost() => return Err(trouble),
        // Someone has put something else there. The file gets another temporary name.
        Err(trouble) => shared.ledger.note(&trouble.reason()),
    }
    shared.log.abandoned_seq(left.seq);
    Ok(Found::Nothing)
}

/// Whether the file had its name already, and only the answer to that did not come any more.
async fn renamed(shared: &Shared, item: &Item, left: &UnfinishedFile) -> Result<Option<Found>, Trouble> {
    let mut tree = left.tree.clone();
    for (piece, cv) in &left.in_doubt {
        // One that does not fit shows as a tree that does not end.
        let _ = tree.add(*piece, *cv);
    }
    let (size, root) = (left.identity.size, tree.finish());
    if root.is_none() || !holds(&shared.read_back, &item.target, (size, root)).await? {
        return Ok(None);
    }
    let Some(facts) = item.target.base.lstat(&item.target.rel).await? else {
        return Ok(None);
    };
    let stored = Stored {
        size,
        mtime: Some(facts.mtime.secs),
    };
    shared.log.finished_before(left.seq, &stored, root);
    count(shared, item, (size, root));
    Ok(Some(Found::Checked(size, root)))
}

/// A file that an earlier run has brought.
fn count(shared: &Shared, item: &Item, (size, root): (u64, Option<Hash>)) {
    shared.ledger.resumed_bytes.fetch_add(item.facts.size, Relaxed);
    shared.ledger.bytes.fetch_add(item.facts.size, Relaxed);
    shared.ledger.files.fetch_add(1, Relaxed);
    shared.ledger.copied.fetch_add(1, Relaxed);
    shared.proof.file(item, size, root);
}

fn begun(shared: &Shared, mut item: Item, left: UnfinishedFile, size: u64) -> Recalled {
    item.serial = left.seq.0;
    // What lies beyond the end of the file was never there, or was cut off since.
    let whole = |piece: u64| {
        piece
            .saturating_mul(PIECE)
            .saturating_add(PIECE)
            .min(left.identity.size)
            <= size
    };
    let (mut durable, mut gone) = (Runs::new(), Runs::new());
    for piece in left.durable.iter().flat_map(|(start, end)| start..end) {
        if whole(piece) { &mut durable } else { &mut gone }.insert(piece);
    }
    // Values of pieces that are gone must not stay in the tree; they come again with their bytes.
    let tree = if gone.is_empty() {
        left.tree
    } else {
        shared
            .log
            .lost(&item, gone.iter().map(|(start, end)| start..end).collect());
        TreeHasher::new(left.identity.size)
    };
    let in_doubt = left.in_doubt.into_iter().filter(|(piece, _)| whole(*piece)).collect();
    Recalled::Begun(
        item,
        Box::new((
            Resumed {
                temp: left.temp,
                size,
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
    let right = holds(&shared.read_back, &item.target, (finished.size, finished.root)).await?;
    if right {
        shared.log.checked(finished.seq);
    }
    Ok(right)
}

/// Whether a file holds what was sent, as far as that is known.
async fn holds(budget: &Budget, spot: &Spot, (size, root): (u64, Option<Hash>)) -> Result<bool, Trouble> {
    let Some(root) = root else { return Ok(false) };
    match hash_within(spot, size, budget).await {
        Ok(read) => Ok(read == Some(root)),
        Err(trouble) if trouble.is_lost() => Err(trouble),
        // It is not there, or cannot be read: it is copied again.
        Err(_) => Ok(false),
    }
}

/// Reads back pieces that are in doubt and compares them; gives those that must go again.
///
/// # Errors
/// They cannot be read.
pub async fn compare(
    large: &Large,
    shared: &Arc<Shared>,
    ends: &Ends,
    in_doubt: impl IntoIterator<Item = (u64, Cv)>,
) -> Result<Runs, Trouble> {
    let mut wrong = Runs::new();
    let checks = in_doubt.into_iter().map(|(index, cv)| async move {
        let there = large.read_back(shared, ends, large.piece_at(index)).await?;
        Ok::<_, Trouble>((index, cv, there == Some(cv)))
    });
    let mut checks = futures_util::stream::iter(checks).buffered(READ_BACK_AT_ONCE);
    while let Some(check) = checks.next().await {
        let (index, cv, right) = check?;
        if right {
            large.acknowledged(index, cv);
            large
                .unsynced()
                .acknowledged(index, cv, large.piece_at(index).len, shared.now());
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

// ---- a break within a run -------------------------------------------------------------------------------------------

/// Looks whether the target's host may have crashed since the last look, and takes note of what is in doubt then.
pub fn notice_break(shared: &Shared) {
    let Some(server) = &shared.target else { return };
    let breaks = server.witness().breaks();
    let mark = || shared.larges().iter().for_each(|large| large.unsynced().broke());
    shared.log.broke(breaks, shared.now(), mark);
}

/// Reads back the files that were finished shortly before a break; gives those that are not right.
///
/// # Errors
/// Only that the connection is lost for good.
pub async fn recheck(shared: &Shared) -> Result<Vec<Done>, Trouble> {
    notice_break(shared);
    let doubtful = shared.log.recent().take_doubtful();
    let checks = doubtful.into_iter().map(|done| async move {
        let right = holds(&shared.read_back, &done.item.target, (done.size, done.root)).await?;
        Ok::<_, Trouble>((done, right))
    });
    let mut wrong = Vec::new();
    let mut checks = futures_util::stream::iter(checks).buffer_unordered(FILES_AT_ONCE);
    while let Some(check) = checks.next().await {
        let (done, right) = check?;
        if right {
            shared.log.checked(FileSeq(done.item.serial));
            shared
                .log
                .finished_lately(&done.item, (done.size, done.root), shared.now());
        } else {
            wrong.push(done);
        }
    }
    Ok(wrong)
}

/// Takes files out of the account that were finished and are lost, so that they can be copied again.
pub fn uncount(shared: &Shared, done: &Done) {
    shared.ledger.files.fetch_sub(1, Relaxed);
    shared.ledger.copied.fetch_sub(1, Relaxed);
    shared.ledger.bytes.fetch_sub(done.item.facts.size, Relaxed);
}

// ---- old files out of the way ---------------------------------------------------------------------------------------

/// What an earlier run left in the middle of moving an old file aside.
pub fn left_aside(log: &Log, side: &TargetSide) -> Vec<Moved> {
    let Some(server) = side.server() else { return Vec::new() };
    let moved = |resume: &Resume| {
        let moved = resume.asides().map(|(seq, aside)| Moved {
            seq,
            server: Arc::clone(server),
            target: aside.target.clone(),
            old: sibling(&aside.target, &aside.aside),
            replaced: aside.replaced,
        });
        moved.collect()
    };
    log.with_resume(moved).unwrap_or_default()
}

/// Ends such a middle: the old file is back under its name, or gone where the new one has it. Gives what could not be done.
pub async fn put_right(log: &Log, moved: Vec<Moved>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for moved in moved {
        let base = Base::Far {
            server: Arc::clone(&moved.server),
            dir: Arc::from(&b""[..]),
        };
        let replaced = moved.replaced || base.lstat(&moved.target).await.is_ok_and(|there| there.is_some());
        let ended = if replaced {
            base.remove_file(&moved.old).await
        } else {
            let rename = |sftp: renkei_ssh::sftp::Sftp| {
                let (old, target) = (moved.old.clone(), moved.target.clone());
                async move {
                    sftp.rename(&old, &target)
                        .await
                        .map_err(Trouble::far("rename to", &target))
                }
            };
            moved.server.run(rename).await
        };
        match ended {
            Err(trouble) if !trouble.is_missing() => troubles.push(trouble),
            _ => log.aside_done(moved.seq),
        }
    }
    troubles
}

// ---- what is left over ----------------------------------------------------------------------------------------------

/// Removes the temporary files of files that were begun and that nobody goes on with: the sources do not have them any
/// more, or the copy is dropped. Gives how many there were, and what could not be done.
pub async fn sweep(log: &Log, side: &TargetSide) -> (usize, Vec<Trouble>) {
    let left = log.with_resume(|resume| {
        let left = resume.unfinished().filter(|file| !file.temp.is_empty());
        left.filter_map(|file| {
            let landed = resume.landed(file.source)?.to_vec();
            Some((file.seq, landed, file.path.clone(), file.temp.clone()))
        })
        .collect::<Vec<_>>()
    });
    let removals = left
        .unwrap_or_default()
        .into_iter()
        .map(|(seq, landed, path, temp)| async move {
            let removed = async {
                let Some(spot) = spot_below(side, landed, &path, &temp).await? else {
                    return Ok(());
                };
                remove_temp(&spot).await
            };
            removed.await.map(|()| log.abandoned_seq(seq))
        });
    let removed: Vec<_> = futures_util::stream::iter(removals)
        .buffer_unordered(FILES_AT_ONCE)
        .collect()
        .await;
    let count = removed.iter().filter(|removed| removed.is_ok()).count();
    (count, removed.into_iter().filter_map(Result::err).collect())
}

/// A temporary file by the place of its source and the path of its file below that; none if that place is gone.
async fn spot_below(side: &TargetSide, landed: Vec<u8>, path: &[u8], temp: &[u8]) -> Result<Option<Spot>, Trouble> {
    let landed = Landed {
        path: landed,
        named_by_source: false,
    };
    let place = match side.place(&landed, !path.is_empty()).await {
        Err(trouble) if trouble.is_missing() => return Ok(None),
        place => place?,
    };
    let Place::At(spot) = place else { return Ok(None) };
    let rel = match (spot.rel.as_slice(), path) {
        (rel, []) => rel.to_vec(),
        ([], path) => path.to_vec(),
        (rel, path) => join(rel, path),
    };
    Ok(Some(Spot {
        rel: sibling(&rel, temp),
        base: spot.base,
    }))
}

/// When all files stand: nothing is left of earlier runs or in the middle, and nothing is in doubt.
///
/// # Errors
/// Only that the connection is lost for good.
pub async fn tidy(ledger: &Ledger, log: &Log, side: &TargetSide, serial: &mut u64) -> Result<(), Trouble> {
    let mut troubles = put_right(log, log.take_moved()).await;
    let stale = log.take_stale();
    let removals = stale.iter().map(|temp| async { remove(temp).await.err() });
    let removals = futures_util::stream::iter(removals).buffer_unordered(FILES_AT_ONCE);
    troubles.extend(removals.collect::<Vec<_>>().await.into_iter().flatten());
    if ledger.failed.load(Relaxed) == 0 {
        let (_, more) = sweep(log, side).await;
        troubles.extend(more);
    }
    for trouble in troubles {
        if trouble.is_lost() {
            return Err(trouble);
        }
        ledger.note(&trouble.reason());
    }
    // Lost after its own leg was over: the next run of the command copies it.
    let budget = Budget::new(FILES_AT_ONCE, None);
    if let Some(server) = side.server() {
        log.broke(server.witness().breaks(), ledger.now(), || {});
    }
    let doubtful = log.recent().take_doubtful();
    for done in doubtful {
        if !holds(&budget, &done.item.target, (done.size, done.root)).await? {
            log.void(*serial, done.item.source_index, &done.item.below);
            *serial += 1;
            let reason = "the far side has lost it; run the same command again".into();
            ledger.failed_because(&done.item.target.path(), reason);
        }
    }
    if log.recent().has_forgotten() {
        let reason = "the connections were lost, and too many files were finished shortly before; \
                      run the same command again to check them";
        ledger.failed_because(b"", reason.into());
    }
    Ok(())
}

async fn remove_temp(spot: &Spot) -> Result<(), Trouble> {
    let name = last_name(&spot.rel).unwrap_or_default();
    remove_all(spot, &earlier_attempts(name)).await?;
    remove(spot).await
}

/// Removes files beside `spot`.
async fn remove_all(spot: &Spot, names: &[Vec<u8>]) -> Result<(), Trouble> {
    for name in names {
        let spot = Spot {
            base: spot.base.clone(),
            rel: sibling(&spot.rel, name),
        };
        remove(&spot).await?;
    }
    Ok(())
}

/// That it, or the directory that it was in, is gone is fine.
async fn remove(spot: &Spot) -> Result<(), Trouble> {
    match spot.base.remove_file(&spot.rel).await {
        Err(trouble) if trouble.is_missing() => Ok(()),
        removed => removed,
    }
}
