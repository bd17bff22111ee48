//! What time it is, for everything that a hub decides.
//!
//! Several hubs over one database must agree on it: one whose clock is an hour ahead would take every host for silent, allow one that
//! runs to be fenced, and end tokens early. So the time is the database's; the own clock only carries it on between two looks.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// By less than this the own clock may differ: asking takes time as well, and a time that trembles helps nobody.
const TREMBLE: SignedDuration = SignedDuration::from_millis(500);

/// How far the database's clock is ahead of this computer's.
#[derive(Debug, Default)]
pub struct Clock {
    /// Milliseconds.
    ahead: AtomicI64,
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.at(Timestamp::now())
    }

    /// The time when this computer's clock shows `own`.
    fn at(&self, own: Timestamp) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead.load(Ordering::Relaxed));
        own.checked_add(ahead).unwrap_or(own)
    }

    /// The database's clock showed `told` between these two moments of the own clock. Gives how far it is ahead, if that is news.
    pub fn hear(&self, told: Timestamp, (before, after): (Timestamp, Timestamp)) -> Option<SignedDuration> {
        let own = before + after.duration_since(before) / 2;
        let news = told.duration_since(own);
        let known = told.duration_since(self.at(own));
        if known.abs() < TREMBLE + after.duration_since(before) {
            return None;
        }
        let millis = i64::try_from(news.as_millis()).ok()?;
        self.ahead.store(millis, Ordering::Relaxed);
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn an_hour_is_made_good() {
        const HOUR: i64 = 3_600_000;
        for ahead in [HOUR, -HOUR, 0] {
            let clock = Clock::default();
            // The own clock is `ahead` of the database's, and a question takes 40 ms.
            let _ = clock.hear(at(2 * HOUR + 20), (at(2 * HOUR + ahead), at(2 * HOUR + ahead + 40)));
            assert_eq!(clock.at(at(3 * HOUR + ahead)), at(3 * HOUR));
            // Only once is it news.
            let again = clock.hear(at(3 * HOUR + 100), (at(3 * HOUR + ahead), at(3 * HOUR + ahead + 40)));
            assert_eq!(again, None);
        }
    }

    #[test]
    fn a_slow_answer_proves_nothing() {
        let clock = Clock::default();
        // Somewhere in these ten seconds it was second 9.
        assert_eq!(clock.hear(at(9_000), (at(0), at(10_000))), None);
        assert_eq!(clock.at(at(10_000)), at(10_000));
    }
}
