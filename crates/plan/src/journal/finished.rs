//! Where in the journal the finished files stand, in 16 bytes each.
//!
//! Five million paths do not fit into the memory that a copy may use, so only a hash of each is kept, with the places of
//! its records. Whoever looks a file up reads these again and compares the path. Two paths of the same hash (56 bits)
//! cost a second copy of one of them, never a wrong answer.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{RecordPlace, SourceIndex};

/// Where a finished file stands in the journal, if it is the right one: the path must be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedEntry {
    /// Its [`Begin`](super::Record::Begin).
    pub begin: RecordPlace,
    /// Its [`Finished`](super::Record::Finished).
    pub finished: RecordPlace,
    /// Whether it was finished shortly before a break without being synced and not been
    /// [checked](super::Record::Checked) since: it has to be read back.
    pub in_doubt: bool,
}

/// The hash by which a path is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathKey(u64);

impl PathKey {
    pub(super) fn of(source: SourceIndex, path: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        path.hash(&mut hasher);
        Self(hasher.finish())
    }

    fn bucket(self) -> usize {
        (self.0 >> 48) as usize
    }

    fn rest(self) -> Five {
        Five::low(self.0 & ((1 << 40) - 1))
    }
}

/// A number of 40 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Five([u8; 5]);

impl Five {
    /// The low 40 bits.
    fn low(value: u64) -> Self {
        let [a, b, c, d, e, ..] = value.to_le_bytes();
        Self([a, b, c, d, e])
    }

    fn get(self) -> u64 {
        let [a, b, c, d, e] = self.0;
        u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
    }

    fn exact(value: u64) -> Option<Self> {
        let five = Self::low(value);
        (five.get() == value).then_some(five)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    rest: Five,
    begin: Five,
    finished: Five,
    in_doubt: bool,
}

const _: () = assert!(size_of::<Entry>() == 16);

const BUCKETS: usize = 1 << 16;

/// The index. Each bucket is a small sorted list, so that growing never doubles the whole.
#[derive(Clone, Debug)]
pub(super) struct FinishedIndex {
    buckets: Vec<Vec<Entry>>,
    len: u64,
}

impl FinishedIndex {
    pub(super) fn new() -> Self {
        Self {
            buckets: vec![Vec::new(); BUCKETS],
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    fn find(&self, key: PathKey) -> Option<(&Vec<Entry>, Result<usize, usize>)> {
        let bucket = self.buckets.get(key.bucket())?;
        let rest = key.rest().get();
        Some((bucket, bucket.binary_search_by_key(&rest, |entry| entry.rest.get())))
    }

    fn find_mut(&mut self, key: PathKey) -> Option<&mut Entry> {
        let at = self.find(key)?.1.ok()?;
        self.buckets.get_mut(key.bucket())?.get_mut(at)
    }

    pub(super) fn get(&self, key: PathKey) -> Option<FinishedEntry> {
        let (bucket, at) = self.find(key)?;
        let entry = bucket.get(at.ok()?)?;
        Some(FinishedEntry {
            begin: RecordPlace {
                offset: entry.begin.get(),
            },
            finished: RecordPlace {
                offset: entry.finished.get(),
            },
            in_doubt: entry.in_doubt,
        })
    }

    /// Puts a file in, in place of one of the same key. A place past the first TiB of a journal cannot be kept, and the
    /// file will be copied again.
    pub(super) fn insert(&mut self, key: PathKey, begin: RecordPlace, finished: RecordPlace) {
        let (Some(begin), Some(finished)) = (Five::exact(begin.offset), Five::exact(finished.offset)) else {
            self.remove(key);
            return;
        };
        let entry = Entry {
            rest: key.rest(),
            begin,
            finished,
            in_doubt: false,
        };
        if let Some(old) = self.find_mut(key) {
            *old = entry;
            return;
        }
        let Some((_, Err(at))) = self.find(key) else {
            return;
        };
        if let Some(bucket) = self.buckets.get_mut(key.bucket()) {
            if bucket.len() == bucket.capacity() {
                bucket.reserve_exact(4 + bucket.len() / 8);
            }
            bucket.insert(at, entry);
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, key: PathKey) {
        if let Some((_, Ok(at))) = self.find(key)
            && let Some(bucket) = self.buckets.get_mut(key.bucket())
        {
            bucket.remove(at);
            self.len -= 1;
        }
    }

    /// Changes the entry of this key, if it is still the one that was begun there.
    pub(super) fn set_in_doubt(&mut self, key: PathKey, begin: RecordPlace, in_doubt: bool) {
        if let Some(entry) = self.find_mut(key)
            && entry.begin.get() == begin.offset
        {
            entry.in_doubt = in_doubt;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u64) -> RecordPlace {
        RecordPlace { offset }
    }

    fn key(n: u64) -> PathKey {
        PathKey::of(SourceIndex(0), &n.to_le_bytes())
    }

    #[test]
    fn every_entry_is_found_again_and_removed_ones_are_not() {
        let mut index = FinishedIndex::new();
        let count = 300_000;
        for n in 0..count {
            index.insert(key(n), place(n * 100), place(n * 100 + 50));
        }
        for n in (0..count).step_by(3) {
            index.remove(key(n));
        }
        assert_eq!(index.len(), count - count.div_ceil(3));
        for n in 0..count {
            let found = index.get(key(n)).map(|entry| (entry.begin, entry.finished));
            let want = (n % 3 != 0).then_some((place(n * 100), place(n * 100 + 50)));
            assert_eq!(found, want, "file {n}");
        }
    }

    #[test]
    fn five_million_files_take_less_than_120_bytes_of_memory_for_every_four() {
        // The share of one bucket: 5,000,000 / 65,536 entries.
        let mut index = FinishedIndex::new();
        let mut n = 0;
        let first = key(0).bucket();
        while index.len() < 76 {
            if key(n).bucket() == first {
                index.insert(key(n), place(n), place(n));
            }
            n += 1;
        }
        let bytes = index.buckets[first].capacity() * size_of::<Entry>() + size_of::<Vec<Entry>>();
        assert!(bytes * 4 <= 76 * 120, "{bytes} bytes for 76 files");
    }

    #[test]
    fn a_place_past_one_tib_is_forgotten_and_not_bent() {
        let mut index = FinishedIndex::new();
        index.insert(key(1), place(7), place(8));
        index.insert(key(1), place(1 << 40), place((1 << 40) + 9));
        assert_eq!(index.get(key(1)), None);
        assert_eq!(index.len(), 0);
    }
}
