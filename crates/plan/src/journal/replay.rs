//! Takes the records of a journal in order and ends in what they mean.
//!
//! - Pieces are *acknowledged* by [`Record::Pieces`] and become *durable* by [`Record::Durable`] or, where the target
//!   cannot sync, [`SETTLE`](super::SETTLE) after their acknowledgement while later answers still come.
//! - A finished file is *settled* when all its pieces are durable, when a later [`Record::AllDurable`] covers it, or
//!   `SETTLE` after it was finished.
//! - At a break (the end of the journal, or a [`Record::Run`] within it) what is not durable or settled comes into doubt.
//!   Doubt ends when it was compared: pieces by being acknowledged again, files by [`Record::Checked`]. It does not end
//!   by time or by a later sync, because what a crash has lost stays lost. What was compared is as if it had just been
//!   written: it may have been read from the far host's memory.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;

use renkei_types::tree_hash::{Cv, TreeHasher, pieces_in};
use thiserror::Error;

use super::finished::{FinishedIndex, PathKey};
use super::record::join;
use super::resume::{Aside, Resume, UnfinishedFile};
use super::{Durability, FileSeq, Record, RecordPlace, SETTLE, SourceIndex, TargetPlace, UnixMillis};
use crate::Runs;

/// A record that contradicts those before it, although its bytes are right. The journal is to be treated as damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Inconsistent {
    /// A file was begun under the number of one that is not done.
    #[error("file {0} is begun twice")]
    BegunTwice(FileSeq),
    /// Something happened to a file that was never begun.
    #[error("file {0} was never begun")]
    NeverBegun(FileSeq),
    /// Pieces that the file does not have.
    #[error("the pieces from {piece} on are not all in file {seq}")]
    Piece {
        /// The file.
        seq: FileSeq,
        /// The first of them.
        piece: u64,
    },
    /// A file below a source of which it is not known where it landed.
    #[error("source {} has landed nowhere", .0.0)]
    NotLanded(SourceIndex),
}

#[derive(Debug)]
struct Acknowledged {
    cv: Cv,
    /// When; none: in doubt.
    at: Option<UnixMillis>,
}

#[derive(Debug)]
struct Open {
    begin: RecordPlace,
    file: UnfinishedFile,
    acknowledged: BTreeMap<u64, Acknowledged>,
}

struct Unsettled {
    at: UnixMillis,
    seq: FileSeq,
    entry: EntryName,
}

/// An entry of the index, and not one that came later for the same path.
#[derive(Clone, Copy)]
struct EntryName {
    key: PathKey,
    begin: RecordPlace,
}

