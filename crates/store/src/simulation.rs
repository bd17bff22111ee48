//! What a simulated database does to those who use it, on a seed's word.
//!
//! The same seed, clock and calls in the same order give the same answers; no thread, runtime or real clock has a part in it.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

/// The time since 1970, as the simulator has it.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How often something goes wrong. Counts are of a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// From which all that is random comes.
    pub seed: u64,
    /// Commits that do not happen. Of some it is told that they did not, of others that it is not known.
    pub aborted: u64,
    /// Commits that happen, of which it is told that it is not known.
    pub lost: u64,
    /// Commits at which the hub dies, before or after they happened: the future never ends, and is to be dropped.
    pub crashed: u64,
    /// Reads that see what was there up to [`Faults::OLDEST`] ago, but nothing older than the same hub has read before.
    pub old: u64,
    /// Notifications that come late, up to [`Faults::LATEST`].
    pub late: u64,
}

impl Faults {
    /// The oldest state that a read sees.
    pub const OLDEST: Duration = Duration::from_secs(2);
    /// When a notification comes at the latest: a hub looks by itself then.
    pub const LATEST: Duration = Duration::from_secs(5);

    /// None.
    pub const fn none(seed: u64) -> Self {
        let (aborted, lost, old, late) = (0, 0, 0, 0);
        Self {
            seed,
            aborted,
            lost,
            crashed: 0,
            old,
            late,
        }
    }

    /// Far more than in any real day.
    pub const fn many(seed: u64) -> Self {
        let (aborted, lost, old, late) = (50, 50, 200, 300);
        Self {
            seed,
            aborted,
            lost,
            crashed: 0,
            old,
            late,
        }
    }
}

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// Done, and nobody is told.
    Lost,
    Aborted,
    /// Not done, and nobody is told.
    LostAborted,
    /// Done, and then the hub dies.
    DoneThenCrash,
    /// The hub dies before it is done.
    Crash,
}

/// Draws what happens.
#[derive(Debug)]
pub(crate) struct Dice {
    faults: Faults,
    state: u64,
}

impl Dice {
    pub fn new(faults: Faults) -> Self {
        let state = faults.seed;
        Self { faults, state }
    }

    pub fn fate(&mut self) -> Fate {
        let drawn = self.below(1000);
        let Faults {
            aborted, lost, crashed, ..
        } = self.faults;
        match drawn {
            _ if drawn < aborted / 2 => Fate::Aborted,
            _ if drawn < aborted => Fate::LostAborted,
            _ if drawn < aborted + lost => Fate::Lost,
            _ if drawn < aborted + lost + crashed / 2 => Fate::Crash,
            _ if drawn < aborted + lost + crashed => Fate::DoneThenCrash,
            _ => Fate::Done,
        }
    }

    /// From now on so much goes wrong.
    pub fn fail(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// How old the state is that a read sees.
    pub fn age(&mut self) -> Duration {
        self.some(self.faults.old, Faults::OLDEST)
    }

    /// How late a notification comes.
    pub fn delay(&mut self) -> Duration {
        self.some(self.faults.late, Faults::LATEST)
    }

    pub fn id(&mut self) -> Uuid {
        let (first, second) = (self.next(), self.next());
        let bytes = ((u128::from(first) << 64) | u128::from(second)).to_le_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// Mostly nothing; for `of_thousand` a time up to `most`.
    fn some(&mut self, of_thousand: u64, most: Duration) -> Duration {
        if self.below(1000) >= of_thousand {
            return Duration::ZERO;
        }
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros) + 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// splitmix64: every seed is as good as another, zero too.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
