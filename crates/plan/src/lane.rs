//! One lane's share: how much it may have in flight.
//!
//! The window follows what the lane has shown: twice its best recent rate times the round-trip time, and a piece more.
//! Twice, because half of it lies on the way back as acknowledgements; the best of recent intervals and not the mean, so
//! that a pause of the source does not shrink the window that fills the path afterwards.

use std::collections::VecDeque;
use std::time::Duration;

use crate::PIECE;

/// A point in time: since the transfer began. The plan has no clock of its own.
pub type Time = Duration;

/// Names a lane for as long as the transfer runs; never used again after the lane is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u32);

/// Smallest window in bytes: one piece on the wire and one behind it.
const LEAST_WINDOW: u64 = 2 * PIECE;
/// Largest window in bytes of one lane.
const MOST_WINDOW: u64 = 32 * PIECE;
/// Window before anything was measured: OpenSSH's 2 MiB channel window and a piece in our queue.
const FIRST_WINDOW: u64 = 3 * PIECE;
/// What TCP sends in its first round trip: ten segments.
const FIRST_FLIGHT: u64 = 14_600;
/// How many intervals the best rate is taken from.
const INTERVALS: usize = 8;

/// What the plan knows of one lane.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) rtt: Duration,
    /// Bytes of pieces in flight.
    pub(crate) piece_bytes: u64,
    /// Bytes of whole small files in flight.
    pub(crate) batch_bytes: u64,
    /// Whole small files in flight.
    pub(crate) batch_files: usize,
    /// Jobs of any kind in flight.
    pub(crate) jobs: usize,
    /// No new work: the tuner wants fewer lanes.
    pub(crate) retiring: bool,
    /// When something was last acknowledged.
    pub(crate) heard: Time,
    fixed_window: Option<u64>,
    rates: VecDeque<u64>,
    interval_start: Time,
    interval_bytes: u64,
}

impl Lane {
    pub(crate) fn new(rtt: Duration, fixed_window: Option<u64>, now: Time) -> Self {
        Self {
            rtt,
            piece_bytes: 0,
            batch_bytes: 0,
            batch_files: 0,
            jobs: 0,
            retiring: false,
            heard: now,
            fixed_window,
            rates: VecDeque::with_capacity(INTERVALS),
            interval_start: now,
            interval_bytes: 0,
        }
    }

    /// Takes note of acknowledged bytes.
    pub(crate) fn delivered(&mut self, bytes: u64, now: Time) {
        self.heard = now;
        self.interval_bytes = self.interval_bytes.saturating_add(bytes);
        let length = self.rtt.max(Duration::from_millis(50));
        let passed = now.saturating_sub(self.interval_start);
        if passed < length {
            return;
        }
        if self.rates.len() == INTERVALS {
            self.rates.pop_front();
        }
        self.rates.push_back(per_second(self.interval_bytes, passed));
        self.interval_start = now;
        self.interval_bytes = 0;
    }

    /// Best recent rate in bytes a second; none before the first interval is over.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.rates.iter().max().copied()
    }

    /// How long the lane takes for so many bytes; before its first interval is over it is in TCP's slow start, which
    /// doubles what it sends each round trip.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        match self.rate() {
            Some(rate) => time_of(bytes, rate),
            None => {
                let doublings = u64::BITS - (bytes / FIRST_FLIGHT).leading_zeros();
                self.rtt.saturating_mul(doublings.saturating_add(1))
            }
        }
    }

    /// How many bytes of pieces may be in flight.
    pub(crate) fn window(&self) -> u64 {
        if let Some(fixed) = self.fixed_window {
            return fixed.max(1);
        }
        match self.rate() {
            None => FIRST_WINDOW,
            Some(rate) => {
                let product = u128::from(rate) * self.rtt.as_nanos() / 1_000_000_000;
                let window = u64::try_from(product * 2).unwrap_or(u64::MAX).saturating_add(PIECE);
                window.clamp(LEAST_WINDOW, MOST_WINDOW)
            }
        }
    }
}

/// Time for so many bytes at a rate in bytes a second.
pub(crate) fn time_of(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Bytes a second.
pub(crate) fn per_second(bytes: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_rate_times_round_trip() {
        let mut lane = Lane::new(Duration::from_millis(100), None, Time::ZERO);
        assert_eq!(lane.window(), FIRST_WINDOW);
        for tick in 1..=20 {
            lane.delivered(4_000_000, Duration::from_millis(100 * tick));
        }
        assert_eq!(lane.rate(), Some(40_000_000));
        assert_eq!(lane.window(), 2 * 4_000_000 + PIECE);
    }

    #[test]
    fn a_pause_does_not_shrink_the_window_at_once() {
        let mut lane = Lane::new(Duration::from_millis(100), None, Time::ZERO);
        lane.delivered(8_000_000, Duration::from_millis(100));
        let before = lane.window();
        lane.delivered(0, Duration::from_millis(200));
        assert_eq!(lane.window(), before);
    }
}
