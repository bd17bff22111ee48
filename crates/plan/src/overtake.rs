//! When it pays that an idle lane brings once more what another one still has out.
//!
//! With nothing left to hand out the end waits for the slowest lane. What that lane needs for what it has follows from its
//! rate and from how long it has been silent, and is compared with what the idle lane would need: on a slow path, where a
//! piece is out for many seconds and all is well, nothing is sent twice, and a lane that has stalled does not hold up the
//! others for long.

use std::time::Duration;

use crate::PIECE;
use crate::lane::{Lane, Time, time_of};

/// What comes of a piece that two lanes bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing: only one of them is written, or both before the file is finished.
    Harmless,
    /// A server may write the later one when the file has its final time already. Only what seems to hang is taken over.
    Lingers,
}

impl Repeat {
    /// How long a piece is out at least before another lane brings it.
    fn patience(self, rtt: Duration) -> Duration {
        match self {
            Self::Harmless => Duration::from_millis(250).saturating_add(rtt.saturating_mul(4)),
            Self::Lingers => Duration::from_secs(2).saturating_add(rtt.saturating_mul(10)),
        }
    }
}

/// A piece that a lane has out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) since: Time,
    /// Bytes that its holder brings before it is done, itself included.
    pub(crate) ahead: u64,
}

/// Whether `idle` should bring `out` beside its `holder`; if so, for how long the end would wait for the holder.
pub(crate) fn gain(out: Out, (holder, idle): (&Lane, &Lane), repeat: Repeat, now: Time) -> Option<Duration> {
    let age = now.saturating_sub(out.since);
    let is_out_for = |repeat: Repeat| age >= repeat.patience(holder.rtt.max(idle.rtt));
    // Who has shown nothing yet is taken to be like the other.
    let Some((theirs, ours)) = holder.rate().or(idle.rate()).zip(idle.rate().or(holder.rate())) else {
        return is_out_for(Repeat::Lingers).then_some(age);
    };
    let rest = rest(out, holder, theirs, now);
    let again = time_of(PIECE, ours).saturating_add(idle.rtt);
    // A quarter more, so that lanes of one speed leave one another alone.
    let pays = rest > again.saturating_add(again / 4);
    (pays && is_out_for(repeat)).then_some(rest)
}

/// How long a holder of this rate still needs for a piece. Who has been silent for longer than a piece takes is expected to
/// remain so for as long again.
fn rest(out: Out, holder: &Lane, rate: u64, now: Time) -> Duration {
    let silent = now.saturating_sub(holder.heard.max(out.since));
    let piece = time_of(PIECE, rate);
    let due = time_of(out.ahead, rate).saturating_sub(silent.min(piece));
    let late = silent.saturating_sub(piece.saturating_add(holder.rtt));
    due.saturating_add(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    /// A lane that has brought a piece each `interval` up to `until`.
    fn lane(interval: Duration, until: Time) -> Lane {
        let mut lane = Lane::new(RTT, None, Time::ZERO);
        let mut now = interval;
        while now <= until {
            lane.delivered(PIECE, now);
            now += interval;
        }
        lane
    }

    fn gain_at(now: Duration, since: Duration, (holder, idle): (&Lane, &Lane)) -> Option<Duration> {
        let out = Out { since, ahead: PIECE };
        gain(out, (holder, idle), Repeat::Harmless, now)
    }

    #[test]
    fn a_piece_that_takes_long_on_a_slow_path_is_left_where_it_is() {
        let slow = Duration::from_secs(10);
        let (one, two) = (lane(slow, 10 * slow), lane(slow, 10 * slow));
        for seconds in 100..=120 {
            let gain = gain_at(Duration::from_secs(seconds), 10 * slow, (&one, &two));
            assert_eq!(gain, None, "after {seconds} s");
        }
        let gain = gain_at(Duration::from_secs(140), 10 * slow, (&one, &two));
        assert!(gain.is_some(), "but not for ever");
    }

    #[test]
    fn a_lane_that_falls_silent_is_overtaken_soon_and_one_that_is_hung_at_last() {
        let quick = Duration::from_millis(50);
        let (one, two) = (lane(quick, 20 * quick), lane(quick, 20 * quick));
        let since = 20 * quick;
        let first = (0..5000).find(|&ms| gain_at(since + Duration::from_millis(ms), since, (&one, &two)).is_some());
        assert_eq!(first, Some(650), "the patience, not less");
        let fresh = Lane::new(RTT, None, Time::ZERO);
        let first = (0..5000).find(|&ms| gain_at(Duration::from_millis(ms), Time::ZERO, (&fresh, &fresh)).is_some());
        assert_eq!(first, Some(3000), "nothing is known of either");
    }

    #[test]
    fn what_lingers_at_a_server_is_sent_again_only_when_it_seems_to_hang() {
        let quick = Duration::from_millis(50);
        let (one, two) = (lane(quick, 20 * quick), lane(quick, 20 * quick));
        let out = Out {
            since: 20 * quick,
            ahead: PIECE,
        };
        let gain_after = |ms| {
            gain(
                out,
                (&one, &two),
                Repeat::Lingers,
                20 * quick + Duration::from_millis(ms),
            )
        };
        assert_eq!(gain_after(2999), None);
        assert!(gain_after(3000).is_some());
    }
}
