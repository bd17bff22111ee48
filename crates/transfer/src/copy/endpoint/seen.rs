//! Which names a listing has brought so far, so that a server cannot send one twice.
//!
//! The only thing that grows with a directory's size while it is listed, so it is kept small: a hash of eight bytes
//! instead of the name. It is keyed at random, so that a server cannot make names collide; that two honest names do so
//! has a chance of one in a million among five million.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// A table that grows needs the old one beside the new one; of many small tables only one does so at a time.
const TABLES: usize = 64;

/// Names, by their hashes.
pub struct Seen {
    key: RandomState,
    tables: Vec<HashSet<u64, BuildHasherDefault<AsItIs>>>,
    len: usize,
}

impl Seen {
    pub fn new() -> Self {
        Self {
            key: RandomState::new(),
            tables: (0..TABLES).map(|_| HashSet::default()).collect(),
            len: 0,
        }
    }

    /// Whether the name is new.
    pub fn insert(&mut self, name: &[u8]) -> bool {
        let hash = self.key.hash_one(name);
        // The tables use the lowest and the highest bits.
        let table = (hash >> 40) as usize % TABLES;
        let is_new = self.tables[table].insert(hash);
        self.len += usize::from(is_new);
        is_new
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

/// The hash of a hash is the hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only for completeness: `u64` goes the other way.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_new_once() {
        let mut seen = Seen::new();
        for n in 0..10_000 {
            assert!(seen.insert(format!("name-{n}").as_bytes()));
        }
        assert!((0..10_000).all(|n| !seen.insert(format!("name-{n}").as_bytes())));
        assert_eq!(seen.len(), 10_000);
    }

    #[test]
    fn a_name_takes_less_than_24_bytes() {
        let mut seen = Seen::new();
        for n in 0..100_000_u64 {
            seen.insert(&n.to_be_bytes());
        }
        // As hashbrown lays it out: a key and a byte a place, of which an eighth stays free.
        let places: usize = seen.tables.iter().map(|table| table.capacity() * 8 / 7).sum();
        assert!(places * 9 < 24 * 100_000, "{places}");
    }
}
