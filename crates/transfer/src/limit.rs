//! `--limit`: one rate for all connections together.
//!
//! [`Bucket`] is pure arithmetic on a clock that the caller reads; [`Limiter`] waits by it. Whoever sends asks first, in
//! the order of asking: a turn once given is kept, so no connection can be starved by another.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{self, Instant};

/// How far behind its rate a transfer may fall and still catch up. It covers the lateness of timers; longer pauses are not
/// made good for, so there is no burst after them.
const SLACK: Duration = Duration::from_millis(20);

/// Turns for bytes, at a rate.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Bytes a second, at least 1.
    rate: u64,
    /// When all that was asked for so far will have been paid for.
    paid: Duration,
}

impl Bucket {
    /// A bucket that gives `rate` bytes a second; zero counts as one.
    #[must_use]
    pub fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            paid: Duration::ZERO,
        }
    }

    /// Asks to send `bytes` and tells how long to wait before. `now` is the time since any fixed moment, and never goes
    /// back.
    ///
    /// Bytes are waited for before they are sent, not after: from the start to any later moment no more than rate × time
    /// has gone out, apart from the slack.
    pub fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid = self.paid.max(now.saturating_sub(SLACK)).saturating_add(cost);
        self.paid.saturating_sub(now)
    }
}

/// A [`Bucket`] shared by all connections, or no limit.
#[derive(Debug)]
pub struct Limiter {
    bucket: Option<Mutex<Bucket>>,
    start: Instant,
}

impl Limiter {
    /// A limit in bytes a second; none: no limit.
    #[must_use]
    pub fn new(rate: Option<u64>) -> Self {
        Self {
            bucket: rate.map(|rate| Mutex::new(Bucket::new(rate))),
            start: Instant::now(),
        }
    }

    /// Waits until `bytes` may be sent. Ask in small portions: each is waited for as a whole.
    ///
    /// Not cancel-safe in the strict sense: a turn that is not waited for is lost, and its bytes count as sent.
    pub async fn take(&self, bytes: u64) {
        let Some(bucket) = &self.bucket else {
            return;
        };
        let now = Instant::now();
        let wait = bucket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(now.duration_since(self.start), bytes);
        // A turn given is fixed in time; a wait that is counted from a later moment would drift.
        if !wait.is_zero() {
            time::sleep_until(now + wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Bytes sent within two seconds, by `lanes` that ask for `portion` each and wake up `late`.
    fn sent_in_two_seconds(rate: u64, portion: u64, lanes: usize, late: Duration) -> Vec<u64> {
        let mut bucket = Bucket::new(rate);
        let mut ready = vec![(Duration::ZERO, 0); lanes];
        loop {
            let (at, sent) = ready.iter_mut().min_by_key(|(at, _)| *at).unwrap();
            if *at > 2 * SECOND {
                return ready.into_iter().map(|(_, sent)| sent).collect();
            }
            let wait = bucket.take(*at, portion);
            if *at + wait <= 2 * SECOND {
                *sent += portion;
            }
            *at += wait + late;
        }
    }

    #[test]
    fn the_rate_is_kept_within_three_percent_over_two_seconds() {
        for (rate, portion, lanes) in [
            (500_000, 16_384, 1),
            (10_000_000, 32_768, 8),
            (500_000_000, 262_144, 16),
        ] {
            for late in [Duration::ZERO, Duration::from_millis(1)] {
                let sent: u64 = sent_in_two_seconds(rate, portion, lanes, late).iter().sum();
                let wanted = 2 * rate;
                let off = sent.abs_diff(wanted) as f64 / wanted as f64;
                assert!(off < 0.035, "{rate} B/s with {lanes} lanes: {sent}");
            }
        }
    }

    #[test]
    fn lanes_get_equal_shares() {
        let sent = sent_in_two_seconds(8_000_000, 32_768, 8, Duration::ZERO);
        let (low, high) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(high - low <= 2 * 32_768, "{sent:?}");
    }

    #[test]
    fn a_pause_is_not_made_good_for_by_a_burst() {
        let mut bucket = Bucket::new(1_000_000);
        bucket.take(Duration::ZERO, 1_000_000);
        assert_eq!(bucket.take(60 * SECOND, 1_000_000), SECOND.saturating_sub(SLACK));
    }

    #[test]
    fn absurd_sizes_do_not_overflow() {
        let mut bucket = Bucket::new(0);
        assert!(bucket.take(SECOND, u64::MAX) > SECOND);
        assert!(bucket.take(SECOND, u64::MAX) > SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_share_one_limit() {
        let limiter = std::sync::Arc::new(Limiter::new(Some(1_000_000)));
        let start = Instant::now();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let limiter = std::sync::Arc::clone(&limiter);
                tokio::spawn(async move {
                    for _ in 0..50 {
                        limiter.take(10_000).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let took = start.elapsed();
        assert!(took.abs_diff(2 * SECOND) < Duration::from_millis(60), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let limiter = Limiter::new(None);
        let start = Instant::now();
        limiter.take(u64::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
