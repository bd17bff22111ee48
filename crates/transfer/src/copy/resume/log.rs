//! The journal as the copy uses it: what to write down when.
//!
//! A journal that cannot be written must not stop a copy that works: it is said once, and the copy cannot be resumed.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use renkei_plan::journal::{
    Durability, FileIdentity, FileSeq, Record, Resume, SourceIndex, TargetPlace, UnfinishedFile,
};
use renkei_types::tree_hash::{Cv, Root as Hash};

use super::recent::{Done, Recent};
use crate::copy::endpoint::base::{Base, sibling};
use crate::copy::endpoint::facts::Facts;
use crate::copy::endpoint::publish::{Aside, TempNames};
use crate::copy::endpoint::spot::Spot;
use crate::copy::lane::batch::Stored;
use crate::copy::lane::item::Item;
use crate::copy::ledger::Ledger;
use crate::copy::server::Server;
use crate::copy::trouble::{Trouble, chain};
use crate::journal::{FinishedFile, Journal, JournalError};

/// A journal, or none; and what has to be remembered of this run for the same reasons.
#[derive(Default)]
pub struct Log {
    journal: Option<Journal>,
    resume: Mutex<Option<Resume>>,
    broken: Mutex<Option<String>>,
    /// Fixed when the target was reached; none: it is on this machine.
    durability: Mutex<Option<Durability>>,
    /// Files begun and not abandoned.
    begun: AtomicU64,
    /// Whether a directory or link was made at the target.
    made: AtomicBool,
    /// Whether the target may be changed at all.
    walks: AtomicBool,
    /// Old files that are out of the way of new ones.
    moved: Mutex<Vec<Moved>>,
    recent: Mutex<Recent>,
    /// Temporary files of lost connections and killed runs.
    stale: Mutex<Vec<Spot>>,
    /// Breaks that were noticed.
    breaks: Mutex<u64>,
}

/// An old file that was to be moved aside at a server.
#[derive(Clone)]
pub struct Moved {
    pub seq: FileSeq,
    pub server: Arc<Server>,
    /// The place that it had.
    pub target: Vec<u8>,
    /// What it is called meanwhile.
    pub old: Vec<u8>,
    /// Whether the new file is known to stand in its place.
    pub replaced: bool,
}

impl Log {
    /// Writes to this journal.
    pub fn new(journal: Option<Journal>, resume: Option<Resume>) -> Self {
        Self {
            journal,
            resume: Mutex::new(resume),
            ..Self::default()
        }
    }

    pub fn is_kept(&self) -> bool {
        self.journal.is_some()
    }

    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    fn write(&self, record: &Record<'_>) {
        let Some(journal) = &self.journal else { return };
        if let Err(error) = journal.append(record) {
            self.break_off(&error);
        }
    }

