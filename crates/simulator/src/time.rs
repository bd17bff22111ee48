//! Virtual time: a clock that stands until the next thing happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// When a run begins, seconds since 1970: a round number, so that traces are easy to read.
const BEGIN: u64 = 1_800_000_000;

/// The clock. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// At the beginning.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    /// Since 1970, as the store wants it.
    pub fn since_1970(&self) -> Duration {
        Duration::from_secs(BEGIN) + self.elapsed()
    }

    /// As everybody else wants it.
    pub fn now(&self) -> Timestamp {
        let millis = i64::try_from(self.since_1970().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// The same on a computer whose clock is `ahead`.
    pub fn skewed(&self, ahead: SignedDuration) -> Timestamp {
        self.now() + ahead
    }

    fn set(&self, elapsed: Duration) {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::SeqCst);
    }
}

/// What is to happen, earliest first; of two at the same moment the one that was put in first.
#[derive(Debug)]
pub struct Agenda<T> {
    clock: Clock,
    entries: BTreeMap<(Duration, u64), T>,
    count: u64,
}

impl<T> Agenda<T> {
    /// Nothing yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            entries: BTreeMap::new(),
            count: 0,
        }
    }

    /// Lets something happen `after` now.
    pub fn put(&mut self, after: Duration, what: T) {
        self.count += 1;
        self.entries.insert((self.clock.elapsed() + after, self.count), what);
    }

    /// The next thing; the clock stands where it happens.
    pub fn next(&mut self) -> Option<T> {
        let ((at, _), what) = self.entries.pop_first()?;
        self.clock.set(at.max(self.clock.elapsed()));
        Some(what)
    }
}
