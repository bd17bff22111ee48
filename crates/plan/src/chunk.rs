//! Files cut into chunks, for those who want mscp's `-s` and `-S`.
//!
//! Without chunks a piece goes to whichever lane has room, lowest first. With them a lane takes a chunk, a contiguous range
//! of pieces, and no other lane touches it, unless the one that has it is lost, retired or hangs. What is moved,
//! acknowledged and hashed stays the piece.

use std::collections::BTreeMap;

use crate::PIECE;
use crate::lane::LaneId;
use crate::runs::Runs;

/// Chunks that a file is cut into when nobody says how large they may be: so many for each connection.
const FOR_EACH_CONNECTION: u64 = 4;

/// How large chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    least: u64,
    most: Option<u64>,
    connections: u32,
}

impl Chunks {
    /// Chunks of at least `least` bytes, and of at most `most`; without that a file's size ÷ `connections` ÷ 4. None if
    /// `most` is below `least`.
    ///
    /// Chunks are whole pieces, so `most` counts as one piece if it is less.
    #[must_use]
    pub fn new(least: u64, most: Option<u64>, connections: u32) -> Option<Self> {
        let fits = most.is_none_or(|most| most >= least);
        fits.then_some(Self {
            least,
            most,
            connections,
        })
    }

    /// Pieces in each chunk of a file of `size` bytes but the last, which may have fewer.
    pub(crate) fn pieces(&self, size: u64) -> u64 {
        let pieces = match self.most {
            _ if size <= self.least => size.div_ceil(PIECE),
            Some(most) => most / PIECE,
            None => {
                let parts = u64::from(self.connections).saturating_mul(FOR_EACH_CONNECTION);
                let share = size.checked_div(parts).unwrap_or(size) / PIECE;
                share.max(self.least.div_ceil(PIECE))
            }
        };
        pieces.max(1)
    }

    /// How many chunks a file of `size` bytes makes.
    #[must_use]
    pub fn count(&self, size: u64) -> u64 {
        size.div_ceil(PIECE).div_ceil(self.pieces(size))
    }
}

/// Who has which chunk of one file.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Pieces in each chunk.
    pieces: u64,
    /// The chunk that a lane takes its pieces from.
    held: BTreeMap<LaneId, u64>,
}

impl Cut {
    pub(crate) fn new(pieces: u64) -> Self {
        Self {
            pieces: pieces.max(1),
            held: BTreeMap::new(),
        }
    }

    fn chunk_of(&self, piece: u64) -> u64 {
        piece.checked_div(self.pieces).unwrap_or(0)
    }

    /// The next of the `free` pieces in the chunk that `lane` has.
    pub(crate) fn rest(&self, free: &Runs, lane: LaneId) -> Option<u64> {
        let chunk = *self.held.get(&lane)?;
        let piece = free.first_from(chunk.saturating_mul(self.pieces))?;
        (self.chunk_of(piece) == chunk).then_some(piece)
    }

    /// The lowest of the `free` pieces in a chunk that nobody has.
    pub(crate) fn unclaimed(&self, free: &Runs) -> Option<u64> {
        let mut from = 0;
        loop {
            let piece = free.first_from(from)?;
            let chunk = self.chunk_of(piece);
            if !self.held.values().any(|&held| held == chunk) {
                return Some(piece);
            }
            from = chunk.saturating_add(1).saturating_mul(self.pieces);
        }
    }

    /// The next piece for `lane`: of its chunk, or else of one that becomes its own.
    pub(crate) fn next(&mut self, free: &Runs, lane: LaneId) -> Option<u64> {
        if let Some(piece) = self.rest(free, lane) {
            return Some(piece);
        }
        let piece = self.unclaimed(free)?;
        self.held.insert(lane, self.chunk_of(piece));
        Some(piece)
    }

    /// What is left of the lane's chunk is anybody's.
    pub(crate) fn release(&mut self, lane: LaneId) {
        self.held.remove(&lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_largest_is_kept_to_and_the_smallest_is_not_cut() {
        let given = Chunks::new(2 * MIB, Some(5 * MIB), 8).unwrap();
        assert_eq!((given.pieces(100 * MIB), given.count(101 * MIB)), (5, 21));
        assert_eq!((given.pieces(2 * MIB), given.count(2 * MIB)), (2, 1));
        let tiny = Chunks::new(0, Some(1000), 8).unwrap();
        assert_eq!(tiny.pieces(10 * MIB), 1, "a piece is the least");
        assert_eq!(Chunks::new(2, Some(1), 8), None);
    }

    #[test]
    fn without_a_largest_it_is_the_size_over_connections_over_four() {
        let given = Chunks::new(16 * MIB, None, 4).unwrap();
        assert_eq!(given.pieces(1024 * MIB), 64);
        assert_eq!(given.pieces(100 * MIB), 16, "never below the smallest");
        assert_eq!(given.count(16 * MIB), 1);
        assert_eq!(given.count(16 * MIB + 1), 2);
    }

    proptest! {
        #[test]
        fn a_lane_stays_in_its_chunk_and_chunks_have_one_lane(
            (pieces, most) in (1u64..200, 1u64..20),
            lanes in prop::collection::vec(0u32..5, 1..400),
        ) {
            let (mut cut, mut free) = (Cut::new(most), Runs::from_range(0, pieces));
            let mut owner: BTreeMap<u64, u32> = BTreeMap::new();
            for lane in lanes {
                let Some(piece) = cut.next(&free, LaneId(lane)) else { continue };
                prop_assert!(free.remove(piece), "{} was not free", piece);
                prop_assert_eq!(*owner.entry(piece / most).or_insert(lane), lane);
            }
        }
    }
}
