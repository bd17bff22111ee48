//! Random numbers that can be had again: each run draws a fresh seed and prints it, `RENKEI_SEED` sets it.

use std::sync::OnceLock;

/// The seed of this process, drawn once, or taken from `RENKEI_SEED` (decimal, or hexadecimal after `0x`).
///
/// Printed on first use, so that the output of a failed test says how to run it again.
///
/// # Panics
/// If `RENKEI_SEED` is set and is not a number.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let seed = match std::env::var("RENKEI_SEED") {
            Ok(text) => parse(&text).unwrap_or_else(|| panic!("`RENKEI_SEED` is not a number: {text}")),
            Err(_) => getrandom::u64().expect("the kernel gives random numbers"),
        };
        announce(seed);
        seed
    })
}

#[expect(clippy::print_stderr, reason = "the one line that makes a failed run repeatable")]
fn announce(seed: u64) {
    eprintln!("to repeat: RENKEI_SEED={seed:#x}");
}

fn parse(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A small generator (xorshift64*), good enough for choosing moments and sizes, useless for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that depends on the run's [`seed`] and on `purpose`, so that two users in one test do not see the same
    /// numbers.
    pub fn for_purpose(purpose: &str) -> Self {
        let mut state = seed();
        for byte in purpose.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self::new(state)
    }

    /// A generator with a fixed start.
    pub fn new(seed: u64) -> Self {
        // One round of splitmix64: small seeds would otherwise begin with small numbers, and zero would stay zero.
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((z ^ (z >> 27)).max(1))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number in `range`.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next_u64() % (range.end - range.start).max(1)
    }

    /// A number from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_numbers_and_purposes_differ() {
        assert_eq!(Rng::new(7).next_u64(), Rng::new(7).next_u64());
        assert_ne!(Rng::for_purpose("a").next_u64(), Rng::for_purpose("b").next_u64());
    }

    #[test]
    fn a_seed_is_read_in_both_notations() {
        assert_eq!(parse("0xff"), Some(255));
        assert_eq!(parse("255"), Some(255));
        assert_eq!(parse("x"), None);
    }
}
