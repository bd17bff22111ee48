//! What all tasks of one leg of a copy share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use renkei_plan::{FileId, Plan, Repeat, Runs, Settings};
use renkei_ssh::sftp::BufPool;
use renkei_types::tree_hash::Root as Hash;
use tokio::sync::{Notify, Semaphore};

use super::endpoint::facts::Keep;
use super::endpoint::publish::TempNames;
use super::lane::batch::Stored;
use super::lane::item::{Ends, Item, Known};
use super::lane::large::{Large, Resumed};
use super::ledger::Ledger;
use super::proof::Proof;
use super::proof::verify::Budget;
use super::resume::log::Log;
use super::server::Server;
use super::stop::Stop;
use super::trouble::Trouble;
use crate::limit::Limiter;
use crate::request::Request;

/// Bytes of a READ or WRITE at most: five of them make a piece, and OpenSSH takes 255 KiB.
pub const REQUEST: u32 = 208 << 10;
/// Local reads and writes of pieces under way at once; more would only make a disk seek.
const DISK_JOBS: usize = 8;
/// Files read back at the same time.
const READ_BACK_FILES: usize = 64;
/// Bytes that small files may have grown by since the scan, all that are in memory together.
const MOST_GROWN: usize = 32 << 20;
/// Write buffers kept for use again.
const BUFFERS_KEPT: usize = 256;

/// Everything that the walk, the lanes and the fleet of one leg share.
pub struct Shared {
    pub request: Request,
    pub keep: Keep,
    pub temps: TempNames,
    pub ledger: Arc<Ledger>,
    pub log: Arc<Log>,
    pub proof: Arc<Proof>,
    pub stop: Stop,
    /// None: the target is on this machine.
    pub target: Option<Arc<Server>>,
    /// For what is read back of earlier runs.
    pub read_back: Budget,
    pub limiter: Option<Limiter>,
    pub wants_hashes: bool,
    pub buffers: Arc<BufPool>,
    pub disk: Semaphore,
    /// Room for what small files have grown by, in bytes.
    pub grown: Arc<Semaphore>,
    /// Lanes look for work again.
    pub wake: Notify,
    /// The walk may go on.
    pub room: Notify,
    /// There is a file to copy: how many connections are worth it can be told. Rung once.
    pub first_found: Notify,
    has_found: AtomicBool,
    plan: Mutex<Plan>,
    known: Mutex<HashMap<FileId, Known>>,
}

impl Shared {
    pub fn new(request: Request, parts: Parts) -> Self {
        let window = request
            .tuning
            .ahead
            .map(|ahead| u64::from(ahead.max(1)) * u64::from(request.tuning.request_size.unwrap_or(REQUEST).max(1)));
        let chunks = request.tuning.chunks;
        // A file here is finished only when nobody writes to it any more.
        let repeat = parts.target.as_ref().map_or(Repeat::Harmless, |_| Repeat::Lingers);
        let limiter = request.tuning.limit.map(|limit| Limiter::new(Some(limit)));
        let repeatable = matches!(request.existing, crate::request::Existing::SkipSameTime);
        let keep = Keep {
            times: request.preserve || repeatable,
            special_bits: request.preserve,
        };
        let wants_hashes = request.verify || request.manifest.is_some() || parts.log.is_kept();
        Self {
            keep,
            limiter,
            wants_hashes,
            request,
            temps: parts.temps,
            ledger: parts.ledger,
            log: parts.log,
            proof: parts.proof,
            stop: parts.stop,
            target: parts.target,
            read_back: Budget::new(READ_BACK_FILES, None),
            buffers: Arc::new(BufPool::new(REQUEST as usize, BUFFERS_KEPT)),
            disk: Semaphore::new(DISK_JOBS),
            grown: Arc::new(Semaphore::new(MOST_GROWN)),
            wake: Notify::new(),
            room: Notify::new(),
            first_found: Notify::new(),
            has_found: AtomicBool::new(false),
            plan: Mutex::new(Plan::new(Settings {
                window,
                chunks,
                repeat,
                ..Settings::default()
            })),
            known: Mutex::new(HashMap::new()),
        }
    }

    pub fn now(&self) -> Duration {
        self.ledger.now()
    }