    fn break_off(&self, error: &JournalError) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert_with(|| chain(error));
    }

    /// Tells once if the journal could not be written.
    pub fn tell(&self, ledger: &Ledger) {
        if let Some(reason) = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            ledger.note(&format!(
                "the journal could not be written, so this copy may not be resumable: {reason}"
            ));
        }
    }

    /// A run begins: whatever was not durable before is in doubt.
    pub fn run(&self, durability: Durability) {
        *lock(&self.durability) = Some(durability);
        self.write_run(durability);
    }

    /// How what is acknowledged becomes durable.
    pub fn durability(&self) -> Durability {
        lock(&self.durability).unwrap_or(Durability::Sync)
    }

    fn write_run(&self, durability: Durability) {
        if let Some(journal) = &self.journal {
            self.write(&Record::Run {
                at: journal.now(),
                durability,
            });
        }
    }

    pub fn landed(&self, source: u32, target: &[u8]) {
        self.write(&Record::Landed {
            source: SourceIndex(source),
            target,
        });
    }

    /// Files are begun; written before their temporary files are made.
    pub fn begin<'a>(&self, items: impl IntoIterator<Item = &'a Item>, temps: &TempNames, in_place: bool) {
        for item in items {
            self.begun.fetch_add(1, Relaxed);
            let temp = if in_place { Vec::new() } else { item.temp(temps) };
            if item.attempt.load(Relaxed) > 0 {
                self.abandoned(item);
            }
            self.write(&Record::Begin {
                seq: FileSeq(item.serial),
                source: SourceIndex(item.source_index),
                path: &item.below,
                identity: identity(&item.facts),
                temp: &temp,
                target: TargetPlace::BelowLanded,
            });
        }
        self.flush();
    }

    pub fn piece(&self, item: &Item, index: u64, cv: Cv) {
        if let Some(journal) = &self.journal {
            let at = journal.now();
            self.write(&Record::Pieces {
                seq: FileSeq(item.serial),
                first: index,
                cvs: Cow::Owned(vec![cv]),
                at,
            });
            // One write for each MiB, so that nothing is ever told as done that a killed run would not know of.
            self.flush();
        }
    }

    /// Pieces that were believed are wrong at the target.
    pub fn lost(&self, item: &Item, runs: Vec<Range<u64>>) {
        self.write(&Record::Lost {
            seq: FileSeq(item.serial),
            runs: Cow::Owned(runs),
        });
    }

    /// The target has synced these pieces.
    pub fn durable(&self, item: &Item, runs: Vec<Range<u64>>) {
        if let Some(journal) = &self.journal {
            let at = journal.now();
            self.write(&Record::Durable {
                seq: FileSeq(item.serial),
                runs: Cow::Owned(runs),
                at,
            });
        }
    }

    pub fn finished(&self, item: &Item, stored: &Stored, root: Option<Hash>) {
        self.finished_before(FileSeq(item.serial), stored, root);
    }

    /// The file of this number was finished, perhaps by an earlier run.
    pub fn finished_before(&self, seq: FileSeq, stored: &Stored, root: Option<Hash>) {
        if let Some(journal) = &self.journal {
            self.write(&Record::Finished {
                seq,
                size: stored.size,
                mtime: stored.mtime,
                root,
                at: journal.now(),
            });
        }
    }

    pub fn abandoned(&self, item: &Item) {
        // One that goes on from an earlier run was not counted.
        let _ = self.begun.fetch_update(Relaxed, Relaxed, |begun| begun.checked_sub(1));
        self.write(&Record::Abandoned {
            seq: FileSeq(item.serial),
        });
    }

    pub fn checked(&self, serial: FileSeq) {
        if let Some(journal) = &self.journal {
            self.write(&Record::Checked {
                seq: serial,
                at: journal.now(),
            });
        }
    }

    /// A finished file is not to be believed: `serial`, which no file has, takes its place and is given up.
    pub fn void(&self, serial: u64, source: u32, below: &[u8]) {
        self.write(&Record::Begin {
            seq: FileSeq(serial),
            source: SourceIndex(source),
            path: below,
            identity: FileIdentity {
                size: 0,
                mtime_ns: 0,
                inode: 0,
                device: 0,
            },
            temp: b"",
            target: TargetPlace::BelowLanded,
        });
        self.abandoned_seq(FileSeq(serial));
    }

    pub fn abandoned_seq(&self, seq: FileSeq) {
        self.write(&Record::Abandoned { seq });
    }

    /// What `publish::replace` tells about a file.
    pub fn aside(&self, item: &Item, aside: Aside<'_>) {
        let seq = FileSeq(item.serial);
        match (aside, &item.target.base) {
            (Aside::Moved(aside), Base::Far { server, .. }) => {
                self.write(&Record::AsideMoved { seq, aside });
                self.flush();
                let target = item.target.path();
                lock(&self.moved).push(Moved {
                    seq,
                    server: Arc::clone(server),
                    old: sibling(&target, aside),
                    target,
                    replaced: false,
                });
            }
            (Aside::Moved(_), Base::Near(_)) => {}
            (Aside::Done, _) => {
                let mut moved = lock(&self.moved);
                if let Some(last) = moved.iter().rposition(|moved| moved.seq == seq) {
                    moved.remove(last);
                }
                // An earlier attempt may have left one as well.
                if !moved.iter().any(|moved| moved.seq == seq) {
                    self.aside_done(seq);
                }
            }
        }
    }

    /// A temporary file was removed whose server may still be at work on what it had been sent, and make it anew.
    pub fn stale(&self, temp: Spot) {
        lock(&self.stale).push(temp);
    }

    /// Takes these files, to remove them once more.
    pub fn take_stale(&self) -> Vec<Spot> {
        std::mem::take(&mut lock(&self.stale))
    }

    /// Takes the old files of which it is not known that they are gone.
    pub fn take_moved(&self) -> Vec<Moved> {
        std::mem::take(&mut lock(&self.moved))
    }

    pub fn aside_done(&self, seq: FileSeq) {
        self.write(&Record::AsideDone { seq });
    }

    /// Hands everything to the system, so that it survives the end of this process.
    pub fn flush(&self) {
        if let Some(Err(error)) = self.journal.as_ref().map(Journal::flush) {
            self.break_off(&error);
        }
    }

    /// To be called several times a second.
    pub fn tick(&self) {
        if let Some(Err(error)) = self.journal.as_ref().map(Journal::tick) {
            self.break_off(&error);
        }
    }

    // ---- what happened in this run -------------------------------------------------------------------------------------

    /// From here on the target may be changed.
    pub fn walks(&self) {
        self.walks.store(true, Relaxed);
    }

    /// A directory or link was made at the target.
    pub fn made(&self) {
        self.made.store(true, Relaxed);
    }

    /// Whether anything stands at the target because of this copy, so that there is something to go on with.
    pub fn has_begun(&self) -> bool {
        self.made.load(Relaxed) || self.begun.load(Relaxed) > 0 || self.is_resumed()
    }

    /// Whether anything may stand there, when it ended in the middle and answers did not come any more.
    pub fn may_have_begun(&self) -> bool {
        self.walks.load(Relaxed) || self.has_begun()
    }

    /// A file was finished that is not known to be durable.
    pub fn finished_lately(&self, item: &Arc<Item>, (size, root): (u64, Option<Hash>), now: Duration) {
        if let Base::Far { .. } = &item.target.base {
            let item = Arc::clone(item);
            self.recent().add(Done { item, size, root }, now);
        }
    }

    pub fn recent(&self) -> MutexGuard<'_, Recent> {
        lock(&self.recent)
    }

    /// The target's host may have crashed `breaks` times so far. If that is news, `mark` puts into doubt what is not
    /// remembered here.
    pub fn broke(&self, breaks: u64, now: Duration, mark: impl FnOnce()) {
        // Held until all is marked, so that nobody believes an answer in between.
        let mut noticed = lock(&self.breaks);
        if *noticed < breaks {
            *noticed = breaks;
            self.write_run(self.durability());
            self.recent().broke(now);
            mark();
        }
    }

    // ---- what an earlier run left ------------------------------------------------------------------------------------

    /// Whether there is anything to look up.
    pub fn is_resumed(&self) -> bool {
        self.resume.lock().is_ok_and(|resume| resume.is_some())
    }

    pub fn take_unfinished(&self, item: &Item) -> Option<UnfinishedFile> {
        let mut resume = self.resume.lock().ok()?;
        resume
            .as_mut()?
            .take_unfinished(SourceIndex(item.source_index), &item.below)
    }

    /// What the journal says of a file that an earlier run finished.
    pub fn was_finished(&self, item: &Item) -> Result<Option<FinishedFile>, Trouble> {
        let Some(journal) = &self.journal else { return Ok(None) };
        let Ok(resume) = self.resume.lock() else {
            return Ok(None);
        };
        let Some(resume) = resume.as_ref() else { return Ok(None) };
        journal
            .finished(resume, SourceIndex(item.source_index), &item.below)
            .map_err(|error| Trouble::Other {
                path: item.shown(),
                reason: chain(&error),
            })
    }

    /// Looks at what an earlier run left.
    pub fn with_resume<T>(&self, look: impl FnOnce(&Resume) -> T) -> Option<T> {
        self.resume.lock().ok()?.as_ref().map(look)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By what a changed source is noticed.
pub fn identity(facts: &Facts) -> FileIdentity {
    let mtime_ns = facts
        .mtime
        .secs
        .saturating_mul(1_000_000_000)
        .saturating_add(facts.mtime.nanos.into());
    FileIdentity {
        size: facts.size,
        mtime_ns,
        inode: facts.id.map_or(0, |id| id.inode),
        device: facts.id.map_or(0, |id| id.dev),
    }
}
