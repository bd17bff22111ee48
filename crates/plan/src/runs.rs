//! A set of piece numbers, kept as runs.
//!
//! Pieces of a file are acknowledged nearly in order, so a file of any size is described by a handful of runs. Used for
//! what is done, what is durable and what must be sent again.

use std::collections::BTreeMap;

/// A set of `u64` as disjoint, non-adjacent half-open runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// start → end (exclusive)
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl Runs {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set `start..end`.
    #[must_use]
    pub fn from_range(start: u64, end: u64) -> Self {
        let mut set = Self::new();
        set.insert_range(start, end);
        set
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether `n` is in the set.
    #[must_use]
    pub fn contains(&self, n: u64) -> bool {
        self.runs.range(..=n).next_back().is_some_and(|(_, &end)| n < end)
    }

    /// Adds `n`; true if it was not there.
    pub fn insert(&mut self, n: u64) -> bool {
        if self.contains(n) {
            return false;
        }
        self.insert_range(n, n.saturating_add(1));
        true
    }

    /// Adds `start..end`.
    pub fn insert_range(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (mut low, mut high) = (start, end);
        // Every run that overlaps or touches start..end is absorbed.
        let touching: Vec<(u64, u64)> = self
            .runs
            .range(..=end)
            .rev()
            .take_while(|&(_, &e)| e >= start)
            .map(|(&s, &e)| (s, e))
            .collect();
        for (s, e) in touching {
            self.runs.remove(&s);
            self.count = self.count.saturating_sub(e - s);
            low = low.min(s);
            high = high.max(e);
        }
        self.runs.insert(low, high);
        self.count = self.count.saturating_add(high - low);
    }

    /// Removes `n`; true if it was there.
    pub fn remove(&mut self, n: u64) -> bool {
        let Some((&start, &end)) = self.runs.range(..=n).next_back() else {
            return false;
        };
        if n >= end {
            return false;
        }
        self.runs.remove(&start);
        if start < n {
            self.runs.insert(start, n);
        }
        if n.saturating_add(1) < end {
            self.runs.insert(n.saturating_add(1), end);
        }
        self.count = self.count.saturating_sub(1);
        true
    }

    /// Removes and gives the lowest number.
    pub fn pop_first(&mut self) -> Option<u64> {
        let (&start, _) = self.runs.first_key_value()?;
        self.remove(start);
        Some(start)
    }

    /// The lowest number at or above `from` that is not in the set.
    #[must_use]
    pub fn first_missing(&self, from: u64) -> u64 {
        match self.runs.range(..=from).next_back() {
            Some((_, &end)) if from < end => end,
            _ => from,
        }
    }

    /// The lowest number at or above `from` that is in the set.
    #[must_use]
    pub fn first_from(&self, from: u64) -> Option<u64> {
        if self.contains(from) {
            return Some(from);
        }
        self.runs.range(from..).next().map(|(&start, _)| start)
    }

    /// The runs in order, each `(start, end)` with `end` exclusive.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.runs.iter().map(|(&s, &e)| (s, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn adjacent_runs_become_one() {
        let mut set = Runs::from_range(0, 3);
        set.insert_range(4, 6);
        set.insert(3);
        assert_eq!(set.iter().collect::<Vec<_>>(), vec![(0, 6)]);
        assert_eq!(set.first_missing(2), 6);
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(ops in prop::collection::vec((0u8..3, 0u64..40, 0u64..6), 0..60)) {
            let (mut runs, mut model) = (Runs::new(), BTreeSet::new());
            for (op, n, width) in ops {
                match op {
                    0 => prop_assert_eq!(runs.insert(n), model.insert(n)),
                    1 => prop_assert_eq!(runs.remove(n), model.remove(&n)),
                    _ => { runs.insert_range(n, n + width); model.extend(n..n + width); }
                }
                prop_assert_eq!(runs.len(), model.len() as u64);
                for k in 0..48 {
                    prop_assert_eq!(runs.contains(k), model.contains(&k));
                    let missing = (k..).find(|m| !model.contains(m));
                    prop_assert_eq!(Some(runs.first_missing(k)), missing);
                    prop_assert_eq!(runs.first_from(k), model.range(k..).next().copied());
                }
            }
            let flat: Vec<u64> = runs.iter().flat_map(|(s, e)| s..e).collect();
            prop_assert_eq!(flat, model.into_iter().collect::<Vec<_>>());
        }
    }
}