/// Reads a journal from its first record to its last.
pub struct Replay {
    durability: Durability,
    landed: BTreeMap<SourceIndex, Vec<u8>>,
    open: HashMap<FileSeq, Open>,
    /// The open file of each path.
    by_path: HashMap<(SourceIndex, Vec<u8>), FileSeq>,
    finished: FinishedIndex,
    finished_bytes: u64,
    asides: BTreeMap<FileSeq, Aside>,
    /// Acknowledgements in order, for [`Durability::Age`] only.
    ageing: VecDeque<(UnixMillis, FileSeq, u64, u64)>,
    unsettled: VecDeque<Unsettled>,
    in_doubt: HashMap<FileSeq, EntryName>,
    next_seq: FileSeq,
    last: UnixMillis,
    aged: bool,
    complete: bool,
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl Replay {
    /// Before the first record.
    #[must_use]
    pub fn new() -> Self {
        Self {
            durability: Durability::Sync,
            landed: BTreeMap::new(),
            open: HashMap::new(),
            by_path: HashMap::new(),
            finished: FinishedIndex::new(),
            finished_bytes: 0,
            asides: BTreeMap::new(),
            ageing: VecDeque::new(),
            unsettled: VecDeque::new(),
            in_doubt: HashMap::new(),
            next_seq: FileSeq(0),
            last: UnixMillis(0),
            aged: false,
            complete: false,
        }
    }

    /// Takes the next record, which stands at `place`.
    ///
    /// # Errors
    /// A record that cannot follow those before it.
    pub fn record(&mut self, place: RecordPlace, record: &Record<'_>) -> Result<(), Inconsistent> {
        match record {
            Record::Run { at, durability } => {
                self.come_to_break();
                self.durability = *durability;
                self.complete = false;
                self.last = *at;
            }
            Record::Landed { source, target } => {
                self.landed.insert(*source, target.to_vec());
            }
            Record::Begin { .. } => self.begin(place, record)?,
            Record::Pieces { seq, first, cvs, at } => {
                self.advance(*at);
                self.pieces(*seq, *first, cvs)?;
            }
            Record::Lost { seq, runs } => {
                if let Some(open) = self.open(*seq)? {
                    lose_pieces(open, runs);
                }
            }
            Record::Durable { seq, runs, at } => {
                if let Some(open) = self.open(*seq)? {
                    for run in runs.iter() {
                        settle_pieces(open, run.start, run.end, None)?;
                    }
                }
                self.advance(*at);
            }
            Record::Finished { seq, size, at, .. } => {
                self.advance(*at);
                self.finish_file(*seq, *size, place)?;
            }
            Record::AllDurable { before } => {
                self.unsettled.retain(|file| file.at > *before);
            }
            Record::Checked { seq, at } => {
                self.advance(*at);
                if let Some(entry) = self.in_doubt.remove(seq) {
                    self.finished.set_in_doubt(entry.key, entry.begin, false);
                    let (at, seq) = (self.last, *seq);
                    self.unsettled.push_back(Unsettled { at, seq, entry });
                }
            }
            Record::Abandoned { seq } => {
                self.open(*seq)?;
                self.close(*seq);
            }
            Record::AsideMoved { seq, aside } => {
                if let Some(open) = self.open(*seq)? {
                    let aside = Aside {
                        target: open.file.target.clone(),
                        aside: aside.to_vec(),
                        replaced: false,
                    };
                    self.asides.insert(*seq, aside);
                }
            }
            Record::AsideDone { seq } => {
                self.asides.remove(seq);
            }
            Record::Complete => self.complete = true,
        }
        Ok(())
    }

    /// Ends the journal with a break.
    #[must_use]
    pub fn finish(mut self) -> Resume {
        self.come_to_break();
        let unfinished = self.open.into_values().map(|open| {
            let in_doubt = open.acknowledged.into_iter().map(|(piece, have)| (piece, have.cv));
            let file = UnfinishedFile {
                in_doubt: in_doubt.collect(),
                ..open.file
            };
            ((file.source, file.path.clone()), file)
        });
        Resume {
            unfinished: unfinished.collect(),
            landed: self.landed,
            finished: self.finished,
            finished_bytes: self.finished_bytes,
            asides: self.asides,
            next_seq: self.next_seq,
            last: self.last,
            aged: self.aged,
            complete: self.complete,
        }
    }

    /// The open file of this number; none for one that is closed, of which late answers may still be written down.
    fn open(&mut self, seq: FileSeq) -> Result<Option<&mut Open>, Inconsistent> {
        if seq >= self.next_seq {
            return Err(Inconsistent::NeverBegun(seq));
        }
        Ok(self.open.get_mut(&seq))
    }

    fn close(&mut self, seq: FileSeq) -> Option<Open> {
        let open = self.open.remove(&seq)?;
        self.by_path.remove(&(open.file.source, open.file.path.clone()));
        Some(open)
    }

    fn begin(&mut self, place: RecordPlace, record: &Record<'_>) -> Result<(), Inconsistent> {
        let &Record::Begin {
            seq,
            source,
            path,
            identity,
            temp,
            target,
        } = record
        else {
            return Ok(());
        };
        let target = match target {
            TargetPlace::At(path) => path.to_vec(),
            TargetPlace::BelowLanded => {
                let landed = self.landed.get(&source).ok_or(Inconsistent::NotLanded(source))?;
                join(landed, path)
            }
        };
        // An older attempt at this path is void, finished or not.
        if let Some(older) = self.by_path.remove(&(source, path.to_vec())) {
            self.open.remove(&older);
        }
        self.finished.remove(PathKey::of(source, path));
        let Entry::Vacant(slot) = self.open.entry(seq) else {
            return Err(Inconsistent::BegunTwice(seq));
        };
        slot.insert(Open {
            begin: place,
            file: UnfinishedFile {
                seq,
                source,
                path: path.to_vec(),
                identity,
                temp: temp.to_vec(),
                target,
                durable: Runs::new(),
                in_doubt: BTreeMap::new(),
                tree: TreeHasher::new(identity.size),
            },
            acknowledged: BTreeMap::new(),
        });
        self.by_path.insert((source, path.to_vec()), seq);
        self.next_seq = self.next_seq.max(FileSeq(seq.0.saturating_add(1)));
        Ok(())
    }

    fn pieces(&mut self, seq: FileSeq, first: u64, cvs: &[Cv]) -> Result<(), Inconsistent> {
        let now = self.last;
        let by_age = self.durability == Durability::Age;
        let Some(open) = self.open(seq)? else {
            return Ok(());
        };
        let count = pieces_in(open.file.identity.size);
        let end = first.checked_add(cvs.len() as u64).filter(|end| *end <= count);
        let end = end.ok_or(Inconsistent::Piece { seq, piece: first })?;
        for (piece, cv) in (first..end).zip(cvs) {
            if !open.file.durable.contains(piece) {
                open.acknowledged.insert(piece, Acknowledged { cv: *cv, at: Some(now) });
            }
        }
        if by_age {
            self.ageing.push_back((now, seq, first, end));
        }
        Ok(())
    }

    fn finish_file(&mut self, seq: FileSeq, size: u64, place: RecordPlace) -> Result<(), Inconsistent> {
        if self.open(seq)?.is_none() {
            return Ok(());
        }
        let Some(open) = self.close(seq) else {
            return Ok(());
        };
        if let Some(aside) = self.asides.get_mut(&seq) {
            aside.replaced = true;
        }
        let (key, begin) = (PathKey::of(open.file.source, &open.file.path), open.begin);
        self.finished.insert(key, begin, place);
        self.finished_bytes = self.finished_bytes.saturating_add(size);
        if open.file.durable.len() < pieces_in(open.file.identity.size) {
            let (at, entry) = (self.last, EntryName { key, begin });
            self.unsettled.push_back(Unsettled { at, seq, entry });
        }
        Ok(())
    }

    /// The target answered at this time: what is old enough has settled.
    fn advance(&mut self, at: UnixMillis) {
        self.last = self.last.max(at);
        let old = |then: UnixMillis| self.last.0.saturating_sub(then.0) > SETTLE.0;
        while self.unsettled.front().is_some_and(|file| old(file.at)) {
            self.unsettled.pop_front();
        }
        while let Some(&(then, seq, first, end)) = self.ageing.front()
            && old(then)
        {
            self.ageing.pop_front();
            if let Some(open) = self.open.get_mut(&seq) {
                // What does not fit was refused when it was acknowledged.
                let _ = settle_pieces(open, first, end, Some(then));
                self.aged = true;
            }
        }
    }

    fn come_to_break(&mut self) {
        self.ageing.clear();
        for file in self.unsettled.drain(..) {
            self.finished.set_in_doubt(file.entry.key, file.entry.begin, true);
            self.in_doubt.insert(file.seq, file.entry);
        }
        for open in self.open.values_mut() {
            open.acknowledged.values_mut().for_each(|have| have.at = None);
        }
    }
}

/// Makes acknowledged pieces durable, except those in doubt; with `then` only those acknowledged at that time.
fn settle_pieces(open: &mut Open, first: u64, end: u64, then: Option<UnixMillis>) -> Result<(), Inconsistent> {
    let seq = open.file.seq;
    let settled: Vec<u64> = open
        .acknowledged
        .range(first..end.max(first))
        .filter(|(_, have)| have.at.is_some() && (then.is_none() || have.at == then))
        .map(|(piece, _)| *piece)
        .collect();
    for piece in settled {
        if let Some(have) = open.acknowledged.remove(&piece) {
            let added = open.file.tree.add(piece, have.cv);
            added.map_err(|_| Inconsistent::Piece { seq, piece })?;
            open.file.durable.insert(piece);
        }
    }
    Ok(())
}

/// Forgets pieces, whatever was known of them. From a tree nothing can be taken out, so it begins anew where one of them
/// was durable; the file's hash is then to be had by reading it back.
fn lose_pieces(open: &mut Open, runs: &[Range<u64>]) {
    let lost = |piece: u64| runs.iter().any(|run| run.contains(&piece));
    open.acknowledged.retain(|piece, _| !lost(*piece));
    let mut kept = Runs::new();
    for (start, end) in open.file.durable.iter() {
        (start..end).filter(|piece| !lost(*piece)).for_each(|piece| {
            kept.insert(piece);
        });
    }
    if kept.len() < open.file.durable.len() {
        open.file.durable = kept;
        open.file.tree = TreeHasher::new(open.file.identity.size);
    }
}
