//! One lane: asks the plan for jobs and carries them out, many at a time, in one task.
//!
//! Small files go in batches, large ones in pieces. Where a file comes from and goes to was settled by the walk; how many
//! lanes there are is settled by the fleet.

pub mod batch;
pub mod item;
pub mod large;
pub mod sync;
mod there;
pub mod through;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use renkei_plan::{FileId, Job, Outcome, Piece};
use tokio::sync::watch;

use self::item::{Ends, Item, Known};
use self::large::{Large, outcome};
use super::shared::Shared;

/// How long an idle lane waits before it asks again, to take over what hangs elsewhere.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How a lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneEnd {
    /// It was told to retire, or the work is done.
    Idle,
    /// Its connection was lost.
    Lost,
    /// All that it had was brought by others.
    Overtaken,
    /// The copy was stopped.
    Stopped,
}

/// Works until there is nothing more to do for this lane. `reset` becoming true abandons what is in flight.
pub async fn work(shared: Arc<Shared>, ends: Ends, mut reset: watch::Receiver<bool>) -> LaneEnd {
    let mut jobs: FuturesUnordered<BoxFuture<'static, (u64, Job)>> = FuturesUnordered::new();
    let mut out: HashMap<u64, Job> = HashMap::new();
    let mut serial = 0u64;
    // Where connections were lost a new one begins with little: what it finishes before it is lost as well is done, while
    // hundreds of files begun at once might never be.
    let is_first = shared.ledger.retries.load(Relaxed) == 0;
    let mut most_jobs = if is_first { usize::MAX } else { 1 };
    // What a slow login has taken nobody else does: one job, so that it is there as soon as the session begins, and no more.
    let mut may_hold = 1;
    let (lost, begun) = (lost(ends.clone()), ends.begun());
    tokio::pin!(lost, begun);
    let end = loop {
        let mut wake = std::pin::pin!(shared.wake.notified());
        wake.as_mut().enable();
        while jobs.len() < most_jobs.min(may_hold) {
            let next = shared.plan().next(ends.lane, shared.now());
            let Some(job) = next else { break };
            serial += 1;
            out.insert(serial, job.clone());
            jobs.push(Box::pin(carry_out(Arc::clone(&shared), ends.clone(), serial, job)));
        }
        if jobs.is_empty() && shared.plan().is_retired(ends.lane) {
            break LaneEnd::Idle;
        }
        tokio::select! {
            Some((serial, _)) = jobs.next(), if !jobs.is_empty() => {
                out.remove(&serial);
                most_jobs = most_jobs.saturating_mul(2);
            }
            () = &mut wake => {}
            () = &mut begun, if may_hold == 1 => may_hold = usize::MAX,
            () = &mut lost => break LaneEnd::Lost,
            Ok(()) = reset.changed() => {
                // Its files are closed on all their sessions, and this one may never answer.
                ends.abandon();
                break LaneEnd::Overtaken;
            }
            () = shared.stop.stopped() => break LaneEnd::Stopped,
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    };
    if end == LaneEnd::Lost {
        // The answers that will not come have been given up by the session; what is done may still be told.
        while let Some((serial, _)) = jobs.next().await {
            out.remove(&serial);
        }
    }
    drop(jobs);
    give_back(&shared, &ends, out.into_values());
    shared.plan().lane_down(ends.lane);
    shared.wake.notify_waiters();
    end
}

/// Jobs whose future was dropped are to be done by others.
fn give_back(shared: &Shared, ends: &Ends, jobs: impl Iterator<Item = Job>) {
    let mut plan = shared.plan();
    let now = shared.now();
    for job in jobs {
        if let Job::Batch(files) = &job {
            let outcomes = vec![Outcome::Again; files.len()];
            let _ = plan.batch_done(ends.lane, files, &outcomes, now);
        } else {
            let _ = plan.done(ends.lane, &job, Outcome::Again, now);
        }
    }
}

async fn lost(ends: Ends) {
    match (&ends.source, &ends.target) {
        (Some(source), Some(target)) => tokio::select! {
            _ = source.closed() => {}
            _ = target.closed() => {}
        },
        (Some(session), None) | (None, Some(session)) => drop(session.closed().await),
        (None, None) => std::future::pending().await,
    }
}

async fn carry_out(shared: Arc<Shared>, ends: Ends, serial: u64, job: Job) -> (u64, Job) {
    match &job {
        Job::Batch(files) => copy_batch(&shared, &ends, files).await,
        Job::Open(file) => open(&shared, &ends, *file, &job).await,
        Job::Piece(piece) => move_piece(&shared, &ends, *piece, &job).await,
        Job::Finish(file) => finish(&shared, &ends, *file, &job).await,
        Job::Discard(file) => {
            if let Some(Known::Large(large)) = shared.known(*file) {
                if let Err(trouble) = large.discard(&shared, &ends).await {
                    shared.ledger.note(&trouble.reason());
                }
                shared.log.abandoned(&large.item);
            }
            shared.plan().done(ends.lane, &job, Outcome::Done, shared.now());
            shared.forget(*file);
        }
    }
    shared.wake.notify_waiters();
    (serial, job)
}

async fn copy_batch(shared: &Arc<Shared>, ends: &Ends, files: &[FileId]) {
    let items: Vec<Arc<Item>> = files
        .iter()
        .filter_map(|file| match shared.known(*file) {
            Some(Known::Small(item)) => Some(item),
            _ => None,
        })
        .collect();
    let outcomes = batch::copy(shared, ends, &items).await;
    let given_up = shared.plan().batch_done(ends.lane, files, &outcomes, shared.now());
    for ((file, item), outcome) in files.iter().zip(&items).zip(&outcomes) {
        match outcome {
            Outcome::Again if given_up.contains(file) => {
                shared
                    .ledger
                    .failed_because(&item.shown(), "the connection was lost each time it was tried".into());
                shared.forget(*file);
            }
            Outcome::Again => {
                shared.ledger.retries.fetch_add(1, Relaxed);
            }
            Outcome::Done => {
                shared.ledger.acknowledged(item.facts.size);
                shared.forget(*file);
            }
            Outcome::Failed => shared.forget(*file),
        }
    }
}

fn large(shared: &Shared, file: FileId) -> Option<Arc<Large>> {
    match shared.known(file) {
        Some(Known::Large(large)) => Some(large),
        _ => None,
    }
}

async fn open(shared: &Arc<Shared>, ends: &Ends, file: FileId, job: &Job) {
    let Some(large) = large(shared, file) else { return };
    let result = async {
        let wrong = large.open(shared, ends).await?;
        Ok((wrong, large.holes(shared).await?))
    };
    let result = result.await;
    if let Ok((wrong, holes)) = &result {
        let bytes = large.bytes_of(wrong);
        shared.ledger.bytes.fetch_sub(bytes, Relaxed);
        shared.ledger.resumed_bytes.fetch_sub(bytes, Relaxed);
        let mut plan = shared.plan();
        plan.undo(file, wrong);
        shared.ledger.acknowledged(plan.fulfil(file, holes));
    }
    let outcome = outcome(&result);
    if outcome == Outcome::Again && large.resumed.is_none() {
        large.item.attempt.fetch_add(1, Relaxed);
    }
    if outcome == Outcome::Failed {
        if let Err(trouble) = &result {
            shared.failed(&large.item, trouble);
        }
        // Whatever half of it was opened is closed and taken away again.
        let _ = large.discard(shared, ends).await;
        large.remove_left(shared).await;
        shared.log.abandoned(&large.item);
        shared.forget(file);
    }
    shared.plan().done(ends.lane, job, outcome, shared.now());
}

async fn move_piece(shared: &Arc<Shared>, ends: &Ends, piece: Piece, job: &Job) {
    let Some(large) = large(shared, piece.file) else { return };
    let result = large.piece(shared, ends, piece).await;
    // Written down before the plan knows: it may hand out the finish at once.
    if let Ok(Some(cv)) = result {
        large.acknowledged(piece.index, cv);
        shared.log.piece(&large.item, piece.index, cv);
        if ends.target.as_ref().is_some_and(|sftp| sftp.is_closed()) {
            // The host may have crashed after this answer.
            large.unsynced().doubtful(piece.index, cv);
        } else {
            large.unsynced().acknowledged(piece.index, cv, piece.len, shared.now());
            shared.heard(ends);
        }
    }
    let outcome = outcome(&result);
    let first = shared.plan().done(ends.lane, job, outcome, shared.now());
    match result {
        Ok(_) if first => shared.ledger.acknowledged(piece.len),
        Ok(_) => {}
        Err(trouble) if trouble.is_lost() => {
            shared.ledger.retries.fetch_add(1, Relaxed);
        }
        Err(trouble) => {
            // Several pieces of one file fail together; it is told once.
            if large.fail_once() {
                shared.failed(&large.item, &trouble);
            }
        }
    }
}

async fn finish(shared: &Arc<Shared>, ends: &Ends, file: FileId, job: &Job) {
    let Some(large) = large(shared, file) else { return };
    let result = match large.recheck(shared, ends).await {
        Ok(wrong) if wrong.is_empty() => large.finish(shared, ends).await,
        Ok(wrong) => {
            let bytes = large.bytes_of(&wrong);
            shared.ledger.bytes.fetch_sub(bytes, Relaxed);
            shared.ledger.retries.fetch_add(1, Relaxed);
            let mut plan = shared.plan();
            plan.undo(file, &wrong);
            plan.done(ends.lane, job, Outcome::Again, shared.now());
            return;
        }
        Err(trouble) => Err(trouble),
    };
    let outcome = outcome(&result);
    match &result {
        Ok(stored) => {
            let hash = if shared.wants_hashes { large.hash() } else { None };
            shared.finished(&large.item, stored, hash);
            if !large.unsynced().is_settled() {
                shared
                    .log
                    .finished_lately(&large.item, (stored.size, hash), shared.now());
            }
            shared.log.flush();
        }
        Err(trouble) if trouble.is_lost() => {
            shared.ledger.retries.fetch_add(1, Relaxed);
        }
        Err(trouble) => {
            if large.fail_once() {
                shared.failed(&large.item, trouble);
            }
        }
    }
    shared.plan().done(ends.lane, job, outcome, shared.now());
    if outcome == Outcome::Done {
        shared.forget(file);
    }
}
