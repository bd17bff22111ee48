//! One large file on its way: which pieces are free, out, and done.

use std::collections::BTreeMap;

use crate::chunk::Cut;
use crate::lane::{LaneId, Time};
use crate::runs::Runs;
use crate::{FileId, PIECE, Piece};

/// Where a large file stands.
///
/// ```text
///                        ┌─pieces─┐
///                        ▼  lost  │
/// Queued ─► Opening ─► Active ─► Finishing ─► (gone)
///    ▲         │          │
///    └─lane────┘          └─► Failing ─► Discarding ─► (gone)
///      lost
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nobody has touched it in this run.
    Queued,
    /// A lane makes its temporary file.
    Opening,
    /// Pieces may go out.
    Active,
    /// All pieces are acknowledged; a lane sets attributes, closes and renames.
    Finishing,
    /// It failed; what is out must come back first.
    Failing,
    /// A lane takes the temporary file away.
    Discarding,
}

#[derive(Debug)]
pub(crate) struct Large {
    pub(crate) size: u64,
    pub(crate) step: Step,
    /// The lane that opened it; others open it too when they take a piece.
    pub(crate) home: Option<LaneId>,
    /// Everything at or above was never handed out.
    next: u64,
    /// Handed out once, came back undone. Of a file that is cut: all that is neither out nor done.
    again: Runs,
    done: Runs,
    out: BTreeMap<u64, Vec<(LaneId, Time)>>,
    /// How many are out although another lane has brought them.
    superseded: u64,
    /// Only if its pieces are handed out by chunks.
    cut: Option<Cut>,
}

impl Large {
    pub(crate) fn new(size: u64, done: Runs) -> Self {
        Self {
            size,
            step: Step::Queued,
            home: None,
            next: 0,
            again: Runs::new(),
            done,
            out: BTreeMap::new(),
            superseded: 0,
            cut: None,
        }
    }

    /// Hands out pieces by chunks of so many. Before any was handed out.
    pub(crate) fn cut(mut self, chunk: u64) -> Self {
        let mut from = 0;
        for (start, end) in self.done.iter() {
            self.again.insert_range(from, start.min(self.pieces()));
            from = end;
        }
        self.again.insert_range(from, self.pieces());
        self.next = self.pieces();
        self.cut = Some(Cut::new(chunk));
        self
    }

    pub(crate) fn pieces(&self) -> u64 {
        self.size.div_ceil(PIECE)
    }

    pub(crate) fn piece(&self, file: FileId, index: u64) -> Piece {
        let offset = index.saturating_mul(PIECE);
        Piece {
            file,
            index,
            offset,
            len: self.size.saturating_sub(offset).min(PIECE),
        }
    }

    /// Whether a lane that has nothing of this file could get a piece; only asked while there are unassigned ones.
    pub(crate) fn is_offered(&self) -> bool {
        self.cut.as_ref().is_none_or(|cut| cut.unclaimed(&self.again).is_some())
    }

    /// Whether there is more in the chunk that `lane` has.
    pub(crate) fn has_rest_for(&self, lane: LaneId) -> bool {
        self.cut
            .as_ref()
            .is_some_and(|cut| cut.rest(&self.again, lane).is_some())
    }

    /// `lane` goes, or is too slow: what is left of its chunk is anybody's.
    pub(crate) fn release(&mut self, lane: LaneId) {
        if let Some(cut) = &mut self.cut {
            cut.release(lane);
        }
    }

    /// Bytes not handed out to anyone.
    pub(crate) fn unassigned(&self) -> u64 {
        let out_only = (self.out.len() as u64).saturating_sub(self.superseded);
        self.pieces()
            .saturating_sub(self.done.len())
            .saturating_sub(out_only)
            .saturating_mul(PIECE)
            .min(self.size)
    }

    pub(crate) fn done_pieces(&self) -> &Runs {
        &self.done
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.done.len() == self.pieces()
    }

    pub(crate) fn nothing_out(&self) -> bool {
        self.out.is_empty()
    }

