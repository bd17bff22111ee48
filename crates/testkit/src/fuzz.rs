//! Making up input for parsers: for as long as `RENKEI_FUZZ_SECONDS` says, beginning at the run's [seed](crate::seed).
//!
//! What is made up, and what must hold for it, is the business of each target.

use std::time::{Duration, Instant};

use crate::seed::{Rng, seed};

/// How long a target tries, without the variable.
const SECONDS: u64 = 2;

/// Calls `round` with ever new random numbers until the time is over, at least once. The seed is printed, so that with
/// `RENKEI_SEED` a round that failed comes again, at the same place.
///
/// # Panics
/// If `RENKEI_FUZZ_SECONDS` is set and is not a number.
pub fn for_a_while(target: &str, mut round: impl FnMut(&mut Rng)) {
    let seconds = std::env::var("RENKEI_FUZZ_SECONDS").map_or(SECONDS, |text| {
        let parsed = text.parse();
        parsed.unwrap_or_else(|_| panic!("`RENKEI_FUZZ_SECONDS` is not a number: {text}"))
    });
    // Printed now, not by whoever fails first.
    seed();
    let mut rng = Rng::for_purpose(target);
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        round(&mut rng);
        if Instant::now() >= end {
            break;
        }
    }
}
