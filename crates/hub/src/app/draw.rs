//! Where new ids come from: chance, or for the simulator a seed.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// See the module.
#[derive(Debug, Default)]
pub enum Draws {
    /// Chance.
    #[default]
    Random,
    /// The state of a sequence: the same seed and the same calls give the same ids.
    Seeded(Mutex<u64>),
}

impl Draws {
    /// From a seed.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Mutex::new(seed))
    }

    /// A UUID version 7 (RFC 9562, section 5.7) of this moment. Those of one millisecond have no order that may be relied on.
    pub fn draw(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let mut random = [0; 10];
        match self {
            Self::Random => random.copy_from_slice(&Uuid::now_v7().as_bytes()[6..]),
            Self::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                let drawn = (u128::from(next(&mut state)) << 64) | u128::from(next(&mut state));
                random.copy_from_slice(&drawn.to_le_bytes()[..10]);
            }
        }
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// splitmix64: every seed is as good as another, zero too.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_seed_gives_the_same_ids_again_and_no_id_twice() {
        let (one, two, other) = (Draws::seeded(7), Draws::seeded(7), Draws::seeded(8));
        let drawn: Vec<Uuid> = (0..1000).map(|second| one.draw(at(second / 10))).collect();
        let again: Vec<Uuid> = (0..1000).map(|second| two.draw(at(second / 10))).collect();
        assert_eq!(drawn, again);
        assert_ne!(drawn[0], other.draw(at(0)));
        let once: std::collections::BTreeSet<&Uuid> = drawn.iter().collect();
        assert_eq!(once.len(), drawn.len());
    }

    #[test]
    fn an_id_says_when_it_was_drawn() {
        for draws in [Draws::Random, Draws::seeded(0)] {
            let (early, late) = (draws.draw(at(5)), draws.draw(at(1_000_000_000)));
            assert_eq!(early.get_version_num(), 7);
            assert_eq!(late.get_timestamp().unwrap().to_unix(), (1_000_000_000, 0));
            assert!(early < late);
        }
        assert_ne!(Draws::Random.draw(at(5)), Draws::Random.draw(at(5)));
    }
}