    /// The next piece for `lane`, lowest first so that disks see one stream.
    pub(crate) fn hand_out(&mut self, lane: LaneId, now: Time) -> Option<u64> {
        let again = match &mut self.cut {
            Some(cut) => {
                let piece = cut.next(&self.again, lane)?;
                self.again.remove(piece).then_some(piece)
            }
            None => self.again.pop_first(),
        };
        let index = match again {
            Some(index) => index,
            None => {
                let index = self.done.first_missing(self.next);
                if index >= self.pieces() {
                    return None;
                }
                self.next = index.saturating_add(1);
                index
            }
        };
        self.out.entry(index).or_default().push((lane, now));
        Some(index)
    }

    /// What is out, with all who have it.
    pub(crate) fn out(&self) -> impl Iterator<Item = (u64, &[(LaneId, Time)])> {
        self.out.iter().map(|(&index, holders)| (index, holders.as_slice()))
    }

    /// Whether nobody else has it or has brought it.
    pub(crate) fn is_only_with(&self, index: u64, lane: LaneId) -> bool {
        let holders = self.out.get(&index).map_or(&[][..], Vec::as_slice);
        matches!(holders, [(holder, _)] if *holder == lane) && !self.done.contains(index)
    }

    /// A second lane takes over a piece that is out.
    pub(crate) fn take_over(&mut self, index: u64, lane: LaneId, now: Time) {
        let holders = self.out.entry(index).or_default();
        if let Some(cut) = &mut self.cut {
            holders.iter().for_each(|(holder, _)| cut.release(*holder));
        }
        holders.push((lane, now));
    }

    /// `lane` has brought the piece; true if it is the first to do so.
    pub(crate) fn acknowledged(&mut self, index: u64, lane: LaneId) -> bool {
        self.let_go(index, lane);
        let first = self.done.insert(index);
        if first && self.out.contains_key(&index) {
            self.superseded = self.superseded.saturating_add(1);
        }
        first
    }

    /// `lane` will not bring the piece.
    pub(crate) fn came_back(&mut self, index: u64, lane: LaneId) {
        self.let_go(index, lane);
        if !self.out.contains_key(&index) && !self.done.contains(index) {
            self.again.insert(index);
        }
    }

    /// These pieces need not be moved; none of them is out.
    pub(crate) fn fulfil(&mut self, start: u64, end: u64) {
        self.done.insert_range(start, end.min(self.pieces()));
        for index in start..end {
            self.again.remove(index);
        }
    }

    /// Forgets what was believed done: the source has changed or the target was found damaged.
    pub(crate) fn undo(&mut self, index: u64) {
        if self.done.remove(index) {
            self.again.insert(index);
        }
    }

    /// Whether all that `lane` still holds here has been brought by others.
    pub(crate) fn superseded(&self, lane: LaneId) -> Option<bool> {
        let mut held = self
            .out
            .iter()
            .filter(|(_, holders)| holders.iter().any(|(holder, _)| *holder == lane))
            .map(|(&index, _)| self.done.contains(index))
            .peekable();
        held.peek()?;
        Some(held.all(|done| done))
    }

    fn let_go(&mut self, index: u64, lane: LaneId) {
        if let Some(holders) = self.out.get_mut(&index) {
            if let Some(at) = holders.iter().position(|(holder, _)| *holder == lane) {
                holders.swap_remove(at);
            }
            if holders.is_empty() {
                self.out.remove(&index);
                if self.done.contains(index) {
                    self.superseded = self.superseded.saturating_sub(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_and_still_out_does_not_hide_what_came_back() {
        let (slow, quick, now) = (LaneId(0), LaneId(1), Time::ZERO);
        let mut file = Large::new(2 * PIECE, Runs::new());
        assert_eq!(
            (file.hand_out(slow, now), file.hand_out(quick, now)),
            (Some(0), Some(1))
        );
        file.take_over(0, quick, now);
        assert!(file.acknowledged(0, quick));
        file.came_back(1, quick);
        assert_eq!(file.unassigned(), PIECE);
        assert!(!file.acknowledged(0, slow));
        assert_eq!(file.unassigned(), PIECE);
        assert_eq!(file.hand_out(quick, now), Some(1));
        file.take_over(1, slow, now);
        assert!(file.acknowledged(1, slow));
        assert_eq!(file.unassigned(), 0);
    }
}