    /// The plan; held only for the length of a call, never across an await.
    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn known(&self, id: FileId) -> Option<Known> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// The large files that the plan holds.
    pub fn larges(&self) -> Vec<Arc<Large>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let large = |known: &Known| match known {
            Known::Large(large) => Some(Arc::clone(large)),
            Known::Small(_) => None,
        };
        known.values().filter_map(large).collect()
    }

    /// The target has answered over this lane.
    pub fn heard(&self, ends: &Ends) {
        if let (Some(server), Some(sftp)) = (&self.target, &ends.target) {
            server.witness().heard(sftp);
        }
    }

    /// Whether a file's time has to be asked for, so that a later run can tell if it was changed since.
    pub fn time_after(&self, attrs: &renkei_ssh::sftp::Attrs) -> bool {
        self.log.is_kept() && attrs.times.is_none()
    }

    pub fn forget(&self, id: FileId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.room.notify_waiters();
    }

    /// Bytes of one request towards a server that takes `most`.
    pub fn request_size(&self, most: u32) -> u32 {
        self.request
            .tuning
            .request_size
            .unwrap_or(REQUEST)
            .min(REQUEST)
            .min(most)
            .max(1)
    }

    fn found_one(&self) {
        if !self.has_found.swap(true, Relaxed) {
            self.first_found.notify_one();
        }
        self.wake.notify_waiters();
    }

    /// Hands a small file to the plan.
    pub fn add_small(&self, item: Item) {
        let mut plan = self.plan();
        let id = plan.add_small(item.facts.size);
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Known::Small(Arc::new(item)));
        drop(plan);
        self.found_one();
    }

    /// Hands a large file to the plan.
    pub fn add_large(&self, item: Item, resumed: Option<(Resumed, renkei_types::tree_hash::TreeHasher)>) {
        let mut done = Runs::new();
        let (resumed, tree) = match resumed {
            None => (None, None),
            Some((resumed, tree)) => {
                for (start, end) in resumed.durable.iter() {
                    done.insert_range(start, end);
                }
                for (piece, _) in &resumed.in_doubt {
                    done.insert(*piece);
                }
                (Some(resumed), Some(tree))
            }
        };
        let size = item.facts.size;
        let large = Arc::new(Large::new(Arc::new(item), resumed, tree));
        let believed: u64 = done
            .iter()
            .flat_map(|(start, end)| start..end)
            .map(|i| large.piece_at(i).len)
            .sum();
        self.ledger.resumed_bytes.fetch_add(believed, Relaxed);
        self.ledger.bytes.fetch_add(believed, Relaxed);
        let mut plan = self.plan();
        let id = plan.add_large(size, done);
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Known::Large(large));
        drop(plan);
        self.found_one();
    }

    /// Waits while enough is queued.
    pub async fn wait_for_room(&self) -> Result<(), Trouble> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            if self.stop.is_stopped() {
                return Err(Trouble::Ended);
            }
            if !self.plan().is_full() {
                return Ok(());
            }
            tokio::select! {
                () = room => {}
                () = self.stop.stopped() => return Err(Trouble::Ended),
            }
        }
    }

    /// Waits until the plan holds no file.
    pub async fn wait_until_empty(&self) -> Result<(), Trouble> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            if self.stop.is_stopped() {
                return Err(Trouble::Ended);
            }
            if self.known.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = room => {}
                () = self.stop.stopped() => return Err(Trouble::Ended),
            }
        }
    }

    /// A file stands under its final name.
    pub fn finished(&self, item: &Item, stored: &Stored, hash: Option<Hash>) {
        self.log.finished(item, stored, hash);
        self.proof.file(item, stored.size, hash);
        self.ledger.files.fetch_add(1, Relaxed);
        self.ledger.copied(&item.shown(), stored.size);
    }

    /// A file is given up.
    pub fn failed(&self, item: &Item, trouble: &Trouble) {
        self.ledger.files.fetch_add(1, Relaxed);
        self.ledger.failed(&item.shown(), trouble);
    }
}

/// What outlives a leg.
pub struct Parts {
    pub temps: TempNames,
    pub ledger: Arc<Ledger>,
    pub log: Arc<Log>,
    pub proof: Arc<Proof>,
    pub stop: Stop,
    pub target: Option<Arc<Server>>,
}
