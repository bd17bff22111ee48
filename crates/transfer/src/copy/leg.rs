//! One leg of a copy: everything that comes from one place. Walk, move, then what needs all files to stand.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt;
use renkei_plan::PIECE;

use super::End;
use super::fleet::{Fleet, Route};
use super::lane::item::Item;
use super::resume;
use super::server::sessions::Attendance;
use super::shared::Shared;
use super::trouble::Trouble;
use super::walk::{DirEnd, Placed, Rest, Walk};
use crate::event::Ending;

/// Directories that get their attributes at the same time.
const DIRS_AT_ONCE: usize = 256;

/// Moves the sources of one place. An end only if it ended before its time.
pub async fn run(shared: &Arc<Shared>, route: Route, placed: Vec<Placed>, walk: &Walk) -> Option<End> {
    let dry = shared.request.dry_run;
    let mut fleet = Fleet::new(Arc::clone(shared), route.clone());
    if !dry {
        shared.log.walks();
        join(&mut fleet, &route).await;
    }
    let walking = async {
        let walked = walk.run(placed).await;
        shared.ledger.scanned.store(true, Relaxed);
        shared.plan().scan_done();
        shared.wake.notify_waiters();
        walked
    };
    let (walked, ()) = tokio::join!(walking, fleet.run());
    let Ok(rest) = walked else { return Some(lost(&fleet)) };
    if shared.stop.is_stopped() {
        return Some(lost(&fleet));
    }
    if dry {
        return None;
    }
    loop {
        let wrong = attend(shared, &route, resume::recheck(shared)).await;
        match wrong {
            Some(Ok(wrong)) if wrong.is_empty() => break,
            Some(Ok(wrong)) => {
                for done in wrong {
                    resume::uncount(shared, &done);
                    add_again(shared, &done.item, walk.take_serial());
                }
            }
            Some(Err(_)) | None => return Some(lost(&fleet)),
        }
        join(&mut fleet, &route).await;
        fleet.run().await;
        if shared.stop.is_stopped() {
            return Some(lost(&fleet));
        }
    }
    match attend(shared, &route, finish_dirs(shared, rest)).await {
        Some(Ok(())) => None,
        Some(Err(_)) | None => Some(lost(&fleet)),
    }
}

/// Puts to work what is open already. Where that fails, the fleet opens others.
async fn join(fleet: &mut Fleet, route: &Route) {
    if let Ok(lines) = route.first_lines().await {
        fleet.join(lines);
    }
}

fn lost(fleet: &Fleet) -> End {
    End::because(Ending::Lost, fleet.last_failure().unwrap_or("the connection was lost"))
}

async fn attend<T>(shared: &Shared, route: &Route, work: impl Future<Output = T>) -> Option<T> {
    let attendance = Attendance {
        ledger: &shared.ledger,
        stop: &shared.stop,
        timeout: shared.request.timeout,
    };
    attendance.keep(route.servers(), work).await
}

/// A file that was finished and is lost begins anew, under another number.
fn add_again(shared: &Shared, item: &Item, serial: u64) {
    let item = Item {
        source_index: item.source_index,
        below: item.below.clone(),
        source: item.source.clone(),
        target: item.target.clone(),
        facts: item.facts,
        serial,
        attempt: AtomicU32::new(0),
    };
    if item.facts.size <= PIECE {
        shared.add_small(item);
    } else {
        shared.add_large(item, None);
    }
}

/// Modes and times of directories, the deepest first: a directory's time changes when something is made in it.
async fn finish_dirs(shared: &Shared, rest: Rest) -> Result<(), Trouble> {
    let mut dirs = rest.dirs;
    let depth = |dir: &DirEnd| dir.target.rel.iter().filter(|&&byte| byte == b'/').count();
    dirs.sort_by_key(|dir| std::cmp::Reverse(depth(dir)));
    for level in dirs.chunk_by(|a, b| depth(a) == depth(b)) {
        let finish = level.iter().map(|dir| async move {
            let target = &dir.target;
            (dir, target.base.finish_dir(&target.rel, &dir.facts, shared.keep).await)
        });
        let mut finish = futures_util::stream::iter(finish).buffer_unordered(DIRS_AT_ONCE);
        while let Some((dir, result)) = finish.next().await {
            match result {
                Ok(()) => {}
                Err(trouble) if trouble.is_lost() => return Err(trouble),
                Err(trouble) => shared.ledger.failed(&dir.target.path(), &trouble),
            }
        }
    }
    Ok(())
}
