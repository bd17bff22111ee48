//! What has been done so far: counters, failures and notes, and who is told.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::trouble::Trouble;
use crate::event::{Bottleneck, Event, Failure, Observer, Progress};

/// How many failures are kept for the summary; all are told as they happen.
const KEPT_FAILURES: usize = 10_000;
/// Over how long the present rate is taken.
const RECENT: Duration = Duration::from_secs(3);

/// Counters of one copy; shared by all tasks.
pub struct Ledger {
    observer: Arc<dyn Observer>,
    start: Instant,
    pub bytes: AtomicU64,
    pub resumed_bytes: AtomicU64,
    pub sent_bytes: AtomicU64,
    pub total_bytes: AtomicU64,
    pub files: AtomicU64,
    pub total_files: AtomicU64,
    pub copied: AtomicU64,
    pub skipped: AtomicU64,
    pub deleted: AtomicU64,
    pub retries: AtomicU64,
    pub requests: AtomicU64,
    pub connections: AtomicU32,
    pub channels: AtomicU32,
    pub scanned: AtomicBool,
    pub failed: AtomicU64,
    /// Nanoseconds since the start of the first and the last byte of content; 0: none yet.
    first_byte: AtomicU64,
    last_byte: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    failures: Vec<Failure>,
    notes: Vec<String>,
    told: HashSet<String>,
    recent: VecDeque<(Duration, u64)>,
}

impl Ledger {
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self {
            observer,
            start: Instant::now(),
            bytes: AtomicU64::new(0),
            resumed_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            total_files: AtomicU64::new(0),
            copied: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            deleted: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            connections: AtomicU32::new(0),
            channels: AtomicU32::new(0),
            scanned: AtomicBool::new(false),
            failed: AtomicU64::new(0),
            first_byte: AtomicU64::new(0),
            last_byte: AtomicU64::new(0),
            kept: Mutex::new(Kept::default()),
        }
    }

    /// Time since the start: the plan's clock.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn event(&self, event: Event) {
        self.observer.event(event);
    }

    /// A regular file was found that is to be copied.
    pub fn found(&self, bytes: u64) {
        self.total_files.fetch_add(1, Relaxed);
        self.total_bytes.fetch_add(bytes, Relaxed);
    }

    /// Content is about to leave or has just arrived; the first time begins the measured span.
    pub fn content_begins(&self) {
        if self.first_byte.load(Relaxed) == 0 {
            let _ = self.first_byte.compare_exchange(0, self.nanos(), Relaxed, Relaxed);
        }
    }

    /// Content was acknowledged by the target.
    pub fn acknowledged(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.last_byte.fetch_max(self.nanos(), Relaxed);
    }

    /// A file, link or directory stands at the target.
    pub fn copied(&self, path: &[u8], bytes: u64) {
        self.copied.fetch_add(1, Relaxed);
        self.event(Event::Copied {
            path: path.to_vec(),
            bytes,
        });
    }

    pub fn skipped(&self, path: &[u8], reason: &str) {
        self.skipped.fetch_add(1, Relaxed);
        self.event(Event::Skipped {
            path: path.to_vec(),
            reason: reason.to_owned(),
        });
    }

    /// It cannot be copied at all, which everyone is told.
    pub fn left_out(&self, path: &[u8], reason: &str) {
        self.skipped.fetch_add(1, Relaxed);
        self.event(Event::LeftOut {
            path: path.to_vec(),
            reason: reason.to_owned(),
        });
    }

    /// One path failed; the rest goes on.
    pub fn failed(&self, path: &[u8], trouble: &Trouble) {
        self.failed_because(path, trouble.reason());
    }

    pub fn failed_because(&self, path: &[u8], reason: String) {
        self.failed.fetch_add(1, Relaxed);
        let failure = Failure {
            path: path.to_vec(),
            reason,
        };
        if let Ok(mut kept) = self.kept.lock()
            && kept.failures.len() < KEPT_FAILURES
        {
            kept.failures.push(failure.clone());
        }
        self.event(Event::Failed(failure));
    }

    /// Says something once, however often it happens.
    pub fn note(&self, text: &str) {
        let is_new = self.kept.lock().is_ok_and(|mut kept| {
            let is_new = kept.told.insert(text.to_owned());
            if is_new {
                kept.notes.push(text.to_owned());
            }
            is_new
        });
        if is_new {
            self.event(Event::Note(text.to_owned()));
        }
    }

    pub fn retry(&self, reason: String) {
        self.retries.fetch_add(1, Relaxed);
        self.event(Event::Retry { reason });
    }

    pub fn failures(&self) -> Vec<Failure> {
        self.kept.lock().map(|kept| kept.failures.clone()).unwrap_or_default()
    }

    pub fn notes(&self) -> Vec<String> {
        self.kept.lock().map(|kept| kept.notes.clone()).unwrap_or_default()
    }

    /// From the first to the last byte of content.
    pub fn data_elapsed(&self) -> Duration {
        let (first, last) = (self.first_byte.load(Relaxed), self.last_byte.load(Relaxed));
        Duration::from_nanos(last.saturating_sub(first))
    }

    /// The numbers as they are now.
    pub fn progress(&self, bottleneck: Bottleneck) -> Progress {
        let elapsed = self.now();
        let bytes = self.bytes.load(Relaxed);
        let resumed_bytes = self.resumed_bytes.load(Relaxed);
        let fresh = bytes.saturating_sub(resumed_bytes);
        let first = Duration::from_nanos(self.first_byte.load(Relaxed));
        let since = if first.is_zero() {
            Duration::ZERO
        } else {
            elapsed.saturating_sub(first)
        };
        Progress {
            elapsed,
            bytes,
            resumed_bytes,
            total_bytes: self.total_bytes.load(Relaxed),
            files: self.files.load(Relaxed),
            total_files: self.total_files.load(Relaxed),
            scanned: self.scanned.load(Relaxed),
            rate_now: self.rate_now(elapsed, fresh),
            rate_mean: rate(fresh, since),
            connections: self.connections.load(Relaxed),
            channels: self.channels.load(Relaxed),
            bottleneck,
        }
    }

    fn rate_now(&self, now: Duration, bytes: u64) -> u64 {
        let Ok(mut kept) = self.kept.lock() else { return 0 };
        kept.recent.push_back((now, bytes));
        while kept.recent.len() > 2
            && kept
                .recent
                .front()
                .is_some_and(|(at, _)| now.saturating_sub(*at) > RECENT)
        {
            kept.recent.pop_front();
        }
        let (at, then) = kept.recent.front().copied().unwrap_or((now, bytes));
        rate(bytes.saturating_sub(then), now.saturating_sub(at))
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

fn rate(bytes: u64, time: Duration) -> u64 {
    let rate = (u128::from(bytes) * 1_000_000_000).checked_div(time.as_nanos());
    rate.map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
}
